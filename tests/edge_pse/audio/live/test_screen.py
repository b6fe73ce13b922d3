"""The screen of ``edge-pse run`` and its keys, on a terminal."""

import subprocess

import pytest

from edge_pse import ProfileStore
from tests.edge_pse.audio.running import COMMAND
from tests.edge_pse.audio.terminal import Terminal


@pytest.fixture
def env(cards, tmp_path, speech_pcm):
    speech_pcm.tofile(tmp_path / "mic.raw")
    return cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1',
        speaker=f'outfile "{tmp_path}/out.raw" rate 16000 channels 1',
    )


def test_keys_change_bypass_strength_and_profile_while_it_runs(env, tmp_path, female_profile, male_profile):
    store = ProfileStore(tmp_path / "edge-pse" / "profiles")
    store.save(female_profile)
    store.save(male_profile)
    both = ("--profile", female_profile.name, "--profile", male_profile.name)
    run = ("run", "--input", "mic", "--output", "speaker", "--latency", "200", "--who", *both)
    terminal = Terminal(*run, env=env)
    try:
        terminal.wait_for("Running: mic to speaker")
        terminal.wait_for(f"keeps {female_profile.name} and {male_profile.name}, ")
        terminal.wait_for("Who speaks is a guess.")
        terminal.wait_for("% likely")
        terminal.type("p")
        terminal.wait_for("keeps every voice, strength 100%")
        terminal.type("b")
        terminal.wait_for("bypassed")
        terminal.type("b")
        terminal.wait_for("strength 100%")
        terminal.type("-")
        terminal.wait_for("strength 90%")
        terminal.type("p")
        terminal.wait_for(f"keeps {male_profile.name}, ")
        terminal.type("pp")
        terminal.wait_for(f"keeps {female_profile.name} and {male_profile.name}, ")
        terminal.type("q")
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
        terminal.type("e")
        terminal.wait_for("15 s are needed")
        terminal.type("q")
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
