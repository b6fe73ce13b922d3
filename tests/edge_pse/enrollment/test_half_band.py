"""A voice is known with all of its band and with half of it, however it was enrolled."""

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer, Profile, enroll
from edge_pse.enrollment.automatic import AutoEnrollment
from edge_pse.errors import ProfileError
from edge_pse.profiles import ProfileStore, Recording

VOICES = ("ls1688", "ls2033", "ls3080", "ls367")
LOST_DB = -3.0


def at_8_khz(samples):
    return soxr.resample(soxr.resample(samples, 16_000, 8_000), 8_000, 16_000)


def gain_db(reference, estimate):
    return 20 * np.log10(abs(np.vdot(reference, estimate)) / np.vdot(reference, reference))


def without_half_band(profile):
    """As if enrollments heard the whole band only."""
    (recording,) = profile.recordings
    whole = Recording(recording.embedding, half_band=recording.embedding, speech_seconds=9.0, snr_db=30.0)
    return Profile("before", profile.model_id, (whole,))


@pytest.fixture(scope="module")
def profiles(model, recording):
    return {
        voice: enroll(recording(f"{voice}_enrollment"), 16_000, model=model, name=voice) for voice in VOICES
    }


@pytest.mark.parametrize("voice", VOICES)
def test_a_voice_enrolled_with_the_whole_band_stays_at_8_khz(model, recording, profiles, voice):
    heard = at_8_khz(recording(f"{voice}_speech"))
    out = Enhancer(model, profiles[voice]).enhance(heard, 16_000)
    assert gain_db(heard, out) > LOST_DB
    # From the first second on: that is where most of it was lost.
    assert gain_db(heard[:16_000], out[:16_000]) > 2 * LOST_DB


def test_it_is_what_enrollment_heard_of_half_the_band_that_keeps_it(model, recording, profiles):
    heard = at_8_khz(recording("ls2033_speech"))
    out = Enhancer(model, without_half_band(profiles["ls2033"])).enhance(heard, 16_000)
    assert gain_db(heard, out) < -10


@pytest.mark.parametrize("voice", ("ls1688", "ls367"))
def test_the_whole_band_is_as_before(model, recording, profiles, voice):
    speech = recording(f"{voice}_speech")
    gains = [
        gain_db(speech, Enhancer(model, profile).enhance(speech, 16_000))
        for profile in (without_half_band(profiles[voice]), profiles[voice])
    ]
    assert gains[1] > gains[0] - 0.2


@pytest.mark.parametrize("voice", ("ls2033", "ls367"))
def test_a_voice_enrolled_at_8_khz_stays_in_the_whole_band(model, recording, voice):
    profile = enroll(at_8_khz(recording(f"{voice}_enrollment")), 16_000, model=model)
    speech = recording(f"{voice}_speech")
    assert gain_db(speech, Enhancer(model, profile).enhance(speech, 16_000)) > LOST_DB


def test_another_voice_is_taken_away_at_8_khz_too(model, recording, profiles):
    other = at_8_khz(recording("ls367_speech"))
    assert gain_db(other, Enhancer(model, profiles["ls1688"]).enhance(other, 16_000)) < -10


def test_the_half_is_that_of_the_same_recording_cut_at_4_khz(model, recording):
    samples = recording("ls367_enrollment")
    (whole,) = enroll(samples, 16_000, model=model).recordings
    (cut,) = enroll(at_8_khz(samples), 16_000, model=model).recordings
    space = model.contract.voice_space
    assert space.cosine(whole.half_band, cut.embedding) > 0.95
    assert space.cosine(whole.half_band, cut.embedding) > space.cosine(whole.half_band, whole.embedding)


def test_what_the_network_is_given_is_the_mean_of_both(profiles):
    (recording,) = profiles["ls367"].recordings
    np.testing.assert_allclose(
        profiles["ls367"].conditioning, (recording.embedding + recording.half_band) / 2, atol=1e-6
    )
    np.testing.assert_array_equal(
        profiles["ls367"].embedding, recording.embedding
    )  # that is what is compared


def test_a_profile_without_a_half_is_given_as_it_is_and_a_half_is_added_to_it(profiles):
    before = without_half_band(profiles["ls367"])
    np.testing.assert_array_equal(before.conditioning, before.embedding)
    (heard,) = profiles["ls2033"].recordings
    both = before.with_recording(heard, before.model_id)
    weights = [9.0, heard.speech_seconds]
    half = np.average([before.embedding, heard.half_band], axis=0, weights=weights)
    np.testing.assert_allclose(both.conditioning, (both.embedding + half) / 2, atol=1e-5)


def test_both_are_kept_in_the_file(home, profiles):
    store = ProfileStore()
    store.save(profiles["ls367"])
    loaded = store.load("ls367")
    np.testing.assert_array_equal(loaded.conditioning, profiles["ls367"].conditioning)
    np.testing.assert_array_equal(loaded.embedding, profiles["ls367"].embedding)


@pytest.mark.parametrize("half", [np.full(256, np.nan), np.full(256, 3e38), np.ones(128), np.ones((1, 256))])
def test_a_half_that_is_none_is_refused(half):
    with pytest.raises(ProfileError, match="enroll the voice again"):
        Recording(np.ones(256, np.float32), half, 9.0, 30.0)


def test_auto_enrollment_hears_both(model, recording):
    speech = np.tile(recording("ls367_enrollment"), 2)
    gatherer = AutoEnrollment(0.01, model.contract.voice_space)
    enhancer = Enhancer(model)
    enhancer.observe(gatherer.add)
    enhancer.process(speech)
    made = gatherer.gathered().recording()
    (explicit,) = enroll(speech, 16_000, model=model).recordings
    space = model.contract.voice_space
    assert space.cosine(made.half_band, explicit.half_band) > 0.9
    assert space.cosine(made.half_band, explicit.half_band) > space.cosine(made.embedding, explicit.half_band)
