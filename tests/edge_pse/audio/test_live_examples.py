"""The examples with devices and the snippets of ``docs/api.md``, between simulated cards, in real time."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse.audio.pcm import to_pcm
from tests.edge_pse.audio.running import again_if_busy, aligned

PROJECT = Path(__file__).parents[3]
EXAMPLES = PROJECT / "examples"
RATE_HZ = 16_000
UNDERRUN = r"\d+ underruns?: the delay grew a little and will be given back\."
NOISE = slice(RATE_HZ, 2 * RATE_HZ)  # the network has had a second to hear what it is


@pytest.fixture(scope="module")
def noisy(recording):
    """Speech that begins after two seconds of helicopter, which goes on below it."""
    speech = np.concatenate([np.zeros(2 * RATE_HZ, np.float32), recording("ls367_speech")])
    return speech, speech + 0.3 * np.resize(recording("helicopter"), speech.size)


@pytest.fixture
def devices(cards, tmp_path, noisy):
    """An environment in which ``mic``, the default, hears that and ``speaker``, too, writes what it is given."""
    to_pcm(noisy[1]).tofile(tmp_path / "mic.raw")
    env = cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1 started "{tmp_path}/started"',
        speaker=f'outfile "{tmp_path}/speaker.raw" rate 16000 channels 1',
    )
    with (tmp_path / "asoundrc").open("a") as configuration:
        configuration.write('pcm.!default { type asym capture.pcm "mic" playback.pcm "speaker" }\n')
    return env


@pytest.fixture
def played(devices, tmp_path, noisy):
    """``played("name", ...)`` -> what an example with these arguments played and printed until Ctrl-C."""

    def run(name, *arguments):
        (tmp_path / "started").unlink(missing_ok=True)
        command = [sys.executable, EXAMPLES / f"{name}.py", *arguments]
        process = subprocess.Popen(
            command, env=devices, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        until = time.monotonic() + 20
        while not (tmp_path / "started").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(noisy[1].size / RATE_HZ + 0.5)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=20)
        assert process.returncode == 0, printed
        return np.fromfile(tmp_path / "speaker.raw", np.int16).astype(np.float32) / 32768, printed

    return run


def check_speech_without_noise(noisy, out, si_sdr):
    """The noise before the speech is 10 dB fainter, and the speech is there; second by second, as some may be lost."""
    speech, heard = noisy
    where = slice(NOISE.start, 5 * RATE_HZ)  # found by the speech in it
    noise = aligned(speech[where], out)[: NOISE.stop - NOISE.start]
    assert 10 * np.log10(np.mean(heard[NOISE] ** 2) / np.mean(noise**2)) > 10
    seconds = [slice(second * RATE_HZ, (second + 1) * RATE_HZ) for second in range(3, 7)]
    gains = [
        si_sdr(speech[second], aligned(speech[second], out)) - si_sdr(speech[second], heard[second])
        for second in seconds
    ]
    assert np.median(gains) > 3, gains


def test_sounddevice_callback_plays_speech_without_noise(played, noisy, si_sdr):
    def listen():
        out, printed = played("sounddevice_callback", "--microphone", "mic", "--output", "speaker")
        assert printed == ""
        check_speech_without_noise(noisy, out, si_sdr)

    again_if_busy(listen)


def test_live_microphone_plays_speech_without_noise_and_says_how_it_goes(played, noisy, si_sdr):
    def listen():
        out, printed = played("live_microphone", "--microphone", "mic", "--output", "speaker")
        running, *said = printed.splitlines()
        status = [line for line in said if not re.fullmatch(UNDERRUN, line)]  # a busy machine has some
        assert running.startswith("Running: ")
        assert len(status) > 5, printed
        assert all(
            re.fullmatch(r"-?\d+ dBFS in, (-?\d+|-inf) dBFS out, \d+ ms late", line) for line in status
        ), printed
        check_speech_without_noise(noisy, out, si_sdr)

    again_if_busy(listen)


def test_the_snippets_of_the_api_page_run(devices, tmp_path, fixtures, noisy, recording, si_sdr):
    soundfile.write(tmp_path / "me.wav", recording("ls367_enrollment"), RATE_HZ)
    soundfile.write(tmp_path / "noisy.wav", noisy[1], RATE_HZ)
    soundfile.write(tmp_path / "mono-48-khz.wav", soxr.resample(noisy[1], RATE_HZ, 48_000), 48_000)
    snippets = re.findall(
        r"^```python\n(.*?)^```", (PROJECT / "docs/api.md").read_text(), re.DOTALL | re.MULTILINE
    )
    program = "\n".join(snippets) + "\nprint(sum(map(len, late)) - noisy.size - enhancer.delay_samples)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=devices, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "Running: " in done.stdout and "Status(" in done.stdout
    assert done.stdout.endswith("\n0\n")
    assert "This recording would not make a good profile." in done.stdout
    clean, _ = soundfile.read(tmp_path / "clean.flac", dtype="float32")
    assert si_sdr(noisy[0], clean) > si_sdr(*noisy) + 3
    assert np.fromfile(tmp_path / "speaker.raw", np.int16).any()


@pytest.mark.parametrize("name", ["live_microphone", "sounddevice_callback"])
def test_an_unknown_profile_is_said_in_a_sentence(name, devices):
    command = [sys.executable, EXAMPLES / f"{name}.py", "--profile", "nobody"]
    done = subprocess.run(command, env=devices, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no profile 'nobody' in ")
