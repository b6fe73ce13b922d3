"""What happens to sound on its way: rooms, microphones, synthetic noise. Batches of clips, on any device."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
import torch
from torch import Tensor
from torch.nn import functional as F

from training.device import to_device
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ

_TAPS = 512  # of the responses of microphones and loudspeakers
_CONTROL_POINTS = 7
_HARMONICS = 11  # of the mains, fewer than these
_AGC_WINDOW_HOPS = 40
_AGC_MOST_DB = 12.0
_MU = 255  # of G.711's companding


def convolve(clips: Tensor, responses: Tensor) -> Tensor:
    """Each clip (clip, sample) through its own response (clip, tap), cut to the clip's length."""
    length = clips.shape[1]
    size = scipy.fft.next_fast_len(length + responses.shape[1] - 1, real=True)
    return torch.fft.irfft(torch.fft.rfft(clips, size) * torch.fft.rfft(responses, size), size)[:, :length]


def random_equaliser(
    random: np.random.Generator,
    count: int,
    spread_db: float,
    device: torch.device | None = None,
) -> Tensor:
    """``count`` minimum-phase responses (count, _TAPS) of made-up microphones: uneven, tilted, some band-limited."""
    hertz, octaves = _frequencies(40, device)
    curves_db = _uneven_db(random, count, spread_db, octaves, _CONTROL_POINTS)
    tilt = to_device(random.uniform(-2, 2, (count, 1)) * spread_db / 8, hertz.device)
    curves_db = curves_db + tilt * (octaves - octaves.mean())
    low_hz = np.where(random.random(count) < 0.3, random.uniform(60, 300, count), 20)
    high_hz = np.where(random.random(count) < 0.2, random.uniform(3400, 7500, count), 1e5)
    curves_db = curves_db - _beyond_db(hertz, low_hz, -24.0) - _beyond_db(hertz, high_hz, 48.0)
    return _minimum_phase(curves_db - _beyond_db(hertz, _resampled_hz(random, count), 600.0, 90.0))


def _resampled_hz(random: np.random.Generator, count: int) -> np.ndarray:
    """Above which nothing is left of ``count`` recordings, (count,): a resampler or a codec took that, and nothing
    else, away. A voice must not hang on it.
    """
    edges_hz = np.array([[7000, 8000], [3300, 4000], [4000, 7000]])  # uppermost bins; telephones; all between
    kind = random.choice(len(edges_hz), count, p=[0.4, 0.35, 0.25])
    return np.where(random.random(count) < 0.5, random.uniform(*edges_hz[kind].T), 1e5)


def random_loudspeaker(random: np.random.Generator, count: int, device: torch.device | None = None) -> Tensor:
    """``count`` minimum-phase responses (count, _TAPS) of small and better loudspeakers: little bass, uneven."""
    hertz, octaves = _frequencies(100, device)
    curves_db = _uneven_db(random, count, 6.0, octaves, 2 * _CONTROL_POINTS)
    low_hz = 60 * 2 ** random.uniform(0, 3.7, count)  # up to 780 Hz
    high_hz = random.uniform(3500, 12000, count)
    curves_db = curves_db - _beyond_db(hertz, low_hz, -random.uniform(6, 24, count))
    return _minimum_phase(curves_db - _beyond_db(hertz, high_hz, 24.0))


def _frequencies(lowest_hz: float, device: torch.device | None) -> tuple[Tensor, Tensor]:
    """Of the bins of twice _TAPS, in hertz, and in octaves above ``lowest_hz``, not below: (bin,), (bin,)."""
    hertz = torch.fft.rfftfreq(2 * _TAPS, 1 / SAMPLE_RATE_HZ, device=device).clamp_min(1)
    return hertz, torch.log2(hertz.clamp_min(lowest_hz) / lowest_hz)


def _uneven_db(
    random: np.random.Generator, count: int, spread_db: float, octaves: Tensor, points: int
) -> Tensor:
    """``count`` curves over ``octaves``, straight between ``points`` random heights: (count, bin)."""
    heights = to_device(random.uniform(-spread_db, spread_db, (count, points)), octaves.device)
    position = octaves / octaves[-1] * (points - 1)
    distance = (position - torch.arange(points, device=octaves.device)[:, None]).abs()
    return heights @ (1 - distance).clamp_min(0)


def _beyond_db(
    hertz: Tensor, edge_hz: np.ndarray, slope_db: float | np.ndarray, most_db: float = 60.0
) -> Tensor:
    """What a filter takes away above its edge, or below it where the slope, in dB an octave, is negative,
    up to ``most_db``: (count, bin).
    """
    slope = to_device(np.broadcast_to(slope_db, edge_hz.shape)[:, None], hertz.device)
    return (slope * torch.log2(hertz / to_device(edge_hz[:, None], hertz.device))).clamp(0, most_db)


def _minimum_phase(curves_db: Tensor) -> Tensor:
    """By the real cepstrum folded onto positive times."""
    cepstrum = torch.fft.irfft(curves_db * (math.log(10) / 20), 2 * _TAPS)
    fold = torch.zeros(2 * _TAPS, device=curves_db.device)
    fold[0] = fold[_TAPS] = 1
    fold[1:_TAPS] = 2
    return torch.fft.irfft(torch.exp(torch.fft.rfft(cepstrum * fold)), 2 * _TAPS)[:, :_TAPS]


def automatic_gain(clips: Tensor, strength: Tensor) -> Tensor:
    """What automatic gain control multiplies clips (clip, sample) of whole hops by: (clip, sample).

    ``strength`` (clip,): 0 does nothing, 1 makes the mean power of each 0.4 s that of the whole clip, within 12 dB.
    """
    power = clips.unflatten(1, (-1, HOP_SAMPLES)).square().mean(2)[:, None]
    past = F.pad(power, (_AGC_WINDOW_HOPS - 1, 0), mode="replicate")
    recent = F.avg_pool1d(past, _AGC_WINDOW_HOPS, 1)
    level_db = 10 * torch.log10((recent + 1e-9) / (power.mean(2, keepdim=True) + 1e-9))
    gain_db = (-strength[:, None, None] * level_db).clamp(-_AGC_MOST_DB, _AGC_MOST_DB)
    return 10 ** (F.interpolate(gain_db, size=clips.shape[1], mode="linear")[:, 0] / 20)


def telephone(clips: Tensor) -> Tensor:
    """Clips (clip, sample) within -1..1 in eight bits a sample on a logarithmic scale, as G.711's mu-law has them."""
    coded = clips.sign() * torch.log1p(_MU * clips.abs().clamp_max(1)) / math.log1p(_MU)
    coded = (coded * 127).round() / 127
    return coded.sign() * torch.expm1(coded.abs() * math.log1p(_MU)) / _MU


def synthetic_noise(
    random: np.random.Generator, count: int, length: int, device: torch.device | None = None
) -> Tensor:
    """Fans, hum, hiss, rumble: coloured noise, slowly modulated, some with mains harmonics. Unit power."""
    device = device or torch.device("cpu")
    generator = torch.Generator(device).manual_seed(int(random.integers(1 << 62)))
    hertz = torch.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ, device=device).clamp_min(20)
    seconds = torch.arange(length, device=device) / SAMPLE_RATE_HZ
    slope = to_device(random.uniform(-1.2, 0.3, (count, 1)), device)
    white = torch.randn(count, len(hertz), 2, device=device, generator=generator)
    noise = torch.fft.irfft(torch.view_as_complex(white) * hertz**slope, length)
    noise = noise / noise.std(1, keepdim=True)
    depth = random.uniform(0, 0.9, (count, 1)) * (random.random((count, 1)) < 0.5)
    rate_hz, phase = random.uniform(0.2, 8, (count, 1)), random.uniform(0, 2 * np.pi, (count, 1))
    slow = torch.sin(2 * math.pi * to_device(rate_hz, device) * seconds + to_device(phase, device))
    noise = noise * (1 + to_device(depth, device) * slow)
    mains_hz = np.choose(
        random.integers(3, size=(count, 1)), [50.0, 60.0, random.uniform(80, 400, (count, 1))]
    )
    humming = (random.random((count, 1)) < 0.3) * random.integers(1, _HARMONICS, (count, 1))
    for harmonic in range(1, _HARMONICS):
        amplitude = random.uniform(0, 1, (count, 1)) / harmonic**0.5 * (harmonic <= humming)
        turns = to_device(harmonic * mains_hz, device) * seconds + to_device(
            random.random((count, 1)), device
        )
        noise = noise + to_device(amplitude, device) * torch.sin(2 * math.pi * turns)
    return noise / noise.std(1, keepdim=True)
