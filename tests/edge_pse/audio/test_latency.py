"""How long the sound of ``edge-pse run`` really takes from microphone to loudspeaker, and what it says of it."""

import contextlib
import os
import re

import numpy as np
import pytest
import soxr

from edge_pse.audio.playback import to_pcm
from tests.edge_pse.audio.test_screen import Terminal

ASKED_MS = 40
MOST_BEYOND_MS = 40
"""Beyond the buffers of the devices: hop, network, changes of rate, and what waits in queues."""
SETTLED_S = 7
"""Starting up, finding the delay, giving back what was too much of it."""
HEARD_S = 1.5


@pytest.fixture
def voices(recording):
    return np.concatenate([recording(name) for name in ("ls367_speech", "ls3080_speech", "ls2033_speech")])


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_from_card_to_card_it_takes_as_long_as_is_shown_and_little_more_than_the_buffers(
    cards, tmp_path, voices, rate
):
    heard = to_pcm(soxr.resample(voices, 16_000, rate) if rate != 16_000 else voices)
    heard.tofile(tmp_path / "mic.raw")
    env = cards(
        tmp_path,
        mic=f'infile "{tmp_path}/mic.raw" rate {rate} channels 1 started "{tmp_path}/mic.started"',
        speaker=f'outfile "{tmp_path}/out.raw" rate {rate} channels 1 started "{tmp_path}/speaker.started"',
    )
    options = ("--input", "mic", "--output", "speaker", "--latency", str(ASKED_MS), "--strength", "0")
    terminal = Terminal("run", *options, env=env)
    try:
        with contextlib.suppress(PermissionError):  # what other programs take is not to be measured
            os.setpriority(os.PRIO_PROCESS, terminal.process.pid, -11)
        terminal.wait_for("Running: mic to speaker")
        terminal.watch(SETTLED_S)
        shown = re.findall(
            r"delay +(\d+) ms +of it (\d+) ms.*?underruns +(\d+)", terminal.watch(1), re.DOTALL
        )
    finally:
        terminal.process.kill()
    total_ms, devices_ms, underruns = map(int, shown[-1])
    (mic_started_s, _), (speaker_started_s, period_s) = (
        only_start(tmp_path / f"{card}.started") for card in ("mic", "speaker")
    )
    played = np.fromfile(tmp_path / "out.raw", np.int16)[: -rate // 10]
    begin = played.size - round(HEARD_S * rate)
    measured_ms = 1000 * (
        speaker_started_s + begin / rate - mic_started_s - place(played[begin:], heard) / rate
    )
    # PortAudio does not count the period that a card is at, and what runs dry is delay for some seconds.
    allowed_ms = MOST_BEYOND_MS + 1000 * period_s + 10 * underruns
    assert measured_ms - devices_ms <= allowed_ms
    assert abs(total_ms - measured_ms) <= 1000 * period_s


def only_start(path):
    """When the card started, and its period, in seconds; it must not have had to start again."""
    (line,) = path.read_text().splitlines()
    return tuple(float(word) for word in line.split())


def place(piece, samples):
    """Where ``piece`` is in ``samples``."""
    size = 2 ** int(np.ceil(np.log2(samples.size + piece.size)))
    spectra = [np.fft.rfft(x.astype(np.float32), size) for x in (samples, piece)]
    products = np.fft.irfft(spectra[0] * np.conj(spectra[1]), size)
    return int(np.argmax(products[: samples.size - piece.size]))
