"""Metrics above 8 kHz against cases that can be computed by hand."""

import numpy as np
import pytest

from evaluation.metrics.signal import CEILING_DB, level_change_db, suppression_db
from evaluation.metrics.upper_band import above, carries, log_spectral_distance_db, si_sdr_above

RATE_HZ = 48_000
SECONDS = 2


def _tone(hertz, rate_hz=RATE_HZ):
    return np.sin(2 * np.pi * hertz * np.arange(SECONDS * rate_hz) / rate_hz)


@pytest.fixture
def noise():
    """White noise above 8 kHz, and the same below it."""
    white = np.random.default_rng(0).standard_normal(SECONDS * RATE_HZ)
    upper = above(white, RATE_HZ)
    return upper, white - upper


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_what_is_cut_out_is_what_is_above(rate_hz):
    low, high = _tone(5_000, rate_hz), _tone(11_000, rate_hz)
    np.testing.assert_allclose(above(low + high, rate_hz), high, atol=1e-6)
    assert len(above(high[:-7], rate_hz)) == len(high) - 7


def test_si_sdr_above_is_the_ratio_of_the_parts_there():
    reference, other = _tone(9_000), 0.1 * _tone(12_000)
    low = 3.0 * _tone(1_000)
    cut = above(reference + low, RATE_HZ), above(reference + other - low, RATE_HZ)
    assert si_sdr_above(*cut) == pytest.approx(20.0, abs=0.01)
    assert si_sdr_above(cut[0], 0.1 * cut[0]) == CEILING_DB


def test_a_band_limited_copy_has_no_si_sdr_above_and_a_distance_as_large_as_the_reference(noise):
    upper, lower = noise
    copy = above(lower, RATE_HZ)
    assert np.isnan(si_sdr_above(upper, copy))
    # Powers of noise are spread exponentially: their mean in dB is 2.5 below the mean power, their deviation 5.6.
    assert log_spectral_distance_db(upper, copy, RATE_HZ) == pytest.approx(np.hypot(37.5, 5.6), abs=1.0)
    assert level_change_db(upper, copy, RATE_HZ) < -60.0


def test_a_known_attenuation_is_measured_as_it_is(noise):
    upper, _ = noise
    softer = 10 ** (-6 / 20) * upper
    # Some bins of noise are near the floor.
    assert log_spectral_distance_db(upper, softer, RATE_HZ) == pytest.approx(6.0, abs=0.01)
    assert level_change_db(upper, softer, RATE_HZ) == pytest.approx(-6.0)
    assert suppression_db(upper, softer) == pytest.approx(6.0)
    assert si_sdr_above(upper, softer) == CEILING_DB
    assert log_spectral_distance_db(upper, upper, RATE_HZ) == 0.0


def test_distance_is_a_matter_of_the_frames_in_which_there_is_sound(noise):
    upper, _ = noise
    half = upper.copy()
    half[len(half) // 2 :] = 0.0
    hissing = half + 10 ** (-3 / 20) * (upper - half)
    assert log_spectral_distance_db(half, hissing, RATE_HZ) < 1.0  # but for the frame at the edge


def test_distance_needs_a_reference(noise):
    assert np.isnan(log_spectral_distance_db(np.zeros(RATE_HZ), noise[0][:RATE_HZ], RATE_HZ))


@pytest.mark.parametrize(("level_db", "carried"), [(-50, True), (-60, False)])
def test_a_recording_carries_what_is_above_the_rounding_of_its_format(level_db, carried):
    samples = _tone(1_000) + 10 ** (level_db / 20) * _tone(10_000)
    assert carries(samples, above(samples, RATE_HZ)) == carried
