"""How disturbed speech sounds to PESQ (ITU-T P.862), as something to minimise.

The power of both signals in Bark bands becomes loudness, after Zwicker; where they differ, something is heard that
should not be, or is missed. What is added counts more than what is missing. Martin-Doñas et al. (IEEE Signal Processing
Letters 25(11), 2018) and Kim et al. (arXiv 1901.09146) let networks learn by this.

It is simpler than the recommendation: signals come aligned in time; the target alone says how loud both are played; the
target is not given the output's spectral balance. Bands are equally wide in Bark by the formula of Schroeder et al.
(JASA 66(6), 1979), the threshold of hearing is Terhardt's (Hearing Research 1(2), 1979). How near it comes to PESQ is
in docs/history.md, "By ear".
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from training.network import SAMPLE_RATE_HZ

_WINDOW_SAMPLES, _STEP_SAMPLES = 512, 256  # 32 ms
_BANDS = 49
_VOICE_HZ = 350, 3250  # where the level of speech is measured,
_VOICE_DB = 79.0  # and at which sound pressure level it is played
_FAINTEST_TARGET = 1e-7  # mean power of a target below which it is no louder played
_HIGH_PASS_HZ = 100.0
_LOUDNESS_EXPONENT, _SONES = 0.23, 0.187
_DEAD_ZONE = 0.25  # of the fainter loudness: how far both may differ unheard
_AUDIBLE_FLOOR = 5e3  # power of a frame below which its gain is not made up for
_GAIN_RANGE = 3e-4, 5.0  # by which a frame's power is brought to the target's: wandering level is forgiven
_GAIN_MEMORY = 0.2
_ADDED_FLOOR, _ADDED_EXPONENT = 50.0, 1.2  # how much more what is added counts,
_ADDED_RANGE = 3.0, 12.0  # nothing below the first, no more than the second
_FRAME_LIMIT = 45.0
_QUIET_FLOOR, _QUIET_SCALE, _QUIET_EXPONENT = 1e5, 1e7, 0.04  # disturbance of quiet frames counts more
_SYLLABLE_FRAMES, _SYLLABLE_NORM = 20, 6.0  # of a third of a second the worst frames count, by an L6 norm
_SYMMETRIC, _ASYMMETRIC = 0.1, 0.0309  # points of opinion for both kinds of disturbance


class _Ear(NamedTuple):
    bank: Tensor  # (bin, band): which bins a band has, after a high-pass
    voice: Tensor  # (bin,): 1 where the level of speech is measured
    threshold: Tensor  # (band,): power that is just heard
    exponent: Tensor  # (band,)
    width: float  # of a band, in Bark


def _bark(frequency_hz: Tensor) -> Tensor:
    return 7 * torch.asinh(frequency_hz / 650)


@cache
def _ear(device: torch.device) -> _Ear:
    frequency = torch.arange(1, _WINDOW_SAMPLES // 2 + 1) * SAMPLE_RATE_HZ / _WINDOW_SAMPLES
    width = float(_bark(frequency[-1])) / _BANDS
    band = (_bark(frequency) / width - 1e-4).long().clamp_max(_BANDS - 1)
    bank = torch.nn.functional.one_hot(band, _BANDS).float()
    centre = (bank * frequency[:, None]).sum(0) / bank.sum(0)
    high_pass = 1 / (1 + (_HIGH_PASS_HZ / frequency) ** 4)
    khz = centre / 1000
    threshold_db = 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
    threshold = 10 ** ((threshold_db.clamp_max(70) - 6) / 10)
    # Loudness grows faster with power in the lowest bands.
    exponent = _LOUDNESS_EXPONENT * (6 / (_bark(centre) + 2)).clamp(1, 2) ** 0.15
    voice = ((frequency >= _VOICE_HZ[0]) & (frequency <= _VOICE_HZ[1])).float()
    bank = bank * high_pass[:, None]
    return _Ear(bank.to(device), voice.to(device), threshold.to(device), exponent.to(device), width)


def disturbance(output: Tensor, target: Tensor) -> Tensor:
    """What PESQ would take off its best raw score of 4.5 for ``output`` against ``target``: (batch,), 0 where nothing
    differs.

    Both: (batch, sample) at 16 kHz, aligned, 32 ms or more; of a ``target`` that is silent it says nothing of use. Some
    decibels of level are forgiven, in each frame anew: other losses are to see to the level.
    """
    ear = _ear(output.device)
    heard, wanted = _spectrum(output), _spectrum(target)
    level = (wanted * ear.voice).sum(-1).mean(1).clamp_min(_FAINTEST_TARGET)
    gain = (10 ** (_VOICE_DB / 10) / level)[:, None, None]
    heard, wanted = (gain * power @ ear.bank for power in (heard, wanted))
    heard = heard * _frame_gain(ear, heard, wanted)[..., None]
    louder, fainter = _loudness(ear, heard), _loudness(ear, wanted)
    difference = louder - fainter
    noticed = (difference.abs() - _DEAD_ZONE * torch.minimum(louder, fainter)).clamp_min(0)[..., 1:]
    added = ((heard + _ADDED_FLOOR) / (wanted + _ADDED_FLOOR)) ** _ADDED_EXPONENT
    added = torch.where(added < _ADDED_RANGE[0], 0, added.clamp_max(_ADDED_RANGE[1]))[..., 1:]
    symmetric = (ear.width * (_BANDS - 1)) ** 0.5 * ear.width * (noticed.square().sum(-1) + 1e-6).sqrt()
    asymmetric = ear.width * (noticed * added).sum(-1)
    weight = ((_audible(ear, wanted) + _QUIET_FLOOR) / _QUIET_SCALE) ** _QUIET_EXPONENT
    return _SYMMETRIC * _over_time(symmetric / weight) + _ASYMMETRIC * _over_time(asymmetric / weight)


def _spectrum(samples: Tensor) -> Tensor:
    """Power without the constant component: (batch, frame, bin), whose sum over bins is a frame's mean power."""
    window = torch.hann_window(_WINDOW_SAMPLES, device=samples.device)
    frames = samples.unfold(1, _WINDOW_SAMPLES, _STEP_SAMPLES) * window
    spectrum = torch.fft.rfft(frames)[..., 1:]
    return (spectrum.real.square() + spectrum.imag.square()) * (2 / _WINDOW_SAMPLES / window.square().sum())


def _audible(ear: _Ear, power: Tensor) -> Tensor:
    """Power of a frame in bands that are heard: (batch, frame)."""
    return torch.where(power > ear.threshold, power, 0).sum(-1)


def _frame_gain(ear: _Ear, heard: Tensor, wanted: Tensor) -> Tensor:
    ratio = (_audible(ear, wanted) + _AUDIBLE_FLOOR) / (_audible(ear, heard) + _AUDIBLE_FLOOR)
    smooth = torch.lerp(ratio[:, 1:], ratio[:, :-1], _GAIN_MEMORY)
    return torch.cat([ratio[:, :1], smooth], 1).clamp(*_GAIN_RANGE)


def _loudness(ear: _Ear, power: Tensor) -> Tensor:
    """Zwicker's, of each band, in sones; 0 below the threshold of hearing."""
    above = (0.5 + 0.5 * power / ear.threshold) ** ear.exponent - 1
    return torch.where(power > ear.threshold, _SONES * (2 * ear.threshold) ** ear.exponent * above, 0)


def _over_time(frames: Tensor) -> Tensor:
    """(batch, frame) -> (batch,): the root mean square over syllables of the L6 norm within them."""
    frames = frames.clamp_max(_FRAME_LIMIT)
    length = min(_SYLLABLE_FRAMES, frames.shape[1])
    syllables = frames.unfold(1, length, _SYLLABLE_FRAMES // 2)
    worst = (syllables**_SYLLABLE_NORM).mean(2).clamp_min(1e-9) ** (1 / _SYLLABLE_NORM)
    return worst.square().mean(1).sqrt()
