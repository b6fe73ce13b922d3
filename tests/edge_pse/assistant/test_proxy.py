"""The proxy between the library's own client and server: what is passed on, in what order, and what faults lead to."""

import asyncio
import dataclasses
import gc
import socket
from contextlib import suppress

import numpy as np
import pytest
import soxr
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping

from edge_pse import Enhancer
from edge_pse.assistant.command import Command
from edge_pse.assistant.protocol import Address, Limits
from edge_pse.audio.stream import PcmStream
from tests.edge_pse.assistant.services import (
    LOCAL,
    Scripted,
    answers,
    client,
    coded,
    free_port,
    proxy,
    serving,
    speak,
)

SHORT = Limits(silent_s=0.5, idle_s=0.5, answer_s=0.5, connect_s=0.5, write_s=0.5, farewell_s=0.2)


def texts(events):
    return [(event.type, event.data.get("text")) for event in events]


async def let_in(port):
    """Wait until there is a free place; it becomes so a moment after a client has left."""
    async with asyncio.timeout(5):
        while True:
            async with client(port) as home:
                await home.write_event(Ping().event())
                if (await home.read_event()).type == "pong":
                    return


def test_the_service_is_described_under_a_name_of_the_proxys_own(model):
    async def described():
        async with serving(Scripted()) as behind, proxy(behind, model) as port, client(port) as home:
            await home.write_event(Describe().event())
            return Info.from_event(await home.read_event())

    info = asyncio.run(described())
    (program,) = info.asr
    assert program.name == "edge-pse scripted"
    assert program.installed and program.supports_transcript_streaming
    assert [(known.name, known.languages) for known in program.models] == [("none", ["en"])]
    assert not info.tts  # of which the proxy does nothing


@pytest.mark.parametrize(
    ("rate", "width", "channels", "block"),
    [(16_000, 2, 1, 1024), (16_000, 2, 1, 1), (16_000, 2, 1, 16_000), (48_000, 3, 2, 700), (22_050, 4, 1, 333),
     (8_000, 2, 2, 80), (16_000, 1, 1, 160)],
)  # fmt: skip
def test_sound_of_any_format_arrives_enhanced(
    model, female_profile, recording, mix, rate, width, channels, block
):
    scene = mix(recording("ls367_speech")[:32_000], recording("ls2033_speech"), 3)
    scene = scene if block > 1 else scene[:4_000]
    given = scene if rate == 16_000 else soxr.resample(scene, 16_000, rate)
    service = Scripted()

    async def spoken():
        async with (
            serving(service) as behind,
            proxy(behind, model, female_profile) as port,
            client(port) as home,
        ):
            await speak(home, given, rate, width, channels, block, [Transcribe(language="en").event()])
            return await answers(home)

    assert texts(asyncio.run(spoken())) == [("transcript", "words")]
    assert service.types == ["transcribe", "audio-start", "audio-chunk", "audio-stop"]
    assert service.events[0].data["language"] == "en"
    assert {event.data["rate"] for event in service.events[1:-1]} == {16_000}
    wanted = Enhancer(model, female_profile).enhance(given, rate)
    wanted = wanted if rate == 16_000 else soxr.resample(wanted, rate, 16_000)
    heard = service.heard
    assert abs(heard.size - wanted.size) <= 1
    size = min(heard.size, wanted.size)
    error = heard[:size] - wanted[:size]
    assert np.mean(error**2) < 0.05 * np.mean(wanted**2)


def test_sound_goes_on_while_it_comes(model, recording):
    """After half a second of a command, all but the delay of the network has arrived."""
    service = Scripted()

    async def spoken():
        async with serving(service) as behind, proxy(behind, model) as port, client(port) as home:
            speaking = speak(home, recording("ls367_speech")[:8_000])
            real, home.write_event = home.write_event, None

            async def all_but_the_end(event):
                if event.type != "audio-stop":
                    await real(event)

            home.write_event = all_but_the_end
            await speaking
            async with asyncio.timeout(5):
                while service.heard.size < 8_000 - 320:
                    await asyncio.sleep(0.01)

    asyncio.run(spoken())


def test_a_streamed_transcript_comes_in_its_pieces(model, recording):
    pieces = [
        TranscriptStart(language="en").event(), TranscriptChunk(text="turn").event(),
        TranscriptChunk(text=" on").event(), Transcript(text="turn on").event(), TranscriptStop().event(),
    ]  # fmt: skip

    async def spoken():
        async with serving(Scripted(pieces)) as behind, proxy(behind, model) as port, client(port) as home:
            await speak(home, recording("ls367_speech")[:16_000])
            return await answers(home)

    assert texts(asyncio.run(spoken())) == texts(pieces)


def test_several_clients_are_served_at_once_and_one_client_several_times(model, recording):
    samples = recording("ls367_speech")[:16_000]
    service = Scripted()

    async def spoken(port):
        async with client(port) as home:
            heard = []
            for _ in range(3):
                await speak(home, samples)
                heard += texts(await answers(home))
            return heard

    async def all_spoken():
        async with serving(service) as behind, proxy(behind, model) as port:
            return await asyncio.gather(*(spoken(port) for _ in range(4)))

    assert asyncio.run(all_spoken()) == [[("transcript", "words")] * 3] * 4
    assert service.heard.size == 12 * samples.size


def test_a_client_beyond_the_limit_is_told_so_and_gets_in_later(model):
    async def crowded():
        async with serving(Scripted()) as behind, proxy(behind, model, limits=Limits(clients=1)) as port:
            async with client(port) as first, client(port) as second:
                await first.write_event(Ping(text="there?").event())
                assert (await first.read_event()).data == {"text": "there?"}
                (refused,) = await answers(second)
                assert Error.is_type(refused.type) and "1 places" in refused.data["text"]
            await let_in(port)

    asyncio.run(crowded())


class Dying(Scripted):
    """Closes the connection when sound comes."""

    async def react(self, event, handler):
        return event.type != "audio-chunk"


class Stalled(Scripted):
    """Takes all and answers nothing; or takes nothing, after ``blocked`` is set."""

    blocked = False

    async def react(self, event, handler):
        if self.blocked and event.type == "audio-chunk":
            await asyncio.sleep(30)
        return True


class Blocked(Stalled):
    blocked = True


class Refusing(Scripted):
    async def react(self, event, handler):
        if event.type == "audio-stop":
            await handler.write_event(Error(text="no such language").event())
        return True


class Verbose(Scripted):
    async def react(self, event, handler):
        if event.type == "audio-stop":
            await handler.write_event(Error(text="no room\n" * 9_999).event())
        return True


class Halving(Scripted):
    """Its transcript holds half of a character."""

    async def react(self, event, handler):
        if event.type == "audio-stop":
            handler.writer.write(b'{"type": "transcript", "data": {"text": "\\ud83d"}}\n')
        return True


class Babbling(Scripted):
    async def react(self, event, handler):
        handler.writer.write(b"HTTP/1.1 400 Bad Request\n\n")
        return True


@pytest.mark.parametrize(
    ("service", "words"),
    [(Dying, "failed: "), (Stalled, "no transcript after 0.5 s"), (Blocked, "Nothing was read there for 0.5 s"),
     (Refusing, "no such language"), (Babbling, "no Wyoming event"), (Halving, "no Wyoming event"),
     (Verbose, "no room"), (None, "can't be reached")],
)  # fmt: skip
def test_a_service_that_fails_is_one_error_and_the_next_command_goes_well(model, recording, service, words):
    said, port_behind = [], free_port()
    long = np.tile(recording("ls367_speech"), 6)  # more than the sockets hold

    async def command(port, samples):
        async with client(port) as home:
            await speak(home, samples)
            return await answers(home)

    async def spoken():
        async with proxy(Address(LOCAL, port_behind), model, limits=SHORT, said=said) as port:
            samples = long if service is Blocked else recording("ls367_speech")[:16_000]
            if service is None:
                failed = await command(port, samples)
            else:
                async with serving(service(), port_behind):
                    failed = await command(port, samples)
            async with serving(Scripted(), port_behind):
                return failed, await command(port, recording("ls367_speech")[:16_000])

    failed, well = asyncio.run(spoken())
    assert [event.type for event in failed] == ["error"]
    assert words in failed[0].data["text"] and f"{LOCAL}:{port_behind}" in failed[0].data["text"]
    assert said == [failed[0].data["text"]] and len(said[0]) < 500
    assert texts(well) == [("transcript", "words")]


def test_a_service_whose_programs_are_no_list_is_none(model):
    class Odd(Scripted):
        async def react(self, event, handler):
            await handler.write_event(Event("info", {"asr": 5}))
            return True

    async def described():
        async with serving(Odd()) as behind, proxy(behind, model) as port, client(port) as home:
            await home.write_event(Describe().event())
            return await answers(home)

    (event,) = asyncio.run(described())
    assert Error.is_type(event.type) and "no speech-to-text service" in event.data["text"]


def test_what_is_asked_of_an_absent_service_is_an_error(model):
    async def described():
        async with proxy(Address(LOCAL, free_port()), model) as port, client(port) as home:
            await home.write_event(Describe().event())
            return await answers(home)

    (event,) = asyncio.run(described())
    assert Error.is_type(event.type) and "can't be reached" in event.data["text"]


def test_a_client_that_stops_in_the_middle_is_not_waited_for(model, recording):
    """Half-open connections: the other side is gone, and nothing says so."""
    service, said = Scripted(), []

    async def silent():
        async with serving(service) as behind, proxy(behind, model, limits=SHORT, said=said) as port:
            async with client(port) as home:
                await home.write_event(AudioStart(16_000, 2, 1).event())
                (event,) = await answers(home)
            async with client(port) as idle:
                (idled,) = await answers(idle)
            return event, idled

    event, idled = asyncio.run(silent())
    assert "Nothing came for 0.5 s" in event.data["text"] and "Nothing came" in idled.data["text"]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("event", "words"),
    [(Ping().event(), "Nothing came for 0.5 s"), (AudioChunk(16_000, 2, 1, b"").event(), "Nothing came for 0.5 s"),
     (Event("played"), "Nothing came for 0.5 s"), (AudioChunk(16_000, 2, 1, b"\0\0").event(), "A command has 1 s")],
)  # fmt: skip
def test_nobody_keeps_a_place_by_a_command_without_sound(model, event, words):
    limits = dataclasses.replace(SHORT, command_s=1.0)

    async def kept():
        async with (
            serving(Scripted()) as behind,
            proxy(behind, model, limits=limits) as port,
            client(port) as home,
        ):
            await home.write_event(AudioStart(16_000, 2, 1).event())
            heard = asyncio.create_task(answers(home))
            async with asyncio.timeout(10):
                while not heard.done():
                    with suppress(ConnectionError):
                        await home.write_event(event)
                    await asyncio.sleep(0.1)
            return await heard

    *_, last = asyncio.run(kept())
    assert Error.is_type(last.type) and words in last.data["text"]


def test_a_ping_is_answered_while_a_transcript_is_waited_for(model, recording):
    class Patient(Scripted):
        async def react(self, event, handler):
            if event.type == "audio-stop":
                await answering.wait()
            return await super().react(event, handler)

    answering = asyncio.Event()

    async def pinged():
        async with serving(Patient()) as behind, proxy(behind, model) as port, client(port) as home:
            await speak(home, recording("ls367_speech")[:8_000])
            async with asyncio.timeout(10):
                await home.write_event(Ping(text="there?").event())
                first = await home.read_event()
            answering.set()
            return texts([first, *await answers(home)])

    assert asyncio.run(pinged()) == [("pong", "there?"), ("transcript", "words")]


def test_a_client_that_leaves_frees_its_place_and_the_service(model, recording):
    service, said = Stalled(), []

    async def left():
        async with (
            serving(service) as behind,
            proxy(behind, model, limits=Limits(clients=1), said=said) as port,
        ):
            async with client(port) as home:
                await speak(home, recording("ls367_speech")[:8_000])
            async with asyncio.timeout(5):
                while service.open or not service.connections:
                    await asyncio.sleep(0.01)
            await let_in(port)

    asyncio.run(left())
    assert said == [f"The connection with {LOCAL} was ended: The client left before the transcript came."]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"GET / HTTP/1.1\r\n\r\n", "no Wyoming event"), (b"[1]\n", "no Wyoming event"), (b"{}\n", "no type"),
     (b"\xff" * 200_000, "longer than"), (b"[" * 60_000 + b"\n", "no Wyoming event"),
     (b'{"type": "audio-chunk", "payload_length": 99999999}\n', "payload_length"),
     (b'{"type": "transcribe", "data_length": 1e9}\n', "data_length"),
     (b'{"type": "transcribe", "data_length": -1}\n', "data_length"),
     (b'{"type": "transcribe", "data": [1]}\n', "no object"),
     (b'{"type": "ping", "data": {"text": "\\ud83d"}}\n', "no Wyoming event"),
     (b'{"type": "transcribe", "data": {"language": "\\udc00"}}\n', "no Wyoming event"),
     (b'{"type": "ping", "data": {"text": "\xed\xa0\xbd"}}\n', "no Wyoming event"),
     (b'{"type": "select-program"}\n', "without its name"),
     (b'{"type": "audio-start", "data": {"rate": 1, "width": 2, "channels": 1}}\n', "rate 1"),
     (b'{"type": "audio-start", "data": {"rate": "a", "width": [], "channels": null}}\n', "can't be used"),
     (b'{"type": "audio-chunk", "payload_length": 2}\n\0\0', "before audio-start"),
     (b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'
      b'{"type": "audio-chunk", "data": {"rate": 8000, "width": 2, "channels": 1}}\n', "format of the sound changed")],
)  # fmt: skip
def test_what_is_no_event_ends_the_connection_with_a_sentence(model, content, words):
    async def sent():
        async with serving(Scripted()) as behind, proxy(behind, model) as port:
            async with client(port) as home:
                home._writer.write(content)
                (event,) = await answers(home)
            async with client(port) as another:
                await another.write_event(Ping().event())
                assert (await another.read_event()).type == "pong"
            return event

    event = asyncio.run(sent())
    assert Error.is_type(event.type) and words in event.data["text"]


@pytest.mark.parametrize("last", [b"", b"{\n"])
def test_what_served_a_client_that_left_is_gone_before_any_garbage_is_collected(model, recording, last):
    content = coded(recording("ls367_speech")[:8_000], 2, 1)

    async def left():
        async with serving(Scripted()) as behind, proxy(behind, model) as port:
            gc.collect()
            gc.disable()
            for _ in range(12):
                async with client(port) as home:
                    await home.write_event(AudioStart(16_000, 2, 1).event())
                    await home.write_event(AudioChunk(16_000, 2, 1, content).event())
                    home._writer.write(last)
                    await asyncio.sleep(0.1)
                    home._writer.transport.abort()
                await let_in(port)
                await asyncio.sleep(0.1)
            # By its type: to ask an object for its class fails where a proxy's is gone that another test has left.
            return sum(issubclass(type(one), (PcmStream, Command)) for one in gc.get_objects())

    try:
        assert asyncio.run(left()) == 0
    finally:
        gc.enable()


def test_a_fast_client_waits_for_a_slow_service(model, recording):
    """The proxy takes no more of it than it can pass on, but for what the sockets hold."""
    service = Blocked()
    samples = np.tile(recording("ls367_speech"), 20)
    sent = 0

    async def flood():
        nonlocal sent
        async with serving(service) as behind, proxy(behind, model) as port, client(port) as home:
            # The system of a client would keep megabytes for it.
            home._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
            await home.write_event(AudioStart(16_000, 2, 1).event())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    while sent < samples.size:
                        content = coded(samples[sent : sent + 1600], 2, 1)
                        await home.write_event(AudioChunk(16_000, 2, 1, content).event())
                        sent += 1600
            home._writer.transport.abort()  # or it would go on sending

    asyncio.run(flood())
    assert service.heard.size < sent < 40 * 16_000 < samples.size
