"""The virtual microphone and a live run at a private PipeWire: ``make test-pipewire``."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from edge_pse.audio.devices.virtual_mic import SOURCE
from tests.edge_pse.audio.running import SoundServer, aligned
from tests.edge_pse.graphs import far_end_model

PROGRAMS = ("pipewire", "wireplumber", "pipewire-pulse", "dbus-run-session", "pactl", "parec", "paplay")
ROOM = """
context.objects = [
  { factory = adapter args = {
      factory.name = support.null-audio-sink  node.name = room  media.class = Audio/Sink
      audio.rate = 48000  audio.channels = 2  audio.position = [ FL FR ] } }
]
"""


class PipeWire(SoundServer):
    """A private PipeWire with WirePlumber and its PulseAudio side; ``room.monitor`` is its microphone."""

    def __init__(self, root: Path):
        super().__init__(root)
        configuration = root / ".config" / "pipewire" / "pipewire.conf.d"
        configuration.mkdir(parents=True)
        (configuration / "room.conf").write_text(ROOM)
        for name in ("PULSE_RUNTIME_PATH", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
            self.env.pop(name, None)
        self.env["XDG_STATE_HOME"] = str(root / ".state")

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["dbus-run-session", "--", "sh", "-c", "pipewire & wireplumber & pipewire-pulse & wait"],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(100):
            listed = subprocess.run(
                ["pactl", "list", "short", "sources"], env=self.env, capture_output=True, text=True
            )
            if "room.monitor" in listed.stdout:
                return
            time.sleep(0.1)
        raise AssertionError("the private PipeWire does not answer")

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def pipewire(portaudio, tmp_path):
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(
            f"{', '.join(missing)} missing: apt-get install pipewire pipewire-pulse wireplumber dbus "
            "pulseaudio-utils"
        )
    server = PipeWire(tmp_path / "server")
    server.start()
    yield server
    server.kill()


def test_the_virtual_microphone_carries_speech_and_outlives_the_server(pipewire, start_command, speech_pcm):
    on = start_command("virtual-mic", "on", env=pipewire.env)
    assert on.process.wait(20) == 0, "\n".join(on.lines)
    arguments = ("--input", "room.monitor", "--output", "virtual", "--strength", "0", "--latency", "100")
    run = start_command("run", *arguments, env=pipewire.env)
    run.wait_for("Running")
    for round_ in range(2):
        player = pipewire.play(np.tile(speech_pcm, 3))
        recorded = pipewire.record(SOURCE, 5)[32_000:].astype(np.float32)
        player.kill()
        reference = np.tile(speech_pcm, 3).astype(np.float32)
        pieces = np.split(recorded, 12)
        similar = [np.corrcoef(piece, aligned(piece, reference))[0, 1] for piece in pieces]
        assert np.median(similar) > 0.9
        if round_ == 0:
            pipewire.kill()
            run.wait_for("Waiting for it", 5)
            pipewire.start()
            run.wait_for("Running again", 5)
    assert pipewire.pactl("list", "short", "sources").count(f"\t{SOURCE}\t") == 1
    assert run.stop()["restarts"] >= 1
    off = start_command("virtual-mic", "off", env=pipewire.env)
    assert off.process.wait(20) == 0, off.lines
    assert SOURCE not in pipewire.pactl("list", "short", "sources")


def test_the_virtual_microphone_is_there_again_after_a_restart(pipewire, start_command):
    on = start_command("virtual-mic", "on", env=pipewire.env)
    assert on.process.wait(20) == 0, on.lines
    pipewire.kill()
    pipewire.start()
    for _ in range(20):
        if SOURCE in pipewire.pactl("list", "short", "sources"):
            break
        time.sleep(0.1)
    status = start_command("virtual-mic", "status", env=pipewire.env)
    assert status.process.wait(20) == 0
    status.wait_for("after restart  there")
    assert "microphone     there" in status.lines


def test_the_far_end_is_what_the_default_output_plays(pipewire, start_command, speech_pcm, tmp_path):
    passing = far_end_model(tmp_path / "passing.onnx", 0, 1)
    speaker = ("module-null-sink", "sink_name=speaker", "rate=48000", "channels=2")
    module = pipewire.pactl("load-module", *speaker)
    pipewire.pactl("set-default-sink", "speaker")
    arguments = ("--input", "room.monitor", "--output", "virtual", "--loopback", "auto", "--latency", "100")
    run = start_command("run", *arguments, "--model", str(passing), env=pipewire.env)
    run.wait_for("Listening to")
    player = pipewire.play(np.tile(speech_pcm, 3), "speaker")
    recorded = pipewire.record(SOURCE, 5)[48_000:].astype(np.float32)
    player.kill()
    similar = [
        np.corrcoef(piece, aligned(piece, np.tile(speech_pcm, 3)))[0, 1] for piece in np.split(recorded, 8)
    ]
    assert np.median(similar) > 0.9
    pipewire.pactl("unload-module", module)
    run.wait_for("Echo stays until there is a far end again", 6)
    assert run.stop()["restarts"] == 0, run.lines
