"""What becomes of the answers of the service: passed on as they are, with a name, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.event import Event

from edge_pse.assistant.protocol import Connection


class Strangers(Enum):
    """What happens to a command in which nobody enrolled is heard."""

    KEPT_FROM = "left to the network"
    """Nothing more than to any: what the network leaves of it goes to the service."""
    EMPTY = "empty"
    """An empty transcript."""
    PASS = "pass"
    """All of its sound goes to the service, as it came."""


class Tag(Enum):
    """Where the name of who spoke is given."""

    NOWHERE = "nowhere"
    TEXT = "text"
    """In front of the transcript."""
    CONTEXT = "context"
    """As ``speaker`` in the context of the transcript, beside its text."""


@dataclass(frozen=True)
class Policy:
    """What is done with the knowledge of who spoke."""

    strangers: Strangers = Strangers.KEPT_FROM
    tag: Tag = Tag.NOWHERE

    @property
    def asks(self) -> bool:
        """Whether anything depends on who spoke."""
        return self != Policy()


class Reply:
    """The answers to one command, on their way to the client.

    Where something depends on who spoke, transcripts are held back until that is known: ``decide``, at the end of the
    sound, or the whole transcript, if the service ends the command by itself. ``speaker`` says who spoke as far as is
    known, None for nobody who is enrolled.
    """

    def __init__(self, client: Connection, policy: Policy, speaker: Callable[[], str | None]):
        self._client, self._policy, self._ask = client, policy, speaker
        self._held: list[Event] = []
        self._decided = not policy.asks
        self._name: str | None = None
        self._chunked = False
        self.stranger = False
        """Whether nobody who is enrolled was heard, and something is to be done about it."""
        self.given = False
        """Whether the client has its transcript, so that nothing else is to be passed on."""

    async def decide(self) -> None:
        """Now it is known who spoke: what was held back goes on, or never will."""
        if self._decided:
            return
        self._decided, self._name = True, self._ask()
        self.stranger = self._name is None and self._policy.strangers is not Strangers.KEPT_FROM
        held, self._held = self._held, []
        if self.stranger:
            if self._policy.strangers is Strangers.EMPTY:
                self.given = True
                await self._client.send(Transcript(text="").event())
            return
        for event in held:
            await self._client.send(self._tagged(event))

    async def give(self, event: Event) -> None:
        """The next answer of the service."""
        if self.given:
            return
        if not self._decided and Transcript.is_type(event.type):
            await self.decide()
            self.stranger = False  # there is nothing to be done about it any more
        if not self._decided and _of_transcript(event):
            self._held.append(event)
        elif not self.given:
            await self._client.send(self._tagged(event))

    def _tagged(self, event: Event) -> Event:
        if self._name is None or self._policy.tag is Tag.NOWHERE:
            return event
        data: dict[str, Any] = dict(event.data)
        if self._policy.tag is Tag.CONTEXT:
            if Transcript.is_type(event.type) or TranscriptStart.is_type(event.type):
                context = data.get("context")
                data["context"] = {**(context if isinstance(context, dict) else {}), "speaker": self._name}
        elif not str(data.get("text") or "").strip():
            pass  # nothing was understood: a name alone would be taken for words
        elif Transcript.is_type(event.type) or (TranscriptChunk.is_type(event.type) and not self._chunked):
            self._chunked = self._chunked or TranscriptChunk.is_type(event.type)
            data["text"] = f"[{self._name}] {data['text']}"
        return Event(event.type, data, event.payload)


def _of_transcript(event: Event) -> bool:
    kinds = (Transcript, TranscriptStart, TranscriptChunk, TranscriptStop)
    return any(kind.is_type(event.type) for kind in kinds)
