"""The delay of a system: found to an eighth of a sample and taken out."""

import numpy as np
import pytest

from evaluation.metrics.alignment import advance, estimate_delay
from evaluation.metrics.signal import si_sdr


@pytest.fixture
def speech(recording):
    return recording("ls1688_speech")


def _late(samples, delay):
    """Band-limited delay by any number of samples."""
    size = len(samples) + 4096
    omega = 2 * np.pi * np.arange(size // 2 + 1) / size
    return np.fft.irfft(np.fft.rfft(samples, size) * np.exp(-1j * omega * delay), size)[: len(samples)]


@pytest.mark.parametrize("delay", [0, 1, 160, 3111])
def test_whole_delays_are_found_exactly(speech, delay):
    late = np.concatenate([np.zeros(delay, np.float32), speech])[: len(speech)]
    assert estimate_delay(speech, late) == delay


def test_a_system_ahead_of_its_input_has_a_negative_delay(speech):
    assert estimate_delay(speech, np.concatenate([speech[40:], np.zeros(40)])) == -40


@pytest.mark.parametrize("delay", [0.5, 20.125, 333.75])
def test_fractions_of_a_sample_are_found_and_taken_out(speech, delay):
    late = _late(speech, delay).astype(np.float32)
    assert estimate_delay(speech, late) == delay
    inner = slice(800, -800)
    assert si_sdr(speech[inner], advance(late, delay, len(speech))[inner]) > 40.0


def test_noise_and_a_changed_level_do_not_hide_the_delay(speech):
    late = 0.3 * np.concatenate([np.zeros(250), speech])[: len(speech)]
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(speech))
    assert estimate_delay(speech, late + noise) == pytest.approx(250, abs=0.5)


def test_silence_has_no_delay(speech):
    assert estimate_delay(speech, np.zeros_like(speech)) == 0.0


def test_advance_gives_the_length_asked_for(speech):
    assert np.array_equal(advance(speech, 0.0, len(speech)), speech)
    assert np.array_equal(advance(speech, 10.0, len(speech))[:-10], speech[10:])
    assert len(advance(speech[:100], 7.0, 500)) == 500
    assert not advance(speech[:100], 200.0, 500).any()
