"""Speech-to-text services, of the library ``wyoming``, for the proxy to stand before; and the proxy itself."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram
from wyoming.server import AsyncEventHandler, AsyncTcpServer

from edge_pse import Enhancer
from edge_pse.assistant.command import Behind
from edge_pse.assistant.network import Network
from edge_pse.assistant.protocol import Address, Limits
from edge_pse.assistant.proxy import Proxy
from edge_pse.assistant.recogniser import Recogniser
from edge_pse.audio.pcm import to_float, to_pcm

LOCAL = "127.0.0.1"
NOBODY = Attribution(name="nobody", url="")
INFO = Info(
    asr=[
        AsrProgram(
            name="scripted",
            attribution=NOBODY,
            installed=True,
            description="A service of the tests",
            version="1",
            models=[
                AsrModel(
                    name="none",
                    attribution=NOBODY,
                    installed=True,
                    description="",
                    version="1",
                    languages=["en"],
                )
            ],
            supports_transcript_streaming=True,
        )
    ],
    tts=[
        TtsProgram(name="voice", attribution=NOBODY, installed=True, description="", version="1", voices=[])
    ],
)


@dataclass
class Scripted:
    """A service that remembers what it was sent, and answers as it is told."""

    answer: list[Event] = field(default_factory=lambda: [Transcript(text="words").event()])
    events: list[Event] = field(default_factory=list)
    """All that came, over all connections."""
    connections: int = 0
    open: int = 0
    """Connections that have not ended."""

    @property
    def heard(self) -> np.ndarray:
        """The sound of all chunks, float32."""
        content = b"".join(event.payload or b"" for event in self.events if AudioChunk.is_type(event.type))
        return to_float(np.frombuffer(content, "<i2"))

    @property
    def types(self) -> list[str]:
        """Of the events that came, chunks once."""
        types = [event.type for event in self.events]
        return [kind for index, kind in enumerate(types) if not index or kind != types[index - 1]]

    def handler(self, reader, writer):
        """What ``AsyncTcpServer`` is given."""
        self.connections += 1
        self.open += 1
        return _Handler(self, reader, writer)

    async def react(self, event: Event, handler: AsyncEventHandler) -> bool:
        """To one event; false ends the connection."""
        if Describe.is_type(event.type):
            await handler.write_event(INFO.event())
        if AudioStop.is_type(event.type):
            for answer in self.answer:
                await handler.write_event(answer)
            return False
        return True


class _Handler(AsyncEventHandler):
    def __init__(self, service, reader, writer):
        super().__init__(reader, writer)
        self.service = service

    async def handle_event(self, event: Event) -> bool:
        self.service.events.append(event)
        return await self.service.react(event, self)

    async def disconnect(self):
        self.service.open -= 1


class Sphinx(Scripted):
    """English by pocketsphinx, with the model of its wheel."""

    def __init__(self):
        super().__init__()
        self._converter = AudioChunkConverter(rate=16_000, width=2, channels=1)
        self._sound = b""

    async def react(self, event, handler):
        if AudioStart.is_type(event.type):
            self._sound = b""
        elif AudioChunk.is_type(event.type):
            self._sound += self._converter.convert(AudioChunk.from_event(event)).audio
        elif AudioStop.is_type(event.type):
            text = await asyncio.to_thread(recognise, self._sound)
            await handler.write_event(Transcript(text=text).event())
            return False
        return await super().react(event, handler) if Describe.is_type(event.type) else True


def recognise(pcm: bytes) -> str:
    """What pocketsphinx understands of 16 bits at 16 kHz."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found else ""


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind((LOCAL, 0))
        return found.getsockname()[1]


@asynccontextmanager
async def serving(service, port=None):
    """The service on a port -> its address."""
    address = Address(LOCAL, port or free_port())
    server = AsyncTcpServer(address.host, address.port)
    await server.start(service.handler)
    try:
        yield address
    finally:
        await server.stop()


@asynccontextmanager
async def proxy(service: Address, model, profile=None, limits=None, said=None, **more):
    """A proxy before it -> the port on which that listens."""
    network = Network(Enhancer(model, profile))
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    said = [] if said is None else said
    running = asyncio.create_task(
        Proxy(Behind(Recogniser(service, limits or Limits()), network, **more), said.append).run(
            Address(LOCAL, 0), stop, listening.set_result
        )
    )
    try:
        yield await listening
    finally:
        stop.set()
        await running
        network.close()


def client(port) -> AsyncTcpClient:
    """As Home Assistant has it."""
    return AsyncTcpClient(LOCAL, port, connect_timeout=5, read_timeout=30)


async def speak(to: AsyncTcpClient, samples, rate=16_000, width=2, channels=1, block=1024, before=()):
    """A command as Home Assistant sends it; ``samples``: float32, one channel at ``rate``; ``block`` in samples."""
    for event in before:
        await to.write_event(event)
    await to.write_event(AudioStart(rate, width, channels).event())
    content = coded(samples, width, channels)
    step = block * width * channels
    for start in range(0, len(content), step):
        await to.write_event(AudioChunk(rate, width, channels, content[start : start + step]).event())
    await to.write_event(AudioStop().event())


def coded(samples, width, channels) -> bytes:
    """Signed, little-endian, the same in all channels."""
    pcm = to_pcm(samples).astype(np.int64) << 16 >> (32 - 8 * width)
    content = pcm.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width]
    return np.repeat(content, channels, axis=0).reshape(-1, channels * width).tobytes()


async def answers(to: AsyncTcpClient) -> list[Event]:
    """All that comes until the connection ends, or a command has its whole answer."""
    events: list[Event] = []
    with suppress(ConnectionError):
        while (event := await to.read_event()) is not None:
            events.append(event)
            streamed = any(earlier.type == "transcript-start" for earlier in events)
            if event.type == "transcript-stop" or (event.type == "transcript" and not streamed):
                break
    return events
