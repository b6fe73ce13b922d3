"""Voices of more than half of the band, made of those of the fixtures, which end at 8 kHz."""

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

COPIED_HZ = (3_000, 7_500)
RAISED_HZ = 5_500
TREBLE_HZ = (9_000, 12_500)
"""Well inside of what is added."""


def with_treble(speech: Samples, rate_hz: int) -> Samples:
    """Speech, (samples,) float32 at 16 kHz -> at another rate, with a treble that comes and goes as its consonants do.

    What it has from 3 to 7.5 kHz is there again from 8.5 to 13 kHz, 6 dB fainter, as far as the rate reaches.
    """
    out = soxr.resample(speech, 16_000, rate_hz).astype(np.float32) if rate_hz != 16_000 else speech
    spectrum = np.fft.rfft(out)
    bins_per_hz = out.size / rate_hz
    begin, end = (round(hz * bins_per_hz) for hz in COPIED_HZ)
    raised = begin + round(RAISED_HZ * bins_per_hz)
    there = max(0, min(end - begin, spectrum.size - raised))
    spectrum[raised : raised + there] += 0.5 * spectrum[begin : begin + there]
    return np.asarray(np.fft.irfft(spectrum, out.size), np.float32)


def treble_db(samples: Samples, rate_hz: int) -> float:
    """Level of the treble, dB."""
    spectrum = np.fft.rfft(samples * np.hanning(samples.size))
    band = slice(*(round(hz * samples.size / rate_hz) for hz in TREBLE_HZ))
    power = np.sum(np.abs(spectrum[band]) ** 2) / np.sum(np.hanning(samples.size) ** 2) / samples.size
    return float(10 * np.log10(max(2 * power, 1e-15)))
