"""Analysis and synthesis against the definition of the transform, on real speech."""

import numpy as np
import pytest

from edge_pse.spectral import Analysis, Synthesis

HOP, WINDOW = 160, 320


def hops_of(samples):
    return samples[: samples.size - samples.size % HOP].reshape(-1, HOP)


@pytest.fixture
def speech(recording):
    return recording("ls3080_speech")[16_000:48_000]


def test_a_spectrum_is_that_of_the_last_two_hops_under_a_square_root_hann_window(speech):
    analysis = Analysis(WINDOW, first_bin=1)
    found = np.stack([analysis(hop).copy() for hop in hops_of(speech)])
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW))
    preceded = np.concatenate([np.zeros(HOP), speech])
    for frame in (0, 1, 50, 199):
        expected = np.fft.rfft(window * preceded[frame * HOP : frame * HOP + WINDOW])[1:]
        np.testing.assert_allclose(found[frame, 0, 0, 0], expected.real, atol=1e-5)
        np.testing.assert_allclose(found[frame, 0, 1, 0], expected.imag, atol=1e-5)
    assert found.shape == (200, 1, 2, 1, 160)
    assert found.dtype == np.float32


def test_synthesis_gives_the_signal_back_one_hop_later(speech):
    analysis, synthesis = Analysis(WINDOW, first_bin=1), Synthesis(WINDOW, first_bin=1)
    out = np.empty_like(speech)
    for hop, place in zip(hops_of(speech), hops_of(out), strict=True):
        synthesis(analysis(hop), place)
    error = out[HOP:] - speech[:-HOP]
    # What is missing is the constant component of each frame, of which speech has next to nothing.
    assert np.sum(error**2) < 1e-3 * np.sum(speech**2)
    with_constant = Analysis(WINDOW, first_bin=0), Synthesis(WINDOW, first_bin=0)
    for hop, place in zip(hops_of(speech), hops_of(out), strict=True):
        with_constant[1](with_constant[0](hop), place)
    np.testing.assert_allclose(out[HOP:], speech[:-HOP], atol=1e-6)


def test_the_previous_hop_is_what_the_output_belongs_to(speech):
    analysis = Analysis(WINDOW, first_bin=1)
    first, second = hops_of(speech)[:2]
    analysis(first)
    assert not analysis.previous_hop.any()
    analysis(second)
    np.testing.assert_array_equal(analysis.previous_hop, first)


def test_reset_forgets_the_past(speech):
    analysis, synthesis = Analysis(WINDOW, first_bin=1), Synthesis(WINDOW, first_bin=1)
    out = np.empty((2, 3, HOP), np.float32)
    for run in out:
        for hop, place in zip(hops_of(speech)[40:43], run, strict=True):
            synthesis(analysis(hop), place)
        analysis.reset()
        synthesis.reset()
    assert out.any()
    np.testing.assert_array_equal(out[0], out[1])
