"""Changes of rate where no rate has whole hops: everything stays in its place, and nothing of another band comes in."""

import numpy as np
import pytest

from edge_pse.resampling import LowDelayResampler


@pytest.fixture
def speech(recording):
    return recording("ls367_speech")


def through(resampler, samples, size):
    return np.concatenate([resampler.process(samples[i : i + size]) for i in range(0, samples.size, size)])


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_a_change_of_rate_and_back_keeps_speech_in_its_place(speech, si_sdr, rate):
    there = through(LowDelayResampler(16_000, rate), speech, 160)
    back = through(LowDelayResampler(rate, 16_000), there, rate // 100)
    band = speech.size - 200
    if rate > 16_000:
        assert si_sdr(speech[200:band], back[200:band]) > 25
    assert 0 <= speech.size - back.size <= 16_000 * 2 * 0.0045


def test_a_change_of_rate_does_not_depend_on_the_blocks(speech):
    expected = through(LowDelayResampler(44_100, 16_000), speech, 441)
    for size in (1, 1000):
        out = through(LowDelayResampler(44_100, 16_000), speech[:20_000], size)
        np.testing.assert_array_equal(out, expected[: out.size])


def test_a_change_of_rate_lets_no_alias_through():
    tone = np.sin(2 * np.pi * 11_000 / 48_000 * np.arange(48_000)).astype(np.float32)
    assert np.abs(LowDelayResampler(48_000, 16_000).process(tone)[100:]).max() < 1e-3


def test_equal_rates_pass_every_bit(speech):
    assert LowDelayResampler(16_000, 16_000).process(speech) is speech
