"""``edge-pse doctor`` at private sound servers and simulated cards, healthy and not."""

import json
import os
import signal
import time

import pytest

from tests.edge_pse.audio.running import COMMAND, Command

SLOWEST_S = 45


@pytest.fixture
def doctor():
    """``doctor(env)`` -> its exit status, and the status and sentence of each check by its name."""
    started = []

    def examine(env):
        command = Command("doctor", env={**env, "COLUMNS": "200"}, program=COMMAND)
        started.append(command)
        status = command.process.wait(SLOWEST_S)
        command.wait_for("warning", 5)
        columns = len("fail  "), len("fail  virtual microphone  ")
        found = {}
        for line in command.lines:
            if line.startswith(("ok ", "warn ", "fail ")):
                name = line[columns[0] : columns[1]].strip()
                found[name] = (line.split()[0], line[columns[1] :])
            elif line.startswith(" "):
                assert line.strip()  # advice
        failed = [name for name, (verdict, _) in found.items() if verdict == "fail"]
        assert status == (1 if failed else 0), command.lines
        return found

    yield examine
    for command in started:
        command.kill()


def test_a_sound_server_with_a_microphone_is_all_that_is_needed(sound_server, doctor, start_command):
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


def test_a_sound_server_that_hangs_does_not_hang_the_doctor(sound_server, doctor):
    os.kill(sound_server.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        found = doctor(sound_server.env)
        assert time.monotonic() - began < SLOWEST_S
    finally:
        os.kill(sound_server.process.pid, signal.SIGCONT)
    assert found["microphone"][0] == "fail"
    assert found["sound server"][0] == "warn"
    assert found["runtimes"][0] == "ok"


def test_without_portaudio_it_says_what_to_install(sound_server, doctor, tmp_path):
    """The library is looked for by name: a sounddevice that finds none stands for a machine without one."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    found = doctor({**sound_server.env, "PYTHONPATH": str(tmp_path)})
    assert found["PortAudio"] == ("fail", "Live sound needs PortAudio.")
    assert found["microphone"][0] == "fail"
    assert found["sound server"][0] == "ok"
