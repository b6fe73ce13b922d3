"""Means, medians and their bootstrap intervals, the same on every run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BOOTSTRAP_DRAWS = 2000
BOOTSTRAP_SEED = 20240614


@dataclass(frozen=True)
class Summary:
    """A metric over the clips on which it is defined."""

    count: int
    mean: float
    low: float
    """Lower end of the 95 % percentile-bootstrap interval of the mean."""
    high: float
    median: float


def summarise(values: list[float] | np.ndarray) -> Summary | None:
    """Mean, 95 % interval (clips drawn with replacement, fixed seed) and median of the finite values.

    None if no value is finite. Speakers return in several clips, so the interval is a little optimistic about
    new speakers.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) == 0:
        return None
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    draws = generator.integers(0, len(finite), size=(BOOTSTRAP_DRAWS, len(finite)))
    low, high = np.percentile(finite[draws].mean(axis=1), [2.5, 97.5])
    return Summary(len(finite), float(finite.mean()), float(low), float(high), float(np.median(finite)))
