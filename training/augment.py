"""What happens to sound on its way: rooms, microphones, synthetic noise. Batches of clips, on any device."""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch
from torch import Tensor

from training.network import SAMPLE_RATE_HZ

_CONTROL_POINTS = 7


def convolve(clips: Tensor, responses: Tensor) -> Tensor:
    """Each clip (clip, sample) through its own response (clip, tap), cut to the clip's length."""
    length = clips.shape[1]
    size = scipy.fft.next_fast_len(length + responses.shape[1] - 1, real=True)
    return torch.fft.irfft(torch.fft.rfft(clips, size) * torch.fft.rfft(responses, size), size)[:, :length]


def random_equaliser(random: np.random.Generator, count: int, spread_db: float, taps: int = 512) -> Tensor:
    """``count`` minimum-phase responses (count, taps) of made-up microphones: uneven, tilted, some band-limited."""
    hertz = np.fft.rfftfreq(2 * taps, 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(hertz, 40) / 40)
    points = np.linspace(0, octaves[-1], _CONTROL_POINTS)
    curves_db = np.stack(
        [
            np.interp(octaves, points, random.uniform(-spread_db, spread_db, _CONTROL_POINTS))
            for _ in range(count)
        ]
    )
    curves_db += random.uniform(-2, 2, (count, 1)) * (octaves - octaves.mean()) * spread_db / 8
    low_hz = np.where(random.random(count) < 0.3, random.uniform(60, 300, count), 20)[:, None]
    high_hz = np.where(random.random(count) < 0.2, random.uniform(3400, 7500, count), 1e5)[:, None]
    # A resampler takes the uppermost bins away, and nothing else: a voice must not hang on them.
    resampled_hz = np.where(random.random(count) < 0.4, random.uniform(7000, 8000, count), 1e5)[:, None]
    curves_db -= np.clip(24 * np.log2(low_hz / np.maximum(hertz, 1)), 0, 60)
    curves_db -= np.clip(48 * np.log2(np.maximum(hertz, 1) / high_hz), 0, 60)
    curves_db -= np.clip(600 * np.log2(np.maximum(hertz, 1) / resampled_hz), 0, 60)
    return torch.from_numpy(_minimum_phase(curves_db, taps).astype(np.float32))


def random_loudspeaker(random: np.random.Generator, count: int, taps: int = 512) -> Tensor:
    """``count`` minimum-phase responses (count, taps) of small and better loudspeakers: little bass, uneven."""
    hertz = np.maximum(np.fft.rfftfreq(2 * taps, 1 / SAMPLE_RATE_HZ), 1)
    octaves = np.log2(np.maximum(hertz, 100) / 100)
    points = np.linspace(0, octaves[-1], 2 * _CONTROL_POINTS)
    curves_db = np.stack(
        [np.interp(octaves, points, random.uniform(-6, 6, len(points))) for _ in range(count)]
    )
    low_hz = 60 * 2 ** random.uniform(0, 3.7, (count, 1))  # up to 780 Hz
    high_hz = random.uniform(3500, 12000, (count, 1))
    curves_db -= np.clip(random.uniform(6, 24, (count, 1)) * np.log2(low_hz / hertz), 0, 60)
    curves_db -= np.clip(24 * np.log2(hertz / high_hz), 0, 60)
    return torch.from_numpy(_minimum_phase(curves_db, taps).astype(np.float32))


def _minimum_phase(curves_db: np.ndarray, taps: int) -> np.ndarray:
    """By the real cepstrum folded onto positive times."""
    log_magnitude = curves_db * (np.log(10) / 20)
    cepstrum = np.fft.irfft(log_magnitude, 2 * taps)
    cepstrum[:, 1:taps] *= 2
    cepstrum[:, taps + 1 :] = 0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), 2 * taps)[:, :taps]


def synthetic_noise(random: np.random.Generator, count: int, length: int) -> Tensor:
    """Fans, hum, hiss, rumble: coloured noise, slowly modulated, some with mains harmonics. Unit power."""
    hertz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 20)
    seconds = np.arange(length) / SAMPLE_RATE_HZ
    noises = np.empty((count, length))
    for i in range(count):
        spectrum = random.normal(size=len(hertz)) + 1j * random.normal(size=len(hertz))
        noise = np.fft.irfft(spectrum * hertz ** random.uniform(-1.2, 0.3), length)
        noise /= noise.std()
        if random.random() < 0.5:
            rate_hz, phase = random.uniform(0.2, 8), random.uniform(0, 2 * np.pi)
            noise *= 1 + random.uniform(0, 0.9) * np.sin(2 * np.pi * rate_hz * seconds + phase)
        if random.random() < 0.3:
            mains_hz = random.choice([50.0, 60.0, random.uniform(80, 400)])
            for harmonic in range(1, random.integers(2, 12)):
                amplitude = random.uniform(0, 1) / harmonic**0.5
                noise += amplitude * np.sin(
                    2 * np.pi * mains_hz * harmonic * seconds + random.uniform(0, 2 * np.pi)
                )
        noises[i] = noise / noise.std()
    return torch.from_numpy(noises.astype(np.float32))
