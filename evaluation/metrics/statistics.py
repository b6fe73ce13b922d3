"""Means, medians and their bootstrap intervals, the same on every run; error rates of verification."""

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


def equal_error_rate(scores: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Where as many trials of one speaker are missed as trials of two are accepted, as a share of 1.

    ``scores`` (trial,): similarities; ``same`` (trial,): whether both are of one speaker; ``weights`` (trial,): how
    often each counts. Trials that score alike are parted in the order in which they are given. NaN if one of the two
    kinds of trials is missing.
    """
    order = np.argsort(scores, kind="stable")
    same = same[order]
    weights = np.ones(len(same)) if weights is None else weights[order]
    of_same, of_different = weights * same, weights * ~same
    if not of_same.sum() or not of_different.sum():
        return float("nan")
    missed = np.cumsum(of_same) / of_same.sum()
    accepted = (of_different.sum() - np.cumsum(of_different)) / of_different.sum()
    nearest = np.argmin(np.abs(missed - accepted))
    return float(missed[nearest] + accepted[nearest]) / 2
