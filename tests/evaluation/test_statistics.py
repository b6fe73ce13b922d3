"""Means, bootstrap intervals and equal error rates."""

import numpy as np
import pytest

from evaluation.metrics.statistics import equal_error_rate, summarise


def test_mean_median_and_count():
    summary = summarise([1.0, 2.0, 6.0])
    assert (summary.count, summary.mean, summary.median) == (3, 3.0, 2.0)


def test_undefined_values_are_left_out():
    assert summarise([1.0, float("nan"), 3.0]).count == 2
    assert summarise([float("nan")]) is None
    assert summarise([]) is None


def test_the_interval_is_the_same_every_time_and_closes_with_more_clips():
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    many, few = summarise(values), summarise(values[:20])
    assert many == summarise(values)
    assert many.low < 5.0 < many.high
    assert many.high - many.low == pytest.approx(2 * 1.96 * 2.0 / 20, rel=0.15)
    assert few.high - few.low > 2 * (many.high - many.low)


def test_equal_values_have_no_spread():
    summary = summarise([4.0] * 5)
    assert (summary.low, summary.high) == (4.0, 4.0)


def test_weights_count_trials_several_times():
    scores, same = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
    assert equal_error_rate(scores, same) == pytest.approx(0.5)
    assert equal_error_rate(scores[::-1], same[::-1]) == pytest.approx(0.5)
    assert equal_error_rate(scores, same, np.array([1, 0, 0, 1])) == 0
    assert np.isnan(equal_error_rate(scores, same, np.array([1, 0, 1, 0])))
