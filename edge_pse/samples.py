"""Arrays of samples as a caller has them: checked, and brought to another rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from edge_pse.errors import AudioError

PEAK_LIMIT = 100.0
"""Loudest sample taken, 40 dB over full scale: beyond it are integers that nobody scaled, not loud sounds."""

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 4_000, 768_000
"""Below is no speech, above no sound card; a rate beyond them would fill the memory or never end."""


def checked_samples(samples: ArrayLike) -> NDArray[Any]:
    """The samples as a floating-point array; AudioError if they are integers, not finite or not scaled.

    Whatever gets past here can't overflow in the network, whose states would keep a NaN for ever.
    """
    samples = np.asarray(samples)
    if samples.dtype.kind != "f":
        raise AudioError(
            f"Samples must be floating-point numbers from -1 to 1, not {samples.dtype}: "
            "divide integers by their full scale first (32768 for 16 bits)."
        )
    if not samples.size:
        return samples
    peak = max(samples.max(), -samples.min())
    if not np.isfinite(peak):  # a NaN anywhere makes max and min NaN
        raise AudioError("The samples hold NaN or infinite values: mend the recording or its source.")
    if peak > PEAK_LIMIT:
        raise AudioError(f"Samples reach {peak:.0f}, but full scale is 1: divide by their full scale first.")
    return samples


def checked_recording(samples: ArrayLike) -> NDArray[Any]:
    """Checked samples as (samples, channels), from that shape or (samples,); AudioError for any other."""
    recording = checked_samples(samples)
    if recording.ndim == 1:
        recording = recording[:, None]
    if recording.ndim != 2 or not recording.shape[1] or 0 < recording.shape[0] < recording.shape[1]:
        raise AudioError(
            f"Audio must have the shape (samples,) or (samples, channels), not {np.shape(samples)}."
        )
    return recording


def checked_rate(sample_rate_hz: float) -> float:
    """The rate, if audio can have it; AudioError otherwise."""
    try:
        rate = float(sample_rate_hz)
    except (TypeError, ValueError):
        rate = 0.0
    except OverflowError:
        rate = sample_rate_hz = math.inf
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"The sample rate must be a number of Hz from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}, not "
            f"{sample_rate_hz!r}: give the one that the recording was made at."
        )
    return rate


def as_float32(samples: NDArray[Any]) -> NDArray[np.float32]:
    """The same samples; no copy if they are float32 already."""
    return samples.astype(np.float32, copy=False)


def at_rate(mono: NDArray[np.float32], from_hz: float, to_hz: float) -> NDArray[np.float32]:
    """A whole recording at another rate: its length times the ratio, rounded. Equal rates change nothing."""
    if from_hz == to_hz:
        return mono
    resampled: NDArray[np.float32] = soxr.resample(mono, from_hz, to_hz)
    return resampled
