"""Noise that is computed: with a seed it is the same everywhere, and it has all of the band."""

from __future__ import annotations

import numpy as np
import soxr

from evaluation.sets.scene import Synthetic, SyntheticKind

RATE_HZ = 48_000
"""All kinds are made at this rate and brought to that of the scene, where they sound the same."""
HISS_FROM_HZ = 4000.0
"""Of preamplifiers and small microphones: the level rises by 6 dB an octave up to here and is even above."""
LOWEST_HZ = 20.0
KEYS_PER_SECOND = 6.0
KEY_UP_SECONDS = (0.07, 0.13)
"""A key clicks as it is pressed and, weaker, as it is let go."""
KEY_UP_GAIN = 0.4
KEY_DECAY_SECONDS = (0.002, 0.008)
KEY_LOWEST_HZ = (500.0, 3000.0)
"""Where the spectrum of a click begins; it has no upper end."""


def synthetic_noise(noise: Synthetic, rate_hz: int) -> np.ndarray:
    """The noise at `rate_hz`, (round(seconds * rate_hz),) float32 with a root mean square of 0.1."""
    generator = np.random.default_rng(noise.seed)
    count = round(noise.seconds * RATE_HZ)
    samples = _keys(generator, count) if noise.kind == "keyboard" else _shaped(generator, count, noise.kind)
    samples *= 0.1 / np.sqrt(np.mean(np.square(samples)))
    resampled = samples if rate_hz == RATE_HZ else soxr.resample(samples, RATE_HZ, rate_hz)
    return resampled[: round(noise.seconds * rate_hz)].astype(np.float32)


def _shaped(generator: np.random.Generator, count: int, kind: SyntheticKind) -> np.ndarray:
    white = generator.standard_normal(count)
    if kind == "white":
        return white
    hertz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    gains = np.minimum(hertz / HISS_FROM_HZ, 1.0)
    if kind == "pink":
        gains = np.where(hertz < LOWEST_HZ, 0.0, 1 / np.sqrt(np.maximum(hertz, LOWEST_HZ)))
    return np.fft.irfft(np.fft.rfft(white) * gains, count)


def _keys(generator: np.random.Generator, count: int) -> np.ndarray:
    """Clicks at random times, as of somebody who types."""
    samples = np.zeros(count)
    for at in generator.integers(0, count, round(KEYS_PER_SECOND * count / RATE_HZ)):
        loudness = generator.uniform(0.3, 1.0)
        up = at + round(generator.uniform(*KEY_UP_SECONDS) * RATE_HZ)
        for start, gain in ((at, loudness), (up, KEY_UP_GAIN * loudness)):
            click = gain * _click(generator)[: max(count - start, 0)]
            samples[start : start + len(click)] += click
    return samples


def _click(generator: np.random.Generator) -> np.ndarray:
    decay = generator.uniform(*KEY_DECAY_SECONDS) * RATE_HZ
    white = generator.standard_normal(round(6 * decay))
    spectrum = np.fft.rfft(white * np.exp(-np.arange(len(white)) / decay))
    spectrum[np.fft.rfftfreq(len(white), 1 / RATE_HZ) < generator.uniform(*KEY_LOWEST_HZ)] = 0.0
    return np.fft.irfft(spectrum, len(white))
