"""Analysis and synthesis against the definition of the transform, on real speech."""

import itertools

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
    found = analysis(speech)
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
    assert not analysis.previous_hops.any()
    analysis(second)
    np.testing.assert_array_equal(analysis.previous_hops, [first])


@pytest.mark.parametrize("sizes", [(1,), (3,), (1, 7, 2), (200,)])
def test_many_hops_at_once_are_the_same_bit_by_bit_as_one_after_the_other(speech, sizes):
    one, many = Analysis(WINDOW, first_bin=1), Analysis(WINDOW, first_bin=1)
    one_back, many_back = Synthesis(WINDOW, first_bin=1), Synthesis(WINDOW, first_bin=1)
    start = 0
    for hops in itertools.islice(itertools.cycle(sizes), 5):
        block = speech[start : start + hops * HOP]
        out, expected = np.empty_like(block), np.empty_like(block)
        found = many(block).copy()
        for number, (hop, place) in enumerate(zip(hops_of(block), hops_of(expected), strict=True)):
            spectrum = one(hop)
            np.testing.assert_array_equal(found[number : number + 1], spectrum)
            np.testing.assert_array_equal(many.previous_hops[number], one.previous_hops[0])
            one_back(spectrum, place)
        many_back(found, out)
        np.testing.assert_array_equal(out, expected)
        start = (start + hops * HOP) % (speech.size - 200 * HOP + 1)


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
