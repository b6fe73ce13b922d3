"""Whether two recordings are of one voice, on real voices, and how far a profile can be trusted."""

import dataclasses

import numpy as np
import pytest

from edge_pse import Profile, enroll
from edge_pse.enrollment.verification import (
    FAIR_TRUST,
    MATCH_COSINE,
    NO_MATCH_COSINE,
    agreement,
    trust,
    verify,
)
from edge_pse.errors import ProfileError
from edge_pse.profiles import Recording
from edge_pse.voice_space import VoiceSpace


def other_recording(model, recording, voice):
    return enroll(recording(f"{voice}_speech"), 16_000, model=model).recordings[0]


@pytest.fixture(scope="module")
def space(model):
    return model.contract.voice_space


def test_a_voice_is_known_again_and_one_of_the_other_sex_is_refused(
    model, space, recording, female_profile, male_profile
):
    female, male = (other_recording(model, recording, voice) for voice in ("ls367", "ls2033"))
    assert verify(female_profile, female, space).answer == "match"
    assert verify(male_profile, male, space).answer != "no match"
    assert verify(female_profile, male, space).answer == "no match"
    assert verify(male_profile, female, space).answer == "no match"


def test_a_voice_between_two_is_doubtful(female_profile):
    """Turned away from the profile, an embedding is doubtful after a while, then no match."""
    own = female_profile.embedding / np.linalg.norm(female_profile.embedding)
    away = np.zeros_like(own)
    away[0] = 1
    away -= (away @ own) * own
    away /= np.linalg.norm(away)
    answers = []
    for similarity in (1.0, (MATCH_COSINE + NO_MATCH_COSINE) / 2, NO_MATCH_COSINE - 0.01):
        turned = similarity * own + np.sqrt(1 - similarity**2) * away
        verdict = verify(female_profile, Recording(turned, turned, 9.0, 30.0), VoiceSpace())
        assert verdict.cosine == pytest.approx(similarity, abs=1e-5)
        answers.append(verdict.answer)
    assert answers == ["match", "doubtful", "no match"]


def test_a_recording_of_another_model_is_refused(space, female_profile):
    with pytest.raises(ProfileError, match="different models"):
        verify(female_profile, Recording(np.ones(128), np.ones(128), 9.0, 30.0), space)


def test_the_halves_of_one_voice_agree_and_those_of_two_do_not(model, recording, female_profile):
    anna, bert = recording("ls367_enrollment")[:80_000], recording("ls2033_enrollment")[:80_000]
    bert = bert * np.float32(np.sqrt(np.mean(anna**2) / np.mean(bert**2)))
    one = female_profile
    two = enroll(np.concatenate([anna, bert]), 16_000, model=model)
    assert one.recordings[0].agreement > two.recordings[0].agreement + 0.15
    assert trust(two) < trust(one) - 0.01


def test_trust_grows_with_speech_and_falls_with_noise(female_profile):
    def trusted(seconds, snr_db, how_well):
        measures = {"speech_seconds": seconds, "snr_db": snr_db, "agreement": how_well}
        recording = dataclasses.replace(female_profile.recordings[0], **measures)
        return trust(Profile("x", female_profile.model_id, (recording,)))

    middle = trusted(4.0, 20.0, 0.6)
    assert 0 < middle < 1
    assert trusted(8.0, 20.0, 0.6) >= middle
    assert trusted(4.0, 10.0, 0.6) <= middle
    assert trusted(4.0, 20.0, 0.3) < middle
    assert trusted(4.0, 20.0, -0.5) < FAIR_TRUST


def test_what_nobody_has_looked_at_has_no_trust(female_profile):
    unknown = dataclasses.replace(female_profile.recordings[0], agreement=None)
    profile = Profile("x", female_profile.model_id, (*female_profile.recordings, unknown))
    assert trust(profile) is None
    hardly = dataclasses.replace(female_profile.recordings[0], speech_seconds=0.001)
    assert trust(Profile("x", female_profile.model_id, (hardly, hardly))) is None
    assert agreement(np.ones((100, 4), np.float32), np.ones(100, bool), 0.01, VoiceSpace()) is None
