"""A sound server that answers late, not at all, or oddly: a ``pactl`` of the test misbehaves when it is told to."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edge_pse.audio.devices import sound_server as server_side
from edge_pse.audio.devices import virtual_mic
from edge_pse.errors import SoundServerError
from tests.edge_pse.audio.running import COMMAND, need_pulseaudio

SOURCE = virtual_mic.SOURCE
LATENCY = ("--latency", "100")


class Pactl:
    """A ``pactl`` that does what it is told, and otherwise what the real one does."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self._mood = folder / "mood"
        script = folder / "pactl"
        script.write_text(
            f'#!/bin/sh\nmood=$(cat "{self._mood}" 2>/dev/null)\n'
            f'case "$mood" in\n  "") exec {shutil.which("pactl")} "$@" ;;\n'
            f'  slow) sleep 4 ;;\n  *) printf "%s" "$mood" ;;\nesac\ntest "$mood" != fail -a "$mood" != slow\n'
        )
        script.chmod(0o700)
        self.path = f"{folder}:{os.environ['PATH']}"

    def is_now(self, mood: str) -> None:
        self._mood.write_text(mood)


@pytest.fixture
def pactl(tmp_path):
    need_pulseaudio()
    return Pactl(tmp_path / "bin")


@pytest.fixture
def asked(pactl, monkeypatch):
    """The ``pactl`` of this process."""
    monkeypatch.setenv("PATH", pactl.path)
    return pactl


def test_no_answer_is_not_nobody(sound_server, start_command, pactl):
    env = {**sound_server.env, "PATH": pactl.path}
    run = start_command("run", "--input", "desk", "--output", "virtual", "--on-demand", *LATENCY, env=env)
    until = time.monotonic() + 20
    while SOURCE not in sound_server.pactl("list", "short", "sources"):
        assert time.monotonic() < until
        time.sleep(0.1)
    call = sound_server.listen(SOURCE)
    try:
        run.wait_for("Running")
        for mood in ("fail", '[{"index": 1, "odd', "slow"):
            pactl.is_now(mood)
            sound_server.pactl("set-source-mute", "desk", "0" if mood == "fail" else "1")
            time.sleep(2.5)
        assert not any("Nobody" in line for line in run.lines)
        pactl.is_now("")
    finally:
        call.kill()
        call.wait()
    run.wait_for("Nobody records any more", 15)
    run.stop()


def test_a_watch_that_ends_is_begun_again(sound_server, start_command):
    run = start_command(
        "run", "--input", "desk", "--output", "virtual", "--on-demand", *LATENCY, env=sound_server.env
    )
    until = time.monotonic() + 20
    while SOURCE not in sound_server.pactl("list", "short", "sources"):
        assert time.monotonic() < until
        time.sleep(0.1)
    call = sound_server.listen(SOURCE)
    try:
        run.wait_for("Running")
        for child in children(run.process.pid):
            if "subscribe" in child.read_text():
                os.kill(int(child.parent.name), signal.SIGKILL)
    finally:
        call.kill()
        call.wait()
    run.wait_for("Nobody records any more", 8)
    run.stop()


def children(process_id):
    """The command lines of the processes that a process has started."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == process_id:
                yield stat.with_name("cmdline")


def test_an_exception_while_asking_does_not_end_the_watch(sound_server, monkeypatch):
    for name, value in sound_server.env.items():
        monkeypatch.setenv(name, value)
    calls, asked_again = [], threading.Event()

    def on_change():
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise KeyError("something that nobody thought of")
        asked_again.set()

    changes = server_side.Subscription(on_change)
    try:
        assert asked_again.wait(3)
    finally:
        changes.close()


@pytest.mark.parametrize("mood", ["fail", "no JSON", "{}", "3", '"text"', "slow"])
def test_what_the_server_does_not_tell_is_not_made_up(asked, monkeypatch, mood):
    monkeypatch.setattr(server_side, "_TIMEOUT_S", 0.2)
    asked.is_now(mood)
    for question in (
        lambda: server_side.recorders(SOURCE, 1),
        lambda: server_side.list_devices("input"),
        lambda: server_side.routing(1),
    ):
        with pytest.raises(SoundServerError, match="does not answer"):
            question()
    if mood in ("fail", "slow"):
        for question in (server_side.default_sink, server_side.default_source, server_side.modules):
            with pytest.raises(SoundServerError):
                question()
        assert server_side.kind_of_server() is None


def test_entries_that_lack_something_do_not_hide_the_others(asked):
    sources = [
        3,
        {"index": "x", "name": "no index"},
        {"index": 1},
        {"index": 2, "name": "bare", "description": None, "properties": []},
        {"index": 3, "name": "odd", "description": "An odd one", "sample_specification": "dsd ch Hz"},
        {"index": 4, "name": "good", "description": "A\ttab", "sample_specification": "s16le 6ch 96000Hz"},
    ]
    asked.is_now(json.dumps(sources).replace("\\t", "\t"))
    found = {device.name: device for device in server_side.list_devices("input")}
    assert set(found) == {"bare", "odd", "good"}
    assert (found["bare"].description, found["odd"].description) == ("bare", "An odd one")
    assert (found["good"].rate_hz, found["good"].channels) == (96_000, 6)


def test_a_question_that_failed_once_is_asked_again(sound_server, asked, monkeypatch):
    for name, value in sound_server.env.items():
        if name != "PATH":
            monkeypatch.setenv(name, value)
    asked.is_now("fail")
    threading.Timer(0.15, asked.is_now, [""]).start()
    assert "desk" in {device.name for device in server_side.list_devices("input")}


DESCRIPTIONS = {"usbmic": "Микрофон-Größe", "plainmic": "Jabra"}


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C.UTF-8"},
    ],
    ids=["C", "ASCII only", "output in Latin-1"],
)
def test_a_device_is_found_by_what_it_is_in_every_locale(sound_server, start_command, locale):
    for name, description in DESCRIPTIONS.items():
        sound_server.pactl(
            "load-module", "module-remap-source", f"source_name={name}", "master=room.monitor",
            f"source_properties=device.description='{description}'",
        )  # fmt: skip
    env = {**sound_server.env, **locale}
    listed = start_command("devices", env=env)
    # As a terminal gives it: bytes.
    runs = [
        start_command("run", "--input", wanted, "--output", "other", *LATENCY, env=env)
        for wanted in (os.fsencode("größe"), "Gr\N{LATIN SMALL LETTER O}\N{COMBINING DIAERESIS}ße".encode())
    ]
    for run in runs:
        run.wait_for("Running: ")
    assert listed.process.wait(20) == 0
    rows = {line.split()[1]: line for line in listed.lines if line.startswith("in ")}
    assert "Jabra" in rows["plainmic"]
    if len(locale) == 1:
        assert DESCRIPTIONS["usbmic"] in rows["usbmic"]
        assert any(DESCRIPTIONS["usbmic"] in line for line in runs[0].lines)
    assert not any("Traceback" in line for line in (*listed.lines, *runs[0].lines))
    for run in runs:
        run.stop()


OPENS_WHILE_IT_HANGS = """
import os, signal, sys
from queue import SimpleQueue
from edge_pse.audio.devices import find_format, resolve
from edge_pse.audio.devices.streams import InputStream
from edge_pse.errors import StreamHungError

device = resolve("input", "desk")
found = find_format(device)
before = dict(os.environ)
os.kill(int(sys.argv[1]), signal.SIGSTOP)
try:
    InputStream(device, found, 0.1, SimpleQueue(), 100)
except StreamHungError:
    os._exit(0 if dict(os.environ) == before else 3)  # the usual way out waits for the thread that hangs
os._exit(4)
"""


def test_a_server_that_hangs_while_a_device_opens_leaves_the_process_that_comes_next_its_devices(
    sound_server,
):
    """That one would record what it was told for one stream with all of them."""
    process = sound_server.process.pid
    try:
        done = subprocess.run(
            [sys.executable, "-c", OPENS_WHILE_IT_HANGS, str(process)], env=sound_server.env, timeout=120
        )
    finally:
        os.kill(process, signal.SIGCONT)
    assert done.returncode == 0


def test_a_server_that_hangs_is_said_to_and_holds_no_command_up(sound_server):
    """PortAudio looks into it when it starts, and would hang with it."""
    process = sound_server.process.pid
    os.kill(process, signal.SIGSTOP)
    try:
        started = [
            subprocess.Popen(
                [*COMMAND, *words],
                env=sound_server.env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for words in (("devices",), ("devices", "--json"), ("run", "--input", "desk"))
        ]
        ended = [(command.communicate(timeout=20), command.returncode) for command in started]
    finally:
        os.kill(process, signal.SIGCONT)
    for (said, complained), status in ended:
        assert (said, status) == ("", 1)
        assert complained.startswith("Error: The sound server does not answer") and "restart" in complained
