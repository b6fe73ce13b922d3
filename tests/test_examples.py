"""The examples with files, run as their first lines say, in a folder that holds the recordings; see what they leave.

Those with devices are in ``tests/edge_pse/audio/test_live_examples.py``.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_pse import Enhancer, Profile, ProfileStore
from tests.edge_pse.audio.rooms import FAR_VOICES, room_response, voices

EXAMPLES = Path(__file__).parents[1] / "examples"
RATE_HZ = 16_000
FILE_EXAMPLES = ("enhance_file", "far_end", "profile_store", "streaming_blocks")


@pytest.fixture
def example(tmp_path, home):
    """``example("name", ...)`` -> what it printed, run in ``tmp_path``, where it has read and written."""

    def run(name, *arguments):
        command = [sys.executable, EXAMPLES / f"{name}.py", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def noisy(tmp_path, recording):
    """Speech that begins after two seconds of helicopter, which goes on below it; written as ``noisy.wav``."""
    speech = np.concatenate([np.zeros(2 * RATE_HZ, np.float32), recording("ls367_speech")])
    noisy = speech + 0.5 * np.resize(recording("helicopter"), speech.size)
    soundfile.write(tmp_path / "noisy.wav", noisy, RATE_HZ)
    return speech, noisy


def read(path):
    samples, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == RATE_HZ
    return samples


def reduction_db(before, after):
    return 10 * np.log10(np.mean(before**2) / np.mean(after**2))


def check_noise_gone(speech, noisy, clean, si_sdr):
    alone = slice(RATE_HZ, 2 * RATE_HZ)  # the network has had a second to hear what it is
    assert clean.size == noisy.size
    assert reduction_db(noisy[alone], clean[alone]) > 10
    assert si_sdr(speech, clean) > si_sdr(speech, noisy) + 3


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_each_example_says_how_to_run_it(path):
    assert f"\npython examples/{path.name}" in path.read_text()


@pytest.mark.parametrize("name", FILE_EXAMPLES)
def test_without_its_arguments_an_example_says_what_it_takes(name):
    for given, code in (["--help"], 0), ([], 2):
        command = [sys.executable, EXAMPLES / f"{name}.py", *given]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == code
        assert (done.stdout + done.stderr).startswith(f"usage: {name}.py ")


def test_enhance_file_takes_noise_away(example, tmp_path, noisy, si_sdr):
    example("enhance_file", "noisy.wav", "clean.wav")
    check_noise_gone(*noisy, read(tmp_path / "clean.wav"), si_sdr)


def test_enhance_file_keeps_one_voice(example, tmp_path, fixtures, recording, mix, si_sdr):
    speech = recording("ls367_speech")
    noisy = mix(speech, recording("ls2033_speech"), 0)
    soundfile.write(tmp_path / "noisy.wav", noisy, RATE_HZ)
    example("enhance_file", "noisy.wav", "clean.wav", fixtures / "ls367_enrollment.opus")
    assert si_sdr(speech, read(tmp_path / "clean.wav")) > si_sdr(speech, noisy) + 3


def test_streaming_blocks_gives_what_enhance_gives(example, tmp_path, noisy, model, si_sdr):
    example("streaming_blocks", "noisy.wav", "clean.wav")
    clean = read(tmp_path / "clean.wav")
    check_noise_gone(*noisy, clean, si_sdr)
    expected = Enhancer(model).enhance(read(tmp_path / "noisy.wav"), RATE_HZ)
    np.testing.assert_allclose(clean, expected, atol=2 / 32768)  # both files have 16 bits


def test_streaming_blocks_keeps_the_rate_and_refuses_one_without_whole_hops(
    example, tmp_path, full_band, model
):
    speech = full_band("msc4g8_speech")
    soundfile.write(tmp_path / "noisy.wav", speech, 48_000, "FLOAT")
    example("streaming_blocks", "noisy.wav", "clean.wav")
    clean, rate = soundfile.read(tmp_path / "clean.wav", dtype="float32")
    assert rate == 48_000
    np.testing.assert_allclose(clean, Enhancer(model).enhance(speech, rate), atol=2 / 32768)
    soundfile.write(tmp_path / "noisy.wav", speech, 22_050)
    command = [sys.executable, EXAMPLES / "streaming_blocks.py", "noisy.wav", "clean.wav"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert re.search("22050 Hz .*whole samples", done.stderr)


def test_profile_store_leaves_a_profile_that_keeps_its_voice(
    example, tmp_path, home, fixtures, recording, mix, si_sdr, model
):
    printed = example("profile_store", fixtures / "ls367_enrollment.opus", "me", "voices")
    assert re.fullmatch(r"me: \d+\.\d s of speech, \d+ dB over the noise\n", printed)
    store = ProfileStore(tmp_path / "voices")
    assert store.list() == ["me"]
    assert not ProfileStore(home / "profiles").list()  # those of the user are left alone
    store.import_(tmp_path / "me.exported.json", name="copy")
    speech = recording("ls367_speech")
    noisy = mix(speech, recording("ls2033_speech"), 0)
    for profile in (store.load("me"), store.load("copy")):
        assert isinstance(profile, Profile)
        enhanced = Enhancer(model, profile).enhance(noisy, RATE_HZ)
        assert si_sdr(speech, enhanced) > si_sdr(speech, noisy) + 3


def test_far_end_cancels_the_echo(example, tmp_path, recording, model):
    played = 0.5 * voices(recording, FAR_VOICES, 8)
    heard = np.convolve(played, room_response(0.2))[: played.size].astype(np.float32)
    soundfile.write(tmp_path / "loudspeaker.wav", played, RATE_HZ)
    soundfile.write(tmp_path / "microphone.wav", heard, RATE_HZ)
    example("far_end", "microphone.wav", "loudspeaker.wav", "clean.wav")
    converged = slice(4 * RATE_HZ, None)
    without = Enhancer(model).enhance(heard, RATE_HZ)
    assert reduction_db(heard[converged], without[converged]) < 3
    assert reduction_db(heard[converged], read(tmp_path / "clean.wav")[converged]) > 10


def test_what_is_wrong_is_said_in_a_sentence(tmp_path, home, recording):
    soundfile.write(tmp_path / "me.wav", recording("ls367_enrollment")[:RATE_HZ], RATE_HZ)
    command = [sys.executable, EXAMPLES / "profile_store.py", "me.wav", "me", "voices"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("This recording would not make a good profile.")
