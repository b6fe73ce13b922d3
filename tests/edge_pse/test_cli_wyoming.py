"""``edge-pse wyoming`` as a process: what it says, where it listens, how it ends."""

import asyncio
import re
import signal
import socket

import pytest

from edge_pse import assistant, enroll
from edge_pse.profiles import ProfileStore
from tests.edge_pse.assistant.services import (
    LOCAL,
    Sphinx,
    answers,
    client,
    free_port,
    serving,
    speak,
)


@pytest.fixture
def proxied(start):
    """``proxied(options...)`` -> the process and the port on which it listens; ended with the test."""
    started = []

    def begin(*options):
        process = start("wyoming", "--uri", f"tcp://{LOCAL}:0", *options)
        started.append(process)
        found = None
        while found is None:
            line = process.stderr.readline()
            assert line, process.wait()
            found = re.match(rf"Listening on {LOCAL}:(\d+),", line)
        return process, int(found[1])

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_listens_and_ends_when_it_is_told_to(proxied, number):
    process, port = proxied("--asr", f"tcp://{LOCAL}:{free_port()}")
    with socket.create_connection((LOCAL, port)):
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
    assert process.stderr.read() == ""


def test_words_come_back_from_a_recogniser_behind(proxied, home, recording, model):
    ProfileStore().create(enroll(recording("ls3080_enrollment"), 16_000, model=model, name="me"))
    spoken = recording("ls3080_speech")[: int(3.2 * 16_000)]

    async def transcript():
        async with serving(Sphinx()) as behind:
            _, port = await asyncio.to_thread(proxied, "--asr", f"tcp://{behind}", "--profile", "me")
            async with client(port) as home:
                await speak(home, spoken)
                (event,) = await answers(home)
                return event.data["text"].split()

    words = asyncio.run(transcript())
    assert len({"i", "knew", "you", "could", "not", "choose", "but", "like", "her"} & set(words)) >= 7, words


def test_a_port_that_is_taken_is_told(refused, home):
    with socket.create_server((LOCAL, 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("wyoming", "--asr", "tcp://127.0.0.1:1", "--uri", f"tcp://{LOCAL}:{port}")
    assert "Can't listen on" in said and str(port) in said and "--uri" in said


@pytest.mark.parametrize(
    "uri", ["127.0.0.1:10300", "http://a:1", "tcp://a", "tcp://a:99999", "tcp://a:1/b", ""]
)
def test_what_is_no_address_is_told(refused, uri):
    assert "tcp://127.0.0.1:10300" in refused("wyoming", "--asr", uri)


def test_without_the_package_it_says_how_to_get_it(refused, monkeypatch):
    monkeypatch.setattr(assistant, "find_spec", lambda name: None)
    assert "pip install '.[assistant]'" in refused("wyoming", "--asr", "tcp://127.0.0.1:10300")
