"""Enrollment of real voices as they speak, without a sound card and faster than they do."""

import numpy as np
import pytest
import soxr

from edge_pse import enroll
from edge_pse.enrollment.live import (
    GOOD,
    NO_SOUND,
    OTHER_VOICE,
    READ_ON,
    TOO_LOUD,
    TOO_NOISY,
    TOO_QUIET,
    LiveEnrollment,
)
from edge_pse.errors import EnrollmentError
from edge_pse.voice_space import VoiceSpace

cosine = VoiceSpace().cosine  # of embeddings as they are


@pytest.fixture
def hear(model):
    """``hear(samples)`` -> the enrollment, and all that it said on the way, until it was finished."""

    def listen(samples, wanted_seconds=60.0, rate_hz=16_000):
        live = LiveEnrollment(model, rate_hz, wanted_seconds)
        said = []
        for start in range(0, samples.size, rate_hz // 4):
            live.add(samples[start : start + rate_hz // 4].astype(np.float32))
            said.append(live.progress())
            if said[-1].finished:
                break
        live.finish()
        return live, said

    return listen


def advice(said):
    return {progress.advice for progress in said}


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_it_counts_down_to_the_speech_that_is_wanted_and_stops(hear, recording, rate_hz):
    speech = soxr.resample(recording("ls367_enrollment"), 16_000, rate_hz)
    live, said = hear(speech, 4.0, rate_hz)
    assert said[-1].finished
    assert [progress.finished for progress in said].count(True) == 1
    assert said[-1].missing_seconds == 0
    assert said[0].missing_seconds > 3.5
    assert 4 <= live.recording("desk").speech_seconds < 4.6
    assert live.audio().size == pytest.approx(len(said) * rate_hz / 4, abs=rate_hz / 4)
    assert advice(said) <= {READ_ON, GOOD}


def test_what_it_gives_is_what_the_file_gives_and_waiting_changes_nothing(
    hear, recording, female_profile, model
):
    speech = recording("ls367_enrollment")
    room = 0.0003 * np.random.default_rng(0).standard_normal(5 * 16_000)
    live, _ = hear(speech)
    assert cosine(live.recording().embedding, female_profile.embedding) > 0.999
    waited, said = hear(np.concatenate([room, speech, room]))
    assert cosine(waited.recording().embedding, female_profile.embedding) > 0.99
    assert said[15].advice == READ_ON
    assert waited.recording().agreement == pytest.approx(female_profile.recordings[0].agreement, abs=0.05)
    assert enroll(waited.audio(), 16_000, model=model).speech_seconds == pytest.approx(
        waited.recording().speech_seconds, abs=0.1
    )


def test_silence(hear):
    _, said = hear(np.zeros(5 * 16_000))
    assert said[-1].advice == NO_SOUND
    assert said[-1].speech_seconds == 0


def test_too_quiet(hear, recording):
    live, said = hear(recording("ls367_enrollment") * 10 ** (-36 / 20))
    assert TOO_QUIET in advice(said)
    assert GOOD not in advice(said)
    with pytest.raises(EnrollmentError, match="too quiet"):
        live.recording()


def test_too_loud(hear, recording):
    speech = recording("ls367_enrollment")
    live, said = hear(np.clip(20 * speech / np.abs(speech).max(), -1, 1))
    assert TOO_LOUD in advice(said)
    with pytest.raises(EnrollmentError, match="clipped"):
        live.recording()


def test_noise_before_anybody_speaks(hear, recording):
    _, said = hear(recording("helicopter"))
    assert said[-1].advice == TOO_NOISY


def test_too_noisy(hear, recording, mix):
    live, said = hear(mix(recording("ls367_enrollment"), recording("helicopter"), 0))
    assert TOO_NOISY in advice(said)
    with pytest.raises(EnrollmentError, match="too much noise"):
        live.recording()


def test_somebody_else(hear, recording):
    anna, bert = recording("ls367_enrollment")[: 5 * 16_000], recording("ls2033_enrollment")[: 5 * 16_000]
    bert = bert * np.sqrt(np.mean(anna**2) / np.mean(bert**2))
    _, said = hear(np.concatenate([anna, bert]))
    assert OTHER_VOICE not in advice(said[:20])
    assert OTHER_VOICE in advice(said[20:])


def test_one_voice_is_not_taken_for_two(hear, recording):
    for voice in ("ls367", "ls2033"):
        _, said = hear(recording(f"{voice}_enrollment"))
        assert OTHER_VOICE not in advice(said)


def test_a_recording_that_does_not_become_good_ends(hear, recording, mix):
    speech = np.tile(recording("ls367_enrollment"), 2)
    live, said = hear(mix(speech, recording("helicopter"), 0), 2.0)
    assert said[-1].finished
    assert said[-1].missing_seconds == 0
    assert live.audio().size / 16_000 == pytest.approx(live.limit_seconds, abs=0.5)
