"""One command: its sound to the service behind as it comes, enhanced, and the transcript back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from wyoming.asr import Transcript, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event

from edge_pse.assistant.enrolling import CommandEnrollment
from edge_pse.assistant.network import Network
from edge_pse.assistant.protocol import Connection, Limits, PeerError, Silence
from edge_pse.assistant.recogniser import Recogniser, ServiceError
from edge_pse.assistant.recordings import Recording, Recordings
from edge_pse.assistant.reply import Policy, Reply, Strangers
from edge_pse.assistant.sound import WIDTH, Format
from edge_pse.audio.stream import PcmStream
from edge_pse.enhancer import Enhancer
from edge_pse.errors import EdgePseError
from edge_pse.speakers import Heard
from edge_pse.text import cleaned

_LEAST_S = 0.01
"""Sound is handed to a thread in pieces of a hop and more, however small those are in which it comes,"""
_MOST_S = 1.0
"""and in pieces of at most so much, however large."""
_AFTERWARDS_S = 5.0
"""So long the end of a streamed transcript is waited for after its whole text."""

_LONGEST_REASON = 300
"""Of what a service says when it fails, in characters."""
_LAST_WORDS_S = 0.5
"""So long the transcript of a service is looked for that takes no more sound."""


@dataclass(frozen=True)
class Behind:
    """What is behind the proxy: the network, and the speech-to-text."""

    recogniser: Recogniser
    network: Network
    enrollment: CommandEnrollment | None = None
    """Takes the commands, until it is done."""
    policy: Policy = field(default_factory=Policy)
    recordings: Recordings | None = None


async def sound_of(client: Connection, form: Format, limits: Limits) -> AsyncIterator[bytes]:
    """What a client sends of a command, in pieces of some size, to its end; PeerError if that does not come.

    Neither does the client prolong a command by what is no sound, nor by sound that comes in drops. Time that passes
    elsewhere, where the sound goes, is not counted.
    """
    loop = asyncio.get_running_loop()
    waiting, received = bytearray(), 0
    silent_s = waited_s = 0.0
    while True:
        began_s = loop.time()
        event = await _soon(client, silent_s, waited_s, limits)
        silent_s += loop.time() - began_s
        waited_s += loop.time() - began_s
        if event is None:
            raise PeerError("The client left in the middle of a command.")
        if AudioChunk.is_type(event.type):
            _check_format(event, form)
            waiting += event.payload or b""
            received += len(event.payload or b"")
            silent_s = 0.0 if event.payload else silent_s
            if received > limits.command_s * form.bytes_per_s:
                raise _too_long(limits)
        ended = AudioStop.is_type(event.type)
        if waiting and (ended or len(waiting) >= _LEAST_S * form.bytes_per_s):
            yield bytes(waiting)
            waiting.clear()
        if ended:
            return


async def _soon(client: Connection, silent_s: float, waited_s: float, limits: Limits) -> Event | None:
    """The next event of a command for whose sound a client was waited for so long already, and in all so long."""
    silence_left_s = limits.silent_s - silent_s
    left_s = limits.command_s + limits.silent_s - waited_s
    with contextlib.suppress(Silence):
        if min(silence_left_s, left_s) > 0:
            return await client.receive(min(silence_left_s, left_s))
    if left_s < silence_left_s:
        raise _too_long(limits)
    raise PeerError(f"Nothing came for {limits.silent_s:g} s that belongs to the command.")


def _too_long(limits: Limits) -> PeerError:
    return PeerError(f"A command has {limits.command_s:g} s at most.")


def _check_format(event: Event, form: Format) -> None:
    try:
        same = Format.of(event.data) == form
    except ValueError as error:
        raise PeerError(str(error)) from None
    if not same:
        raise PeerError("The format of the sound changed in the middle of a command: begin a new one.")


def _speaker(heard: Sequence[Heard]) -> str | None:
    """Who of the enrolled ones has spoken, as far as was heard; None for nobody.

    By the second that is surest. All of a command together would be a mean of whoever commands and of the
    television, in which the former is mostly not found.
    """
    surest = max(heard, key=lambda second: second.probability, default=None)
    return None if surest is None or surest.profile is None else surest.profile.name


class Command:
    """Runs once. What the service does wrong is told to the client in one ``error`` event.

    PeerError is the client's fault, and ends its connection.
    """

    def __init__(self, behind: Behind, client: Connection, request: Sequence[Event], form: Format):
        """``request``: what the client said before the sound, for the service: which model, in what language."""
        self._behind, self._limits = behind, behind.recogniser.limits
        self._client, self._request, self._form = client, request, form
        self._service: Connection | None = None
        self._answering: asyncio.Task[None] | None = None
        self._heard: list[Heard] = []
        self._reply = Reply(client, behind.policy, partial(_speaker, self._heard))
        self._kept: bytearray | None = bytearray() if behind.policy.strangers is Strangers.PASS else None
        """All sound of the command, as it came, if that may be needed once more; None if it would be too much."""
        self._recording: Recording | None = None
        self._told_s = 0.0
        """When the service was last given or said something."""
        self._streamed = self._answered = False
        self._rate_hz = behind.network.sample_rate_hz
        self.failure = ""
        """What the client was told; empty if all went well."""

    async def run(self) -> bool:
        """From the beginning of the sound to the end of the transcript -> whether all went well."""
        try:
            enhancer = await self._open()
            await self._feed(enhancer)
            if self._answering is not None:
                await self._until_answered(self._answering)
        finally:
            await self._leave_service()
            if self._recording is not None:
                self._recording.close()
        return not self.failure

    async def _open(self) -> Enhancer | None:
        """The way to the service -> a stream of the network, None if nothing goes there."""
        behind = self._behind
        try:
            await self._begin_service(Format(self._rate_hz, WIDTH, 1))
            enhancer = await behind.network.compute(behind.network.take)
            enhancer.identify(self._heard.append if behind.policy.asks else None)
        except (ServiceError, EdgePseError) as error:
            await self._fail(str(error))
            return None
        if behind.recordings is not None:
            self._recording = await behind.network.compute(behind.recordings.begin, self._form, self._rate_hz)
        return enhancer

    async def _begin_service(self, form: Format) -> None:
        """A command in that format, whose answers are passed on."""
        self._service = await self._behind.recogniser.open()
        self._answering = asyncio.create_task(self._answers(self._service))
        for event in (*self._request, AudioStart(form.rate_hz, form.width, form.channels).event()):
            await self._tell(event)

    async def _leave_service(self) -> None:
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.cancel()
            await asyncio.wait({answering})
            if not answering.cancelled():
                answering.exception()  # raised already, or of no use any more
        service, self._service = self._service, None
        if service is not None:
            await service.close()

    async def _feed(self, enhancer: Enhancer | None) -> None:
        """All sound of the client, which is read to its end even if it goes nowhere any more."""
        network = self._behind.network
        stream = None if enhancer is None else await network.compute(self._form.through, enhancer)
        async for piece in sound_of(self._client, self._form, self._limits):
            self._keep(piece)
            if stream is not None:
                await self._pass_on(stream, piece)
        if stream is None or enhancer is None:
            return
        await self._send_on(b"", await network.compute(stream.flush))
        network.give_back(enhancer)
        await self._tell(AudioStop().event())
        await self._reply.decide()
        if self._reply.stranger and not self._reply.given:
            await self._again()

    def _keep(self, piece: bytes) -> None:
        if self._kept is not None:
            self._kept += piece
            if len(self._kept) > self._limits.kept_bytes:
                self._kept = None

    async def _again(self) -> None:
        """Nobody enrolled has spoken: all of the command to the service, as it came."""
        if self._kept is None or self.failure:
            return
        await self._leave_service()
        try:
            await self._begin_service(self._form)
        except ServiceError as error:
            return await self._fail(str(error))
        form = self._form
        for part in self._parts(bytes(self._kept[: len(self._kept) // form.frame_bytes * form.frame_bytes])):
            await self._tell(AudioChunk(form.rate_hz, form.width, form.channels, part).event())
        await self._tell(AudioStop().event())

    def _parts(self, content: bytes) -> Iterator[bytes]:
        step = int(_MOST_S * self._form.rate_hz) * self._form.frame_bytes
        return (content[start : start + step] for start in range(0, len(content), step))

    async def _pass_on(self, stream: PcmStream, payload: bytes) -> None:
        for part in self._parts(payload):
            if self._ended:
                return
            await self._send_on(part, await self._behind.network.compute(stream.process, part))

    async def _send_on(self, heard: bytes, samples: bytes) -> None:
        if self._recording is not None:
            await self._behind.network.compute(self._recording.add, heard, samples)
        if samples:
            await self._tell(AudioChunk(self._rate_hz, WIDTH, 1, samples).event())

    @property
    def _ended(self) -> bool:
        """Whether the service needs no more of the sound: it has failed, or ended the command by itself."""
        return bool(self.failure) or self._answered

    async def _tell(self, event: Event) -> None:
        """To the service, unless it has failed already."""
        if self._service is None or self._ended:
            return
        try:
            await self._service.send(event)
        except PeerError as error:
            # It may have closed the connection because it has said all.
            if self._answering is not None:
                await asyncio.wait({self._answering}, timeout=_LAST_WORDS_S)
            if not self._answered:
                await self._fail(str(self._behind.recogniser.broken(error)))
        self._told_s = asyncio.get_running_loop().time()

    async def _answers(self, service: Connection) -> None:
        """All that the service says, to the client, up to the end of the transcript."""
        self._answered = False
        while True:
            try:
                event = await service.receive(_AFTERWARDS_S if self._answered else None)
            except PeerError as error:
                if not self._answered:
                    await self._fail(str(self._behind.recogniser.broken(error)))
                return
            self._told_s = asyncio.get_running_loop().time()
            if event is None:
                if not self._answered:
                    await self._fail(
                        str(self._behind.recogniser.broken("it closed the connection before the transcript."))
                    )
                return
            if Error.is_type(event.type):
                await self._fail(
                    str(self._behind.recogniser.broken(cleaned(str(event.data.get("text")), _LONGEST_REASON)))
                )
                return
            await self._reply.give(event)
            self._streamed = self._streamed or TranscriptStart.is_type(event.type)
            self._answered = self._answered or Transcript.is_type(event.type)
            if TranscriptStop.is_type(event.type) or (self._answered and not self._streamed):
                return

    async def _until_answered(self, answering: asyncio.Task[None]) -> None:
        """PeerError if the client leaves meanwhile."""
        loop = asyncio.get_running_loop()
        while not answering.done() and not self.failure and not self._reply.given:
            left_s = self._told_s + self._limits.answer_s - loop.time()
            if left_s <= 0:
                await self._fail(
                    str(
                        self._behind.recogniser.broken(
                            f"there is no transcript after {self._limits.answer_s:g} s."
                        )
                    )
                )
                return
            # The client may say the next thing already; what matters here is that it is still there.
            reading = self._client.reading()
            waits = {answering} if reading.done() else {answering, reading}
            await asyncio.wait(waits, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and (reading.exception() is not None or reading.result() is None):
                raise PeerError("The client left before the transcript came.")
        if answering.done():
            answering.result()

    async def _fail(self, sentence: str) -> None:
        """Tell the client, the first time."""
        if not self.failure:
            self.failure = sentence
            await self._client.send(Error(text=sentence, code="service-failed").event())
