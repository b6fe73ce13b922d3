"""All that a Raspberry Pi does, short of systemd, on an emulated one: ``make test-arm``.

The first time it builds a Debian for arm64 in ``.cache``, which takes a quarter of an hour. The tests go on from
one another, as a user does.
"""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import edge_pse
from edge_pse.audio.pcm import FULL_SCALE, to_pcm
from tests.edge_pse.audio.running import Command, share_found
from tests.targets import arm, debian, instructions

SECONDS = 1.2
SLOWER = 5
"""The emulator is slow, so the simulated cards are, too."""
TOLERANCE = 0.05
"""Of the instructions: the same program differs by a part of it from run to run."""


@pytest.fixture(scope="module")
def installed():
    arm.install()
    yield arm.ROOT
    arm.run("/opt/edge-pse/targets/install.sh", "--uninstall", "--purge")


@pytest.fixture(scope="module")
def said(recording):
    """The beginning of real speech, 16-bit samples."""
    return to_pcm(recording("ls367_speech"))[8_000 : 8_000 + round(SECONDS * 16_000)]


@pytest.fixture(scope="module")
def sounds(installed, fixtures, said):
    """A directory of the root with what is to be read, and its name from inside."""
    directory = installed / "opt/sounds"
    debian.remove_tree(directory)
    directory.mkdir()
    shutil.copy(fixtures / "ls367_enrollment.opus", directory)
    soundfile.write(directory / "in.wav", said, 16_000)
    return directory, "/opt/sounds"


def test_only_what_is_declared_is_needed(installed):
    arm.run(arm.PYTHON, "-m", "pip", "check")
    assert "edge-pse" in arm.run(arm.EDGE_PSE, "info").stdout


def test_a_voice_is_enrolled_from_a_file(sounds):
    _, inside = sounds
    said = arm.run(arm.EDGE_PSE, "enroll", "me", "--from", f"{inside}/ls367_enrollment.opus").stdout
    assert "Enrolled me" in said


@pytest.mark.parametrize("processor", arm.PROCESSORS)
def test_it_computes_what_any_processor_does(processor, sounds, model, said, recording):
    directory, inside = sounds
    words = (
        arm.EDGE_PSE,
        "enhance",
        f"{inside}/in.wav",
        "-o",
        f"{inside}/{processor}.wav",
        "--profile",
        "me",
    )
    arm.run(*words, env=arm.environment(processor))
    enhanced, _ = soundfile.read(directory / f"{processor}.wav", dtype="float32")
    profile = edge_pse.enroll(recording("ls367_enrollment"), 16_000, model=model)
    expected = edge_pse.Enhancer(model, profile).enhance(said.astype(np.float32) / FULL_SCALE, 16_000)
    # Other instructions round otherwise.
    assert np.std(enhanced - expected) < 0.01 * np.std(expected)


@pytest.mark.parametrize("processor", arm.PROCESSORS)
def test_it_measures_itself(processor, installed):
    words = (arm.EDGE_PSE, "bench", "--seconds", "0.5", "--json")
    (result,) = json.loads(arm.run(*words, env=arm.environment(processor)).stdout)
    assert result["backend"] == "litert"
    assert result["enhancer"]["p50_ms"] > 0


@pytest.fixture
def cards(installed, said):
    """Cards at a fifth of their pace, and the speech in the microphone."""
    directory = installed / "opt/cards"
    debian.remove_tree(directory)
    directory.mkdir()
    said.tofile(directory / "mic.raw")
    source = debian.PROJECT / "tests/edge_pse/audio/simulated_card.c"
    if not Path("/usr/include/alsa").exists():
        pytest.skip("a simulated sound card needs: apt-get install libasound2-dev")
    library = installed / "usr/lib/aarch64-linux-gnu/libasound.so.2"
    # The headers of ALSA are the same for every processor; those of the C library are not.
    (directory / "include").mkdir()
    (directory / "include/alsa").symlink_to("/usr/include/alsa")
    debian.run("aarch64-linux-gnu-gcc", "-O2", "-fPIC", "-shared", "-DPIC", "-I", directory / "include", source,
               "-o", directory / "card.so", library)  # fmt: skip
    pace = f"rate 16000 channels 1 clock {16_000 / SLOWER:.1f}"
    (directory / "asoundrc").write_text(
        'pcm_type.simulated.lib "/opt/cards/card.so"\n'
        f'pcm.mic {{ type simulated infile "/opt/cards/mic.raw" {pace} }}\n'
        f'pcm.speaker {{ type simulated outfile "/opt/cards/out.raw" {pace} }}\n'
    )
    return directory, {"ALSA_CONFIG_PATH": "/usr/share/alsa/alsa.conf:/opt/cards/asoundrc"}


def test_a_cortex_a53_runs_it_live(cards, said):
    """With the network at work; strength 0 then plays the input, so that every bit can be told."""
    directory, env = cards
    arguments = ("--input", "mic", "--output", "speaker", "--latency", "40", "--strength", "0")
    live = Command("run", *arguments, env=arm.environment() | env, program=arm.command(arm.EDGE_PSE))
    try:
        live.wait_for("Running: mic to speaker", 90)
        time.sleep(SECONDS * SLOWER + 3)
        numbers = live.stop()
    finally:
        live.kill()
    assert numbers["restarts"] == 0, live.lines
    assert share_found(said, np.fromfile(directory / "out.raw", np.int16)) > 0.8, numbers


def test_a_frame_takes_no_more_instructions_than_it_did(installed):
    """``python -m tests.targets.instructions --set`` sets the budget anew, after a change that is meant."""
    arm.install_onnx_too()
    counted = instructions.count()
    budget = json.loads(instructions.BUDGET.read_text())
    assert counted == pytest.approx(budget, rel=TOLERANCE)


def test_the_script_takes_away_all_but_the_voice(installed):
    arm.run("/opt/edge-pse/targets/install.sh", "--uninstall")
    home = installed / arm.HOME.lstrip("/")
    left = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() or path.is_symlink()}
    voices = ".local/share/edge-pse/profiles"
    assert {name for name in left if "edge" in name} == {f"{voices}/.lock", f"{voices}/me.profile.json"}
