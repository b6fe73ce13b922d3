"""``edge-pse ctl`` and its protocol, with a stream that runs between simulated cards."""

import base64
import dataclasses
import io
import json
import socket
import stat
import subprocess
import time
import wave

import numpy as np
import pytest

from edge_pse import ProfileStore
from edge_pse.control import Control, protocol
from edge_pse.errors import ControlError
from tests.edge_pse.audio.running import COMMAND, share_found


@pytest.fixture(scope="module")
def env(cards, tmp_path_factory, speech_pcm, female_profile, male_profile):
    folder = tmp_path_factory.mktemp("control")
    np.resize(speech_pcm, 120 * 16_000).tofile(folder / "mic.raw")
    env = cards(
        folder,
        mic=f'infile "{folder}/mic.raw" rate 16000 channels 1',
        one=f'outfile "{folder}/one.raw" rate 16000 channels 1',
        two=f'outfile "{folder}/two.raw" rate 16000 channels 1',
    )
    store = ProfileStore(folder / "edge-pse" / "profiles")
    for name, profile in (("anna", female_profile), ("ben", male_profile)):
        store.save(dataclasses.replace(profile, name=name))
    return env


@pytest.fixture(scope="module")
def run(env, start_command):
    arguments = ("run", "--input", "mic", "--latency", "200", "--profile", "anna", "--output")
    command = start_command(*arguments, "one", env=env)
    command.wait_for("Running")
    return command


@pytest.fixture
def control(env, run, monkeypatch):
    monkeypatch.setenv("EDGE_PSE_HOME", env["EDGE_PSE_HOME"])
    return Control()


def ctl(env, *arguments, status=0):
    """What the command says."""
    done = subprocess.run(
        [*COMMAND, "ctl", *arguments],
        env=env, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return (done.stderr if status else done.stdout).strip()


def decoded(kept):
    """Samples of what is heard, int16."""
    with wave.open(io.BytesIO(base64.b64decode(kept["wav"]))) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getframerate() == kept["rate_hz"] == 16_000
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def sounding(latest):
    """What is heard as soon as there is something on both sides."""
    while None in (heard := latest()).values():
        time.sleep(0.02)
    return heard


@pytest.fixture
def raw(control):
    """A function: bytes to the socket -> all that it answers until it closes, or to the end of a line."""

    def say(content, lines=1):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(10)
            protocol.connect(stream, protocol.socket_path())
            stream.sendall(content)
            with stream.makefile("rb") as answers:
                return [json.loads(answers.readline()) for _ in range(lines)]

    return say


def test_what_is_set_is_what_runs(env, control):
    before = control.status()
    assert (before["profiles"], before["strength"], before["bypass"]) == (["anna"], 1.0, False)
    assert before["stream"]["input"] == "mic"
    assert ctl(env, "strength", "0.5") == "Strength 50%."
    assert ctl(env, "bypass") == "The sound passes as it is."
    assert ctl(env, "profile", "ben", "anna") == "Kept: ben and anna."
    now = json.loads(ctl(env, "status", "--json"))
    assert (now["profiles"], now["strength"], now["bypass"]) == (["ben", "anna"], 0.5, True)
    assert now["counters"]["hops"] > before["counters"]["hops"]
    shown = ctl(env, "status")
    assert "ben and anna" in shown and "mic" in shown and "Running: mic to one." in shown
    assert ctl(env, "profile") == "Kept: every voice."
    control.set(bypass=False, strength=1, profiles=["anna"])


def test_what_can_t_be_set_changes_nothing(control):
    for wrong in ({"profiles": ["nobody"], "bypass": True}, {"strength": 1.5, "profiles": []}):
        with pytest.raises(ControlError, match=r"nobody|from 0 to 1"):
            control.set(**wrong)
    assert (control.status()["profiles"], control.status()["bypass"]) == (["anna"], False)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"hello\n", "no line of this protocol"),
        (b"[1]\n", "no line of this protocol"),
        (b'{"do": "status"}\n', "speaks protocol 1"),
        (b'{"protocol": 2, "do": "status"}\n', "speaks protocol 1"),
        (b'{"protocol": 1, "do": "dance"}\n', "does not know what that means"),
        (b'{"protocol": 1, "do": "stop", "please": 1}\n', "does not know what that means"),
        (b'{"protocol": 1, "do": "set", "volume": 1}\n', "no 'volume' of that kind"),
        (b'{"protocol": 1, "do": "set", "bypass": 1}\n', "no 'bypass' of that kind"),
        (b'{"protocol": 1, "do": "set", "profiles": "anna"}\n', "no 'profiles' of that kind"),
        (b'{"protocol": 1, "do": "set", "strength": NaN}\n', "no line of this protocol"),
        (b"[" * 100_000 + b"\n", "no line of this protocol"),
        (b"x" * (protocol.MOST_LINE_BYTES + 1), "no line of this protocol"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_answered_with_a_sentence_and_the_stream_goes_on(raw, control, said, sentence):
    (answer,) = raw(said)
    assert (answer["protocol"], answer["ok"]) == (1, False)
    assert sentence in answer["error"]
    assert control.status()["stream"] is not None


def test_one_connection_may_ask_again_and_many_may_be_open(raw, control):
    request = protocol.encode({"do": "status"})
    first, second = raw(b"nonsense\n" + request, lines=2)
    assert (first["ok"], second["ok"]) == (False, True)
    idle = [socket.socket(socket.AF_UNIX) for _ in range(10)]
    for stream in idle:
        protocol.connect(stream, protocol.socket_path())
    assert control.status()["profiles"] == ["anna"]
    for stream in idle:
        stream.close()


def test_who_asks_hears_the_last_seconds_before_and_after_as_long_as_the_connection_is_open(
    control, speech_pcm
):
    control.set(strength=0, profiles=[])
    with control.hearing() as latest:
        heard = sounding(latest)
        first = decoded(heard["before"]).size
        while decoded(heard["after"]).size < 3 * 16_000:
            time.sleep(0.1)
            heard = latest()
    before, after = decoded(heard["before"]), decoded(heard["after"])
    assert first < before.size <= 10 * 16_000
    loop = np.resize(speech_pcm, 4 * speech_pcm.size)
    assert share_found(before, loop) > 0.9
    assert share_found(after[-32_000:], loop) > 0.6, "but where hops were added or dropped"
    with control.hearing() as latest:
        assert decoded(sounding(latest)["before"]).size < before.size, "what was kept for others is gone"
    control.set(strength=1, profiles=["anna"])


def test_nobody_else_can_reach_it(control):
    path = protocol.socket_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.chmod(0o755)
    try:
        with pytest.raises(ControlError, match="not a folder of this user alone"):
            control.status()
    finally:
        path.parent.chmod(0o700)


def test_a_second_stream_runs_without_and_what_a_killed_one_left_is_taken_over(
    env, run, control, start_command
):
    second = start_command("run", "--input", "mic", "--latency", "200", "--output", "two", env=env)
    second.wait_for("Another stream of this user runs, and other programs control that one, not this one.")
    second.wait_for("Running")
    assert control.status()["profiles"] == ["anna"]
    second.stop()
    assert control.status()["profiles"] == ["anna"], "the socket is the first one's"
    run.process.kill()
    run.process.wait()
    assert ctl(env, "status", status=1).startswith("Error: No stream runs here: start one first")
    third = start_command("run", "--input", "mic", "--latency", "200", "--output", "two", env=env)
    third.wait_for("Running")
    assert control.status()["profiles"] == []
    ctl(env, "stop")
    third.process.wait(10)
    assert third.process.returncode == 0
    assert not protocol.socket_path().exists()


def test_where_no_socket_can_be_the_sound_goes_all_the_same(env, start_command, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "run").write_text("a file")
    command = start_command(
        "run",
        "--input",
        "mic",
        "--latency",
        "200",
        "--output",
        "two",
        env={**env, "EDGE_PSE_HOME": str(home)},
    )
    command.wait_for("This stream can't be controlled by other programs: ")
    command.wait_for("Running")
    command.stop()
