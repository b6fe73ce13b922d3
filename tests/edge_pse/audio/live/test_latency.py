"""How long the sound of ``edge-pse run`` really takes from microphone to loudspeaker, and what it says of it."""

import contextlib
import os
import re
import time

import numpy as np
import pytest
import soxr

from edge_pse.audio.pcm import to_pcm
from tests.edge_pse.audio.terminal import Terminal

ASKED_MS = 40
MOST_BEYOND_MS = 40
"""Beyond the buffers of the devices: hop, network, changes of rate, and what waits in queues."""
FOUND_S = 5
"""Starting up, and finding the delay."""
GIVEN_BACK_S = 20
"""If other programs have made it longer."""
HEARD_S = 1.5


@pytest.fixture
def voices(recording):
    names = ("ls367_speech", "ls3080_speech", "ls2033_speech", "ls1688_speech", "ls367_enrollment")
    return np.concatenate([recording(name) for name in names])


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
        terminal.watch(FOUND_S)
        until = time.monotonic() + GIVEN_BACK_S
        while True:
            measured_ms, total_ms, devices_ms, period_ms = look(terminal, tmp_path, heard, rate)
            # PortAudio does not count the period that a card is at.
            little_more = measured_ms - devices_ms <= MOST_BEYOND_MS + period_ms
            as_shown = abs(total_ms - measured_ms) <= period_ms
            if little_more and as_shown:
                break
            assert time.monotonic() < until, (measured_ms, total_ms, devices_ms)
    finally:
        terminal.process.kill()


def look(terminal, directory, heard, rate):
    """In ms: the delay from card to card, what is shown of it, of that in the devices, and a period of a card."""
    shown = re.findall(r"delay +(\d+) ms +of it (\d+) ms", terminal.watch(1))[-1]
    played = np.fromfile(directory / "out.raw", np.int16)[: -rate // 10]
    begin = played.size - round(HEARD_S * rate)
    mic, speaker = (only_start(directory / f"{card}.started") for card in ("mic", "speaker"))
    delay_s = speaker[0] + begin / rate - mic[0] - place(played[begin:], heard) / rate
    return 1000 * delay_s, int(shown[0]), int(shown[1]), 1000 * speaker[1]


def only_start(path):
    """When the card started, and its period, in seconds; skips if it had to start again."""
    starts = path.read_text().splitlines()
    if len(starts) > 1:
        pytest.skip(
            "this machine was too busy: a card has lost samples, and the delay can't be told from them"
        )
    started_s, period_s = starts[0].split()
    return float(started_s), float(period_s)


def place(piece, samples):
    """Where ``piece`` is in ``samples``."""
    size = 2 ** int(np.ceil(np.log2(samples.size + piece.size)))
    spectra = [np.fft.rfft(x.astype(np.float32), size) for x in (samples, piece)]
    products = np.fft.irfft(spectra[0] * np.conj(spectra[1]), size)
    return int(np.argmax(products[: samples.size - piece.size]))
