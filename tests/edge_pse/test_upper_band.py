"""The band above the network's: it stays and goes with what is below, and noise there goes while a voice speaks."""

from dataclasses import replace

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer, enroll
from edge_pse.upper_band import SHIPPED, UpperBand

BINS, UPPER_FROM, UPPER_BINS = 160, 149, 332
RATE_HZ = 48_000


@pytest.fixture
def band():
    return UpperBand(BINS, 1, UPPER_FROM, UPPER_BINS, 50.0)


@pytest.fixture(scope="module")
def bright_profile(model, full_band):
    return enroll(full_band("msc4g8_enrollment"), RATE_HZ, model=model)


@pytest.fixture(scope="module")
def voice(full_band):
    return full_band("msc4g8_speech")


@pytest.fixture(scope="module")
def dull_voice(recording):
    """Nothing is above 8 kHz."""
    return soxr.resample(recording("ls367_speech"), 16_000, RATE_HZ)


def spectra(hops, seed=0):
    noise = np.random.default_rng(seed).standard_normal((hops, 1, 2, 1, BINS)).astype(np.float32)
    upper = np.random.default_rng(seed).standard_normal((2, hops, UPPER_BINS)).astype(np.float32)
    kept = np.linspace(0, 1.2, hops, dtype=np.float32)[:, None, None, None, None]
    return noise, noise * kept, upper[0] + 1j * upper[1]


def noise_from(lowest_hz, size, level=0.003):
    """White noise above a frequency, of that root mean square."""
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(size))
    spectrum[np.fft.rfftfreq(size, 1 / RATE_HZ) < lowest_hz] = 0
    noise = np.fft.irfft(spectrum, size)
    return (level * noise / np.std(noise)).astype(np.float32)


def clicks(size):
    """Of a keyboard: a press and a release, some ms of noise each, about five times a second."""
    rng = np.random.default_rng(2)
    click = np.exp(-np.arange(960) / 192)
    sound = np.zeros(size, np.float32)
    for start in range(9_600, size - 4_000, 9_600):
        for begins in start + rng.integers(0, 1_000) + np.array([0, 2_900]):
            sound[begins : begins + 960] += 0.2 * click * rng.standard_normal(960)
    return sound


def level_db(samples, lowest_hz, highest_hz=20_000):
    power = np.square(np.abs(np.fft.rfft(samples, axis=-1)))
    hz = np.fft.rfftfreq(samples.shape[-1], 1 / RATE_HZ)
    return 10 * np.log10(power[..., (hz >= lowest_hz) & (hz < highest_hz)].sum(axis=-1))


def change_db(before, after, lowest_hz, highest_hz=20_000):
    return level_db(after, lowest_hz, highest_hz) - level_db(before, lowest_hz, highest_hz)


def test_no_gain_is_above_one(band):
    given, enhanced, upper = spectra(50)
    before = np.abs(upper)
    band(given, 3 * enhanced, upper)
    assert (np.abs(upper) <= before * (1 + 1e-6)).all()


@pytest.mark.parametrize("upper_bins", [13, 24, 110, UPPER_BINS, 1_772])
def test_how_many_hops_come_at_once_changes_nothing(upper_bins):
    band = UpperBand(BINS, 1, UPPER_FROM, upper_bins, 50.0)
    given, enhanced, _ = spectra(50)
    before = np.random.default_rng(3).standard_normal((50, upper_bins)).astype(np.complex64)
    whole, pieces = before.copy(), before.copy()
    band(given, enhanced, whole)
    band.reset()
    for part in np.split(np.arange(50), [1, 2, 20]):
        piece = pieces[part]
        band(given[part], enhanced[part], piece)
        pieces[part] = piece
    np.testing.assert_array_equal(pieces, whole)
    assert np.isfinite(whole).all() and np.any(whole != before)


def test_a_gain_rises_at_once_and_falls_step_by_step(band):
    given, _, upper = spectra(10)
    enhanced = given * np.float32([0, 0, 0, 0, 1, 1, 0, 0, 0, 0])[:, None, None, None, None]
    before = np.abs(upper)
    band(given, enhanced, upper)
    gains = (np.abs(upper) / before).mean(axis=1)
    assert gains[3] < 0.01 and gains[4] > 0.99
    assert (np.diff(gains[5:]) < 0).all() and gains[6] > 0.3 and gains[9] < 0.1


def test_gains_have_no_steps_from_bin_to_bin(band):
    given, enhanced, _ = spectra(60)
    upper = np.ones((60, UPPER_BINS), np.complex64)
    upper[:, 91:] *= 3
    band(given, enhanced, upper)
    gains = np.abs(upper)
    gains[:, 91:] /= 3
    assert np.abs(np.diff(gains, axis=1)).max() < 0.05


def test_silence_stays_silent(band):
    given, enhanced, upper = spectra(20)
    for spectrum in (given, enhanced, upper):
        spectrum[:] = 0
    band(given, enhanced, upper)
    assert not upper.any()


def test_the_wanted_voice_stays_bright(model, bright_profile, voice):
    out = Enhancer(model, bright_profile).enhance(voice, RATE_HZ)
    assert change_db(voice, out, 8_300) > -1
    for lowest_hz, highest_hz in ((8_300, 10_000), (10_000, 14_000), (14_000, 20_000)):
        assert change_db(voice, out, lowest_hz, highest_hz) > -1.5
    frames = voice[: voice.size // 480 * 480].reshape(-1, 480) * np.hanning(480)
    kept = change_db(frames, out[: frames.size].reshape(-1, 480) * np.hanning(480), 8_300)
    sibilants = level_db(frames, 8_300) > level_db(frames, 8_300).max() - 15
    assert np.percentile(kept[sibilants], 10) > -3


def test_no_seam_is_heard_where_the_band_of_the_network_ends(model, bright_profile, voice):
    out = Enhancer(model, bright_profile).enhance(voice, RATE_HZ)
    changes = [change_db(voice, out, hz, hz + 250) for hz in range(6_500, 9_500, 250)]
    assert max(changes) < 0.5 and min(changes) > -3
    assert np.abs(np.diff(changes)).max() < 2


def test_others_go_with_what_they_have_below(model, female_profile, voice):
    out = Enhancer(model, female_profile).enhance(voice, RATE_HZ)
    decided = slice(RATE_HZ // 4, None)  # before, the network has let something through
    below, above = (change_db(voice[decided], out[decided], *band) for band in ((4_000, 8_000), (8_300,)))
    assert below < -20 and above < below + 3


def test_a_hop_that_gets_through_is_not_the_wanted_voice():
    """Where a network keeps one now and then of what it takes away else."""
    band = UpperBand(BINS, 1, UPPER_FROM, UPPER_BINS, 50.0, replace(SHIPPED, subtracted=0.0))
    given, _, upper = spectra(200)
    enhanced = given * np.float32(0.01)
    enhanced[50::50] = 0.6 * given[50::50]
    before = np.abs(upper)
    band(given, enhanced, upper)
    gains = (np.abs(upper) / before).mean(axis=1)
    assert gains[50::50].max() < 0.2


@pytest.mark.parametrize("louder_db", [-6, 0, 6])
def test_a_voice_that_begins_after_others_is_not_cut(model, bright_profile, voice, dull_voice, louder_db):
    """Above 8 kHz it loses in its first half second what it loses where nobody spoke before."""
    other = dull_voice[: 2 * RATE_HZ].copy()
    other *= 10 ** (louder_db / 20) * np.std(voice) / np.std(other)
    enhancer = Enhancer(model, bright_profile)
    late = enhancer.enhance(np.concatenate([other, voice]), RATE_HZ)[other.size :]
    alone = enhancer.enhance(voice, RATE_HZ)
    begins = int(np.flatnonzero(np.abs(voice) > 0.1 * np.abs(voice).max())[0])
    first = slice(begins, begins + RATE_HZ // 2)
    lost_below, lost_above = (change_db(alone[first], late[first], *of) for of in ((4_000, 7_000), (8_300,)))
    assert lost_above > lost_below - 1


@pytest.mark.parametrize("kind", ["white", "clicks", "recorded"])
def test_noise_goes_above_as_below(model, bright_profile, full_band, kind):
    sounds = {"white": noise_from(0, 4 * RATE_HZ, 0.01), "clicks": clicks(4 * RATE_HZ)}
    noise = full_band("noise_48k") if kind == "recorded" else sounds[kind]
    out = Enhancer(model, bright_profile).enhance(noise, RATE_HZ)[RATE_HZ // 2 :]
    noise = noise[RATE_HZ // 2 :]
    below, above = change_db(noise, out, 4_000, 7_000), change_db(noise, out, 8_300)
    assert above < -20 and above < max(below + 3, 20 * np.log10(SHIPPED.least_kept) + 1)


def test_what_is_left_of_noise_does_not_sound_like_tones(model, bright_profile):
    """Its powers are spread as those of the noise itself: their kurtosis is the same."""
    noise = noise_from(0, 4 * RATE_HZ, 0.01)
    out = Enhancer(model, bright_profile).enhance(noise, RATE_HZ)

    def kurtosis(samples):
        frames = samples[RATE_HZ : samples.size // 480 * 480].reshape(-1, 480) * np.hanning(480)
        powers = np.square(np.abs(np.fft.rfft(frames)))[:, 85:200]
        centred = powers - powers.mean()
        return np.mean(centred**4) / np.mean(centred**2) ** 2

    assert kurtosis(out) < 1.5 * kurtosis(noise)


def test_hiss_above_the_band_goes_while_a_voice_speaks(model, female_profile, dull_voice):
    hiss = noise_from(8_500, dull_voice.size)
    mixture = np.concatenate([np.zeros(RATE_HZ, np.float32), dull_voice])
    mixture[RATE_HZ // 2 :] += np.resize(hiss, mixture.size - RATE_HZ // 2)
    out = Enhancer(model, female_profile).enhance(mixture, RATE_HZ)
    learnt = slice(2 * RATE_HZ, None)
    assert change_db(mixture[learnt], out[learnt], 9_000) < -16
    assert abs(change_db(dull_voice, out[RATE_HZ:], 1_000, 7_000)) < 2


def test_nothing_is_added_to_a_voice_that_has_nothing_there(model, female_profile, dull_voice):
    out = Enhancer(model, female_profile).enhance(dull_voice, RATE_HZ)
    assert level_db(out, 8_500) < level_db(dull_voice, 1_000, 8_000) - 60


def test_a_new_stream_knows_nothing_of_the_last(model, bright_profile, voice):
    enhancer = Enhancer(model, bright_profile, rate_hz=RATE_HZ)
    first = enhancer.process(voice[:RATE_HZ])
    enhancer.reset()
    enhancer.process(noise_from(0, RATE_HZ))
    enhancer.reset()
    np.testing.assert_array_equal(enhancer.process(voice[:RATE_HZ]), first)
