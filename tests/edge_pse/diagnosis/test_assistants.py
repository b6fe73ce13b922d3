"""Whether the speech-to-text behind an assistant answers, as ``doctor`` says it."""

import asyncio
import threading

import pytest

from edge_pse import assistant
from edge_pse.diagnosis.assistants import speech_to_text
from tests.edge_pse.assistant.services import Scripted, free_port, serving


@pytest.fixture
def options(tmp_path):
    """``options(text)`` -> the file of the service, with these options."""

    def write(text):
        path = tmp_path / "wyoming.conf"
        path.write_text(f"# Options\nEDGE_PSE_WYOMING_OPTIONS={text}\n")
        return path

    return write


def test_one_that_answers_is_named(options):
    async def looked():
        async with serving(Scripted()) as address:
            return await asyncio.to_thread(speech_to_text, options(f"--profile me --asr tcp://{address}"))

    finding = asyncio.run(looked())
    assert finding.status == "ok" and finding.sentence.endswith("answers: scripted.")


@pytest.mark.parametrize(
    "text",
    [
        "--asr tcp://127.0.0.1:{port}",
        '"--asr=tcp://127.0.0.1:{port} --profile me"',
        '--asr "tcp://127.0.0.1:{port}"',
        "--asr tcp://127.0.0.1:{port} --record '/all that is said'",
        "--asr nonsense\nEDGE_PSE_WYOMING_OPTIONS=--asr tcp://127.0.0.1:{port}",
    ],
)
def test_one_that_is_not_there_is_a_warning(options, text):
    path = options(text.format(port=free_port()))
    finding = speech_to_text(path)
    assert finding.status == "warn" and "can't be reached" in finding.sentence and str(path) in finding.advice


def test_one_that_never_answers_is_not_waited_for(options, monkeypatch):
    class Silent(Scripted):
        async def react(self, event, handler):
            return True

    monkeypatch.setattr("edge_pse.diagnosis.assistants._ANSWER_S", 0.3)

    async def looked():
        async with serving(Silent()) as address:
            return await asyncio.to_thread(speech_to_text, options(f"--asr tcp://{address}"))

    finding = asyncio.run(looked())
    assert finding.status == "warn" and threading.active_count() < 20


def test_what_is_no_address_and_what_is_not_set_up(options, tmp_path, monkeypatch):
    assert "no address" in speech_to_text(options("--asr nonsense")).sentence
    assert speech_to_text(options("--profile me")).status == "ok"
    assert speech_to_text(tmp_path / "none.conf").status == "ok"
    monkeypatch.setattr(assistant, "find_spec", lambda name: None)
    assert "pip install '.[assistant]'" in speech_to_text(tmp_path / "none.conf").sentence
