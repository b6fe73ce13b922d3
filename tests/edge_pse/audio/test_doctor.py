"""``edge-pse doctor`` at private sound servers and simulated cards, healthy and not."""

import json
import os
import signal
import time

import pytest

from tests.edge_pse.audio.running import COMMAND, Command, SoundServer, need_pulseaudio

SLOWEST_S = 45


class Doctor:
    """``edge-pse doctor``, started."""

    def __init__(self, env):
        self._command = Command("doctor", env={**env, "COLUMNS": "200"}, program=COMMAND)
        self._began = time.monotonic()

    def found(self):
        """The status and sentence of each check by its name, once it has ended."""
        status = self._command.process.wait(self._began + SLOWEST_S - time.monotonic())
        self._command.wait_for("warning", 5)
        columns = len("fail  "), len("fail  virtual microphone  ")
        found = {}
        for line in self._command.lines:
            if line.startswith(("ok ", "warn ", "fail ")):
                name = line[columns[0] : columns[1]].strip()
                found[name] = (line.split()[0], line[columns[1] :])
            elif line.startswith(" "):
                assert line.strip()  # advice
        failed = [name for name, (verdict, _) in found.items() if verdict == "fail"]
        assert status == (1 if failed else 0), self._command.lines
        return found

    def kill(self):
        self._command.kill()


@pytest.fixture
def doctor():
    """``doctor(env)`` -> what it finds."""
    started = []

    def examine(env):
        started.append(Doctor(env))
        return started[-1].found()

    yield examine
    for one in started:
        one.kill()


@pytest.fixture(scope="module")
def at_a_server_that_hangs(portaudio, tmp_path_factory):
    """Started early, because it waits for several answers that do not come."""
    need_pulseaudio()
    server = SoundServer(tmp_path_factory.mktemp("hanging") / "server")
    server.start()
    os.kill(server.process.pid, signal.SIGSTOP)
    doctor = Doctor(server.env)
    yield doctor
    doctor.kill()
    server.kill()


def test_a_sound_server_with_a_microphone_is_all_that_is_needed(
    at_a_server_that_hangs, sound_server, doctor, start_command
):
    found = doctor(sound_server.env)
    assert found["PortAudio"][0] == "ok"
    assert found["sound server"] == ("ok", "pulseaudio.")
    assert found["microphone"][0] == "ok"
    descriptions = [
        source["description"]
        for source in json.loads(sound_server.pactl("--format=json", "list", "sources"))
        if not source["name"].endswith(".monitor")
    ]
    assert found["microphone"][1] == f"{', '.join(descriptions)}."
    assert found["virtual microphone"][0] == "warn"
    assert start_command("virtual-mic", "on", env=sound_server.env).process.wait(20) == 0
    assert doctor(sound_server.env)["virtual microphone"][0] == "ok"


def test_cards_without_a_sound_server(cards, tmp_path, doctor):
    (tmp_path / "mic.raw").write_bytes(bytes(32_000))
    env = cards(tmp_path, desk=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1')
    found = doctor(env)
    assert found["microphone"] == ("ok", "desk.")
    assert found["sound server"][0] == found["virtual microphone"][0] == "warn"


def test_without_portaudio_it_says_what_to_install(sound_server, doctor, tmp_path):
    """The library is looked for by name: a sounddevice that finds none stands for a machine without one."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    found = doctor({**sound_server.env, "PYTHONPATH": str(tmp_path)})
    assert found["PortAudio"] == ("fail", "Live sound needs PortAudio.")
    assert found["microphone"][0] == "fail"
    assert found["sound server"][0] == "ok"


def test_a_sound_server_that_hangs_does_not_hang_the_doctor(at_a_server_that_hangs):
    found = at_a_server_that_hangs.found()
    assert found["microphone"][0] == "fail"
    assert found["sound server"][0] == "warn"
    assert found["runtimes"][0] == "ok"
