"""The screen of ``edge-pse run`` and its keys, on a terminal."""

import contextlib
import os
import pty
import subprocess
import time

import pytest

from edge_pse import ProfileStore
from tests.edge_pse.audio.running import COMMAND


class Terminal:
    """A pseudo-terminal with the command in it."""

    def __init__(self, *arguments, env, program=COMMAND):
        ours, theirs = pty.openpty()
        self._terminal, self.seen = ours, ""
        os.set_blocking(ours, False)
        self.process = subprocess.Popen(
            [*program, *arguments], env={**env, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def press(self, key):
        self.seen = ""
        os.write(self._terminal, key.encode())

    def wait_for(self, text, seconds=20):
        until = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            self._look()

    def watch(self, seconds):
        """What is shown from now on, for some time."""
        self.seen, until = "", time.monotonic() + seconds
        while time.monotonic() < until:
            self._look()
        return self.seen

    def _look(self):
        time.sleep(0.05)
        with contextlib.suppress(BlockingIOError, OSError):
            self.seen += os.read(self._terminal, 65536).decode(errors="replace")


@pytest.fixture
def env(cards, tmp_path, speech_pcm):
    speech_pcm.tofile(tmp_path / "mic.raw")
    return cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1',
        speaker=f'outfile "{tmp_path}/out.raw" rate 16000 channels 1',
    )


def test_keys_change_bypass_strength_and_profile_while_it_runs(env, tmp_path, female_profile):
    ProfileStore(tmp_path / "edge-pse" / "profiles").save(female_profile)
    terminal = Terminal("run", "--input", "mic", "--output", "speaker", "--latency", "200", env=env)
    try:
        terminal.wait_for("Running: mic to speaker")
        terminal.wait_for("keeps every voice, strength 100%")
        terminal.press("b")
        terminal.wait_for("bypassed")
        terminal.press("b")
        terminal.wait_for("strength 100%")
        terminal.press("-")
        terminal.wait_for("strength 90%")
        terminal.press("p")
        terminal.wait_for(f"keeps {female_profile.name}")
        terminal.press("q")
        assert terminal.process.wait(20) == 0
        terminal.wait_for("0 restarts")
    finally:
        terminal.process.kill()


def test_a_key_says_how_far_auto_enrollment_is(env, tmp_path):
    run = ("run", "--input", "mic", "--output", "speaker", "--latency", "200", "--auto-enroll", "me")
    terminal = Terminal(*run, env=env)
    try:
        terminal.wait_for("[e] keep")
        terminal.wait_for("Running: mic to speaker")
        terminal.press("e")
        terminal.wait_for("15 s are needed")
        terminal.press("q")
        assert terminal.process.wait(20) == 0
        assert ProfileStore(tmp_path / "edge-pse" / "profiles").list() == []
    finally:
        terminal.process.kill()


def test_heat_and_throttling_are_shown(env, tmp_path):
    """With files of a Raspberry Pi bound over those of this machine, for the command alone."""
    for name, content in (
        ("thermal/thermal_zone0/temp", "71300"),
        ("platform/soc/soc:firmware/get_throttled", "50000"),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"{content}\n")
    places = {"thermal": "/sys/class/thermal", "platform": "/sys/devices/platform"}
    binds = " && ".join(f"mount --bind {tmp_path}/{name} {place}" for name, place in places.items())
    in_namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    tried = subprocess.run([*in_namespace, binds], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no files can be bound over those of /sys here: {tried.stderr.strip()}")
    run = ("run", "--input", "mic", "--output", "speaker", "--latency", "200")
    terminal = Terminal(*run, env=env, program=[*in_namespace, f'{binds} && exec "$@"', "sh", *COMMAND])
    try:
        terminal.wait_for("71 °C")
        assert "throttled" not in terminal.watch(1), "that was before, not now"
        (tmp_path / "platform/soc/soc:firmware/get_throttled").write_text("50005\n")
        terminal.wait_for("71 °C, throttled")
    finally:
        terminal.process.kill()
