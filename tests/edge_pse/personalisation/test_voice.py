"""``edge_pse.personalise``: the reading, the profile, and what comes back; the learner is one that learns nothing."""

import dataclasses
import hashlib
import warnings

import numpy as np
import pytest
import soxr

import edge_pse
from edge_pse.errors import AudioError, EdgePseWarning, EnrollmentError, ModelError, PersonalisationError
from edge_pse.personalisation import learner, voice


@pytest.fixture(autouse=True)
def no_warning_is_overlooked():
    with warnings.catch_warnings():
        warnings.simplefilter("error", EdgePseWarning)
        yield


@pytest.fixture
def learning(learner_folder, monkeypatch):
    """A learner is found, and behaves so."""
    monkeypatch.setattr(learner, "_places", lambda: iter([learner_folder]))
    return lambda mode: monkeypatch.setenv("EDGE_PSE_CHILD", mode)


@pytest.fixture
def reading(recording):
    whole = recording("ls367_enrollment")
    return [whole[:100_000], whole[100_000:]]


@pytest.fixture
def learnt(reading):
    """``learnt(profile)`` -> what ``personalise`` makes of a profile, without hearing the reading again."""

    def learn(profile, network="pvqe-s"):
        return voice.learn_profile(profile, reading, voice.load_network(network), minutes=1)[0]

    return learn


def told(profile, network="pvqe-s"):
    """What the learner was told, as it says itself."""
    return profile.personal.networks[network].scores


def test_recordings_become_a_profile_with_what_was_learnt(learning, reading, recording, model):
    learning("better")
    seen, other = [], recording("ls2033_enrollment")
    profile = edge_pse.personalise(
        reading, 16_000, name="anna", minutes=1.5, against=[other], threads=2, on_progress=seen.append
    )
    assert (profile.name, profile.model_id) == ("anna", model.contract.profiles_of)
    expected = edge_pse.enroll(np.concatenate(reading), 16_000, model=model)
    np.testing.assert_allclose(profile.embedding, expected.embedding, atol=1e-5)
    assert profile.personal.fits(profile)
    task = told(profile)["task"]
    assert (task["network"], task["threads"], task["start"]) == ("pvqe-s", 2, 0)
    assert (task["reading"], task["against"]) == ([len(one) for one in reading], [len(other)])
    # It is done when the minutes are over, whatever came before.
    assert 1.0 < task["minutes"] < 1.5
    assert [progress.score_db for progress in seen] == [None, 0.75]


def test_any_rate_and_channels_become_what_the_network_hears(learning, reading):
    learning("better")
    faster = [soxr.resample(one, 16_000, 48_000) for one in reading]
    stereo = np.stack([np.concatenate(faster)] * 2, axis=1)
    task = told(edge_pse.personalise(stereo, 48_000))["task"]
    assert task["reading"] == [sum(map(len, reading))]


def test_of_each_recording_the_end_that_is_held_out_has_a_voice_in_it(reading, recording, model):
    room = 10 ** (-65 / 20) * np.random.default_rng(0).standard_normal(12 * 16_000, np.float32)
    other = recording("ls367_speech")
    recordings = [np.concatenate([*reading, room]), np.concatenate([room, other]), room]
    said = [sum(map(len, reading)), len(other)]
    pieces = voice.Reading.of(recordings, 16_000, model).pieces
    assert len(pieces) == len(said)
    for piece, samples in zip(pieces, said, strict=True):
        assert samples - 8_000 < len(piece) < samples + 1.2 * 16_000
        held_out = piece[-(len(piece) // 4) :]
        assert edge_pse.enrollment.assess(held_out, 16_000, model).speech_seconds > 1.0


def test_of_others_there_must_be_speech_and_silence_is_left_out(recording, model):
    other, room = recording("ls2033_enrollment"), np.zeros(12 * 16_000, np.float32)
    short = np.concatenate([other[: 3 * 16_000], room])
    with pytest.raises(
        EnrollmentError, match=r"Recording 2 of those to leave out has only [0-3] s of speech"
    ):
        voice.others_of([other, short], 16_000, model)
    with pytest.raises(EnrollmentError, match="has only 0 s of speech"):
        voice.others_of([room], 16_000, model)
    (kept,) = voice.others_of([np.concatenate([room, other, room])], 16_000, model)
    assert len(other) - 8_000 < len(kept) < len(other) + 2.2 * 16_000


def test_with_a_profile_it_stays_and_what_was_learnt_before_goes_on(
    learning, reading, female_profile, learnt
):
    learning("better")
    first = learnt(female_profile)
    assert first.id == female_profile.id and len(first.recordings) == 1
    light = learnt(first, "pvqe-xs")
    assert told(light, "pvqe-xs")["task"]["start"] == 0
    again = learnt(light)
    start = first.personal.encode()
    assert told(again)["task"]["start"] == len(start)
    assert told(again)["sha256"][-1] == hashlib.sha256(start).hexdigest()
    assert set(again.personal.networks) == {"pvqe-s", "pvqe-xs"}


def test_of_other_general_weights_nothing_goes_on(learning, female_profile, learnt, model):
    learning("better")
    personal = learnt(female_profile).personal
    older = dataclasses.replace(personal.networks["pvqe-s"], model_id="pvqe-s-0123456789ab")
    known = dataclasses.replace(
        female_profile, personal=dataclasses.replace(personal, networks={"pvqe-s": older})
    )
    again = learnt(known)
    assert told(again)["task"]["start"] == 0
    assert again.personal.networks["pvqe-s"].model_id == model.contract.model_id


def test_where_nothing_was_better_the_profile_comes_back_as_it_is(learning, reading, female_profile):
    learning("general")
    with pytest.warns(EdgePseWarning, match=r"^Nothing was better\. One\. Two\.$"):
        assert edge_pse.personalise(reading, 16_000, female_profile) is female_profile


def test_one_to_leave_out_who_may_be_the_voice_itself_is_warned_of(reading, recording, female_profile, model):
    other = recording("ls2033_enrollment")
    with pytest.warns(
        EdgePseWarning, match="Recording 2 of those to leave out sounds like the voice"
    ) as told:
        voice.warn_of_likeness([other, reading[0]], female_profile, model)
    assert len(told) == 1


def test_what_will_not_do_is_refused(learning, reading, recording, female_profile):
    learning("better")
    refused = [
        (EnrollmentError, "9 s of a voice are too little", {"recordings": np.concatenate(reading)[:159_000]}),
        (EnrollmentError, "There is no recording", {"recordings": []}),
        (EnrollmentError, "does not sound like ls367", {"recordings": recording("ls3080_enrollment")}),
        (AudioError, "divide integers", {"recordings": (reading[0] * 32767).astype(np.int16)}),
        (ModelError, "There is no network 'pvqe-s.int8' that can learn", {"model": "pvqe-s.int8"}),
        (PersonalisationError, "from 0.5 to 240", {"minutes": 0}),
        (PersonalisationError, "1 to 64 threads", {"threads": 65}),
        (
            EnrollmentError,
            "Recording 1 of those to leave out is only 4 s",
            {"against": [reading[0][:79_000]]},
        ),
    ]
    for error, sentence, options in refused:
        with pytest.raises(error, match=sentence):
            edge_pse.personalise(
                **{"recordings": reading, "sample_rate_hz": 16_000, "profile": female_profile, **options}
            )


def test_of_a_long_recording_ten_minutes_are_used(reading, model):
    pieces = voice.pieces_of([reading[0], *reading], 16_000, model, most_seconds=8.0)
    assert [len(piece) for piece in pieces] == [len(reading[0]), 8 * 16_000 - len(reading[0])]


def test_weights_of_something_else_are_refused(
    reading, female_profile, male_profile, learning, learnt, monkeypatch
):
    learning("better")
    of_another = learnt(male_profile).personal.encode()
    for weights in (of_another, of_another[:-1], b"weights"):
        monkeypatch.setattr(learner, "learn", lambda *_, weights=weights: learner.Learnt(("Good.",), weights))
        with pytest.raises(PersonalisationError, match="install both from one checkout"):
            learnt(female_profile)
