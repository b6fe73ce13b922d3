"""Streams at rates of their own: what comes out is what comes out at 16 kHz, and what is above 8 kHz beside it."""

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer
from edge_pse.errors import AudioError
from edge_pse.spectral import RateChange, has_whole_hops, next_whole_hop_rate

RATES = [8_000, 12_000, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000]
SECONDS = 4


@pytest.fixture
def mixture(recording):
    size = SECONDS * 16_000
    return 0.5 * (recording("ls367_speech")[:size] + recording("ls2033_speech")[:size])


@pytest.fixture
def bright(recording):
    """A voice at 32 kHz whose spectrum above 8 kHz is the mirror image of that below."""
    voice = recording("ls367_speech")[: SECONDS * 16_000]
    return np.stack([voice, np.zeros_like(voice)], axis=1).ravel()


def below(samples, rate_hz, highest_hz):
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(samples.size, 1 / rate_hz) > highest_hz] = 0
    return np.fft.irfft(spectrum, samples.size)


def agreement_db(one, other, rate_hz, narrowest_hz=192_000):
    """How far below the sound two of them differ, without the ends and what lies above a rate's end."""
    size = min(one.size, other.size)
    highest_hz = min(7_000, 0.43 * rate_hz, 0.43 * narrowest_hz)
    one, other = (below(samples[:size], rate_hz, highest_hz) for samples in (one, other))
    inside = slice(rate_hz // 5, size - rate_hz // 5)
    return 10 * np.log10(np.sum(one[inside] ** 2) / np.sum((one - other)[inside] ** 2))


def in_blocks(enhancer, samples, far, hops):
    """In blocks of some hops each; the rest is flushed."""
    out = []
    for start in range(0, samples.size // enhancer.hop_samples, hops):
        near = samples[start * enhancer.hop_samples : (start + hops) * enhancer.hop_samples]
        there = near.size // enhancer.hop_samples
        played = far[start * enhancer.far_hop_samples : (start + there) * enhancer.far_hop_samples]
        out.append(enhancer.process(near[: there * enhancer.hop_samples], played))
    return np.concatenate([*out, enhancer.flush()])


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_stream_of_any_rate_gives_what_the_same_stream_gives_at_16_khz(
    model, mixture, female_profile, rate_hz
):
    samples = soxr.resample(mixture, 16_000, rate_hz)
    at_model = soxr.resample(samples, rate_hz, 16_000)
    # Below 16 kHz the way through a resampler loses the last tenth of the band, which the network hears now. With a
    # profile it is shown faint noise above, too, so that it decides otherwise here and there.
    least = (60, 30) if rate_hz > 16_000 else (30, 12)
    for profile, least_db in zip((None, female_profile), least, strict=True):
        at_16 = soxr.resample(Enhancer(model, profile).enhance(at_model, 16_000), 16_000, rate_hz)
        enhanced = Enhancer(model, profile).enhance(samples, rate_hz)
        assert enhanced.size == samples.size
        # With a profile a little decides about a voice that is hardly there any more: two resamplers differ as far.
        assert agreement_db(at_16, enhanced, rate_hz) > least_db


@pytest.mark.parametrize(
    ("rate_hz", "output_rate_hz"), [(48_000, 16_000), (44_100, 48_000), (16_000, 44_100), (48_000, 8_000)]
)
def test_what_comes_out_may_have_another_rate(model, mixture, rate_hz, output_rate_hz):
    samples = soxr.resample(mixture, 16_000, rate_hz)
    enhancer = Enhancer(model, rate_hz=rate_hz, output_rate_hz=output_rate_hz)
    assert (enhancer.sample_rate_hz, enhancer.output_rate_hz) == (rate_hz, output_rate_hz)
    out = np.concatenate([enhancer.process(samples), enhancer.flush()])[enhancer.delay_samples :]
    assert out.size == round(samples.size * output_rate_hz / rate_hz)
    expected = soxr.resample(Enhancer(model).enhance(samples, rate_hz), rate_hz, output_rate_hz)
    assert agreement_db(expected, out, output_rate_hz) > 50


@pytest.mark.parametrize("rate_hz", RATES)
def test_the_latency_is_two_hops_at_any_rate(model, rate_hz):
    enhancer = Enhancer(model, rate_hz=rate_hz)
    assert enhancer.latency_ms == 20
    assert enhancer.delay_samples == enhancer.hop_samples == rate_hz // 100
    impulse = np.zeros(4 * enhancer.hop_samples, np.float32)
    impulse[0] = 1
    enhancer.strength = 0
    assert np.flatnonzero(enhancer.process(impulse)) == enhancer.delay_samples


def test_the_size_of_the_blocks_changes_nothing(mixture, recording):
    far = soxr.resample(recording("ls3080_speech")[: mixture.size], 16_000, 44_100)
    samples = soxr.resample(mixture, 16_000, 48_000) + 0.3 * soxr.resample(far, 44_100, 48_000)
    enhancer = Enhancer("pvqe-s-far", rate_hz=48_000, far_rate_hz=44_100)
    assert enhancer.far_hop_samples == 441
    whole = in_blocks(enhancer, samples, far, 1000)
    assert whole.size == samples.size + enhancer.delay_samples
    for hops in (1, 7):
        np.testing.assert_array_equal(in_blocks(enhancer, samples, far, hops), whole)
    pieces = [enhancer.process(piece) for piece in np.split(samples, [1, 480, 1000, 30_001])]
    without_far = np.concatenate([*pieces, enhancer.flush()])
    np.testing.assert_array_equal(without_far, np.concatenate([enhancer.process(samples), enhancer.flush()]))


def test_a_far_end_of_another_rate_takes_its_echo_away(recording):
    far = 0.5 * recording("ls3080_speech")[: SECONDS * 16_000]
    echo = soxr.resample(0.5 * np.concatenate([np.zeros(400, np.float32), far[:-400]]), 16_000, 48_000)
    enhancer = Enhancer("pvqe-s-far", rate_hz=48_000, far_rate_hz=32_000)
    left = in_blocks(enhancer, echo, soxr.resample(far, 16_000, 32_000), 10)
    heard = np.concatenate([enhancer.process(echo), enhancer.flush()])
    assert np.std(left[48_000:]) < 0.1 * np.std(heard[48_000:])


def test_a_far_end_covers_the_same_time(mixture):
    enhancer = Enhancer("pvqe-s-far", rate_hz=48_000, far_rate_hz=16_000)
    enhancer.process(mixture[:480], mixture[:160])
    with pytest.raises(AudioError, match="as much time"):
        enhancer.process(mixture[:480], mixture[:480])
    odd = Enhancer("pvqe-s-far", rate_hz=44_100, far_rate_hz=24_000)
    odd.process(np.zeros(24_255, np.float32), np.zeros(13_200, np.float32))
    enhancer.process(mixture[480:960])
    assert enhancer.process(mixture[960:1440], mixture[160:320]).size == 480


def test_the_upper_band_of_a_voice_stays_and_goes_with_the_voice(model, bright, female_profile, male_profile):
    def above(samples):
        return samples - below(samples, 32_000, 8_300)

    kept = above(Enhancer(model, female_profile).enhance(bright, 32_000))
    assert np.std(kept) > 0.7 * np.std(above(bright))
    assert np.std(above(Enhancer(model, male_profile).enhance(bright, 32_000))) < 0.3 * np.std(above(bright))
    for strength in (1.0, 0.5, 0.0):
        narrow = Enhancer(model, female_profile, strength, full_band=False)
        assert np.std(above(narrow.enhance(bright, 32_000))) < 0.01 * np.std(above(bright))
        narrow.set_rates(32_000, 48_000)
        past = narrow.past_network().process(bright[: bright.size // 320 * 320])
        assert np.std(past - below(past, 48_000, 8_300)) < 0.01 * np.std(above(bright))


def test_strength_zero_is_the_input(model, bright):
    enhancer = Enhancer(model, strength=0, rate_hz=32_000)
    out = np.concatenate([enhancer.process(bright), enhancer.flush()])
    np.testing.assert_array_equal(out[enhancer.delay_samples :], bright)
    enhancer.set_rates(32_000, 48_000)
    out = np.concatenate([enhancer.process(bright), enhancer.flush()])
    assert agreement_db(soxr.resample(bright, 32_000, 48_000), out[480:], 48_000) > 60


def test_other_rates_begin_a_new_stream_and_leave_the_rest(model, mixture, female_profile):
    enhancer = Enhancer(model, female_profile, 0.7, 48_000)
    enhancer.process(soxr.resample(mixture, 16_000, 48_000)[:50_001])
    enhancer.set_rates(16_000)
    assert (enhancer.profiles, enhancer.strength) == ((female_profile,), 0.7)
    np.testing.assert_array_equal(
        enhancer.process(mixture), Enhancer(model, female_profile, 0.7).process(mixture)
    )


def test_a_recording_leaves_the_rates_of_the_stream(model, mixture):
    enhancer = Enhancer(model, rate_hz=48_000, output_rate_hz=44_100)
    np.testing.assert_array_equal(enhancer.enhance(mixture, 16_000), Enhancer(model).enhance(mixture, 16_000))
    assert (enhancer.sample_rate_hz, enhancer.output_rate_hz) == (48_000, 44_100)
    assert enhancer.process(np.zeros(480, np.float32)).size == 441


@pytest.mark.parametrize("rate_hz", [0, 4_000, 22_050, 44_101, 384_000, 16_000.5])
def test_rates_without_whole_hops_are_refused(model, rate_hz):
    with pytest.raises(AudioError, match="such as 48000"):
        Enhancer(model, rate_hz=rate_hz)
    enhancer = Enhancer(model, rate_hz=44_100)
    with pytest.raises(AudioError, match="whole samples"):
        enhancer.set_rates(48_000, rate_hz)
    assert enhancer.sample_rate_hz == 44_100


def test_a_rate_without_whole_hops_has_a_next_one_with():
    assert [next_whole_hop_rate(rate) for rate in (4_000, 8_000, 11_025, 22_050, 44_100, 50_100)] == [
        8_000, 8_000, 16_000, 24_000, 44_100, 50_100,
    ]  # fmt: skip
    assert [next_whole_hop_rate(rate) for rate in (44_056, 176_450.5, 384_000)] == [44_100, 192_000, 192_000]
    assert not has_whole_hops(44_100.5)


@pytest.mark.parametrize(("rate_hz", "output_rate_hz"), [(16_000, 48_000), (48_000, 44_100), (44_100, 8_000)])
def test_a_change_of_rate_past_the_network(mixture, rate_hz, output_rate_hz):
    samples = soxr.resample(mixture, 16_000, rate_hz)
    change = RateChange(rate_hz, output_rate_hz)
    whole = samples.size // (rate_hz // 100) * (rate_hz // 100)
    out = change.process(samples[:whole])
    expected = soxr.resample(samples[:whole], rate_hz, output_rate_hz)
    assert agreement_db(expected, out[output_rate_hz // 100 :], output_rate_hz, rate_hz) > 50
    change.reset()
    one_by_one = [change.process(hop) for hop in samples[:whole].reshape(-1, rate_hz // 100)]
    np.testing.assert_array_equal(np.concatenate(one_by_one), out)


def test_no_change_of_rate_is_the_hop_before(mixture):
    change = RateChange(16_000, 16_000)
    out = [change.process(hop) for hop in mixture.reshape(-1, 320)]
    np.testing.assert_array_equal(np.concatenate(out)[160:], mixture[:-160])
