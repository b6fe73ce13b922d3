"""One command: its sound to the service behind as it comes, enhanced, and the transcript back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from wyoming.asr import Transcript, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event

from edge_pse.assistant.enrolling import CommandEnrollment
from edge_pse.assistant.network import Network
from edge_pse.assistant.protocol import Connection, Limits, PeerError
from edge_pse.assistant.recogniser import Recogniser, ServiceError
from edge_pse.assistant.sound import WIDTH, Format
from edge_pse.audio.stream import PcmStream
from edge_pse.enhancer import Enhancer
from edge_pse.errors import EdgePseError

_LEAST_S = 0.01
"""Sound is handed to a thread in pieces of a hop and more, however small those are in which it comes,"""
_MOST_S = 1.0
"""and in pieces of at most so much, however large."""
_AFTERWARDS_S = 5.0
"""So long the end of a streamed transcript is waited for after its whole text."""


@dataclass(frozen=True)
class Behind:
    """What is behind the proxy: the network, and the speech-to-text."""

    recogniser: Recogniser
    network: Network
    enrollment: CommandEnrollment | None = None
    """Takes the commands, until it is done."""


async def sound_of(client: Connection, form: Format, limits: Limits) -> AsyncIterator[bytes]:
    """What a client sends of a command, in pieces of some size, to its end; PeerError if that does not come."""
    waiting, received = bytearray(), 0
    while True:
        event = await client.receive(limits.silent_s)
        if event is None:
            raise PeerError("The client left in the middle of a command.")
        if AudioChunk.is_type(event.type):
            _check_format(event, form)
            waiting += event.payload or b""
            received += len(event.payload or b"")
            if received > limits.command_s * form.bytes_per_s:
                raise PeerError(f"A command has {limits.command_s:g} s at most.")
        ended = AudioStop.is_type(event.type)
        if waiting and (ended or len(waiting) >= _LEAST_S * form.bytes_per_s):
            yield bytes(waiting)
            waiting.clear()
        if ended:
            return


def _check_format(event: Event, form: Format) -> None:
    try:
        same = Format.of(event.data) == form
    except ValueError as error:
        raise PeerError(str(error)) from None
    if not same:
        raise PeerError("The format of the sound changed in the middle of a command: begin a new one.")


class Command:
    """Runs once. What the service does wrong is told to the client in one ``error`` event.

    PeerError is the client's fault, and ends its connection.
    """

    def __init__(self, behind: Behind, client: Connection, request: Sequence[Event], form: Format):
        """``request``: what the client said before the sound, for the service: which model, in what language."""
        self._behind, self._limits = behind, behind.recogniser.limits
        self._client, self._request, self._form = client, request, form
        self._service: Connection | None = None
        self._told_s = 0.0
        """When the service was last given or said something."""
        self._streamed = False
        self._rate_hz = behind.network.sample_rate_hz
        self.failure = ""
        """What the client was told; empty if all went well."""
        self.samples = 0
        """Sent on so far."""

    async def run(self) -> bool:
        """From the beginning of the sound to the end of the transcript -> whether all went well."""
        answering: asyncio.Task[None] | None = None
        try:
            enhancer = await self._open()
            if self._service is not None:
                answering = asyncio.create_task(self._answers(self._service))
            await self._feed(enhancer)
            if answering is not None:
                await self._until_answered(answering)
        finally:
            if answering is not None:
                answering.cancel()
                await asyncio.wait({answering})
                if not answering.cancelled():
                    answering.exception()  # raised above already, or of no use any more
            if self._service is not None:
                await self._service.close()
        return not self.failure

    async def _open(self) -> Enhancer | None:
        """The way to the service -> a stream of the network, None if nothing goes there."""
        try:
            self._service = await self._behind.recogniser.open()
            enhancer = await self._behind.network.compute(self._behind.network.take)
        except (ServiceError, EdgePseError) as error:
            await self._fail(str(error))
            return None
        for event in (*self._request, AudioStart(self._rate_hz, WIDTH, 1).event()):
            await self._tell(event)
        return enhancer

    async def _feed(self, enhancer: Enhancer | None) -> None:
        """All sound of the client, which is read to its end even if it goes nowhere any more."""
        network = self._behind.network
        stream = None if enhancer is None else await network.compute(self._form.through, enhancer)
        async for piece in sound_of(self._client, self._form, self._limits):
            if stream is not None:
                await self._pass_on(stream, piece)
        if stream is not None and enhancer is not None:
            await self._send_on(await network.compute(stream.flush))
            network.give_back(enhancer)
            await self._tell(AudioStop().event())

    async def _pass_on(self, stream: PcmStream, payload: bytes) -> None:
        step = int(_MOST_S * self._form.rate_hz) * self._form.frame_bytes
        for start in range(0, len(payload), step):
            if self.failure:
                return
            part = payload[start : start + step]
            await self._send_on(await self._behind.network.compute(stream.process, part))

    async def _send_on(self, samples: bytes) -> None:
        self.samples += len(samples) // WIDTH
        if samples:
            await self._tell(AudioChunk(self._rate_hz, WIDTH, 1, samples).event())

    async def _tell(self, event: Event) -> None:
        """To the service, unless it has failed already."""
        if self._service is None or self.failure:
            return
        try:
            await self._service.send(event)
        except PeerError as error:
            await self._fail(str(self._behind.recogniser.broken(error)))
        self._told_s = asyncio.get_running_loop().time()

    async def _answers(self, service: Connection) -> None:
        """All that the service says, to the client, up to the end of the transcript."""
        answered = False
        while True:
            try:
                event = await service.receive(_AFTERWARDS_S if answered else None)
            except PeerError as error:
                if not answered:
                    await self._fail(str(self._behind.recogniser.broken(error)))
                return
            self._told_s = asyncio.get_running_loop().time()
            if event is None:
                if not answered:
                    await self._fail(
                        str(self._behind.recogniser.broken("it closed the connection before the transcript."))
                    )
                return
            if Error.is_type(event.type):
                await self._fail(str(self._behind.recogniser.broken(event.data.get("text"))))
                return
            await self._client.send(event)
            self._streamed = self._streamed or TranscriptStart.is_type(event.type)
            answered = answered or Transcript.is_type(event.type)
            if TranscriptStop.is_type(event.type) or (answered and not self._streamed):
                return

    async def _until_answered(self, answering: asyncio.Task[None]) -> None:
        """PeerError if the client leaves meanwhile."""
        loop = asyncio.get_running_loop()
        while not answering.done() and not self.failure:
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
