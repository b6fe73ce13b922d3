"""The band above the network's: it stays and goes with what is below."""

import numpy as np
import pytest

from edge_pse.upper_band import UpperBand

BINS, UPPER_FROM, UPPER_BINS = 160, 149, 332


@pytest.fixture
def band():
    return UpperBand(BINS, 1, UPPER_FROM, UPPER_BINS, 50.0)


def spectra(hops, seed=0):
    noise = np.random.default_rng(seed).standard_normal((hops, 1, 2, 1, BINS)).astype(np.float32)
    upper = np.ones((hops, UPPER_BINS), np.complex64)
    return noise, noise * np.linspace(0, 1.2, hops, dtype=np.float32)[:, None, None, None, None], upper


def test_no_gain_is_above_one(band):
    given, enhanced, upper = spectra(50)
    band(given, 3 * enhanced, upper)
    assert np.abs(upper).max() <= 1


def test_how_many_hops_come_at_once_changes_nothing(band):
    given, enhanced, whole = spectra(50)
    band(given, enhanced, whole)
    band.reset()
    _, _, pieces = spectra(50)
    for part in np.split(np.arange(50), [1, 2, 20]):
        band(given[part], enhanced[part], piece := pieces[part])
        pieces[part] = piece
    np.testing.assert_array_equal(pieces, whole)
