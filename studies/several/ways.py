"""Ways to keep several voices with a network that is made for one.

Either the network makes a step for each profile, and what the steps give is combined in each bin of time and
frequency; or it makes one step, with a mixture of the profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_pse.model import Model
from edge_pse.spectral import Analysis, Synthesis
from evaluation.metrics.signal import HOP_SAMPLES

Spectra = NDArray[np.complex64]
"""(frames, bins)."""
_TINY = 1e-12
_SMOOTH_FRAMES, _SMOOTH_BINS = 4, 4


def spectra_of(model: Model, samples: NDArray[np.float32]) -> Spectra:
    """What the network is shown of a recording, and a hop of silence."""
    padded = np.concatenate([samples, np.zeros(-samples.size % HOP_SAMPLES + HOP_SAMPLES, np.float32)])
    parts = Analysis(model.contract.window_samples, model.contract.first_bin)(padded)[:, 0, :, 0]
    return (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)


def enhanced(model: Model, noisy: Spectra, profile: NDArray[np.float32]) -> Spectra:
    """What the network makes of it with one vector (profile_size,) for a profile."""
    states = model.contract.initial_states()
    out = np.empty_like(noisy)
    for frame, spectrum in enumerate(noisy):
        shown = np.stack([spectrum.real, spectrum.imag])[None, :, None].astype(np.float32)
        given, _, states = model.backend.step(shown, profile[None], states)
        out[frame] = given[0, 0, 0] + 1j * given[0, 1, 0]
    return out


def sound_of(model: Model, spectra: Spectra, size: int) -> NDArray[np.float32]:
    """Spectra to samples, (size,), aligned with those that they are of."""
    parts = np.stack([spectra.real, spectra.imag], axis=1)[:, None, :, None].astype(np.float32)
    out = np.empty(len(spectra) * HOP_SAMPLES, np.float32)
    Synthesis(model.contract.window_samples, model.contract.first_bin)(parts, out)
    return out[HOP_SAMPLES:][:size]


def greatest(noisy: Spectra, each: Sequence[Spectra]) -> Spectra:
    """Of each bin, that of the profile which keeps most of it."""
    stack = np.stack(each)
    return np.take_along_axis(stack, np.abs(stack).argmax(axis=0)[None], axis=0)[0]


def limited_sum(noisy: Spectra, each: Sequence[Spectra]) -> Spectra:
    """The sum, where it is greater than the input no more than that, or than the greatest one by itself."""
    total = np.sum(each, axis=0)
    most = np.maximum(np.abs(noisy), np.abs(np.stack(each)).max(axis=0))
    return total * np.minimum(1, most / np.maximum(np.abs(total), _TINY))


def in_proportion(noisy: Spectra, each: Sequence[Spectra]) -> Spectra:
    """The mean, weighted with the power that each keeps there."""
    stack = np.stack(each)
    power = np.abs(stack) ** 2 + _TINY
    return (stack * power).sum(axis=0) / power.sum(axis=0)


def smoothed_choice(noisy: Spectra, each: Sequence[Spectra]) -> Spectra:
    """The mean, weighted with the squared power that each keeps around there: four frames back, four bins beside."""
    stack = np.stack(each)
    weights = np.stack([_smoothed(np.abs(one) ** 2) for one in each]) ** 2 + _TINY**2
    return (stack * weights).sum(axis=0) / weights.sum(axis=0)


def loudest(noisy: Spectra, each: Sequence[Spectra]) -> Spectra:
    """Of each frame, that of the profile which keeps most of the last tenth of a second."""
    power = np.stack([(np.abs(one) ** 2).sum(axis=1) for one in each])
    since = np.cumsum(power, axis=1)
    since[:, 10:] -= since[:, :-10].copy()
    return np.stack(each)[since.argmax(axis=0), np.arange(len(noisy))]


def _smoothed(power: NDArray[np.floating]) -> NDArray[np.floating]:
    padded = np.pad(power, ((_SMOOTH_FRAMES, 0), (_SMOOTH_BINS, _SMOOTH_BINS)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH_FRAMES + 1, axis=0).mean(axis=-1)
    return np.lib.stride_tricks.sliding_window_view(frames, 2 * _SMOOTH_BINS + 1, axis=1).mean(axis=-1)


COMBINATIONS: dict[str, Callable[[Spectra, Sequence[Spectra]], Spectra]] = {
    "greatest of each bin": greatest,
    "sum, limited": limited_sum,
    "mean in proportion to power": in_proportion,
    "smoothed choice": smoothed_choice,
    "loudest of each frame": loudest,
}
MEAN_VECTOR = "one step, mean of the profiles"
ONE, NONE = "one profile", "no profile"
WAYS = (ONE, *COMBINATIONS, MEAN_VECTOR, NONE)
