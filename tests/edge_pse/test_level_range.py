"""Faint streams are shown to the network at a level that it was trained with; ordinary ones are left as they are."""

import numpy as np
import pytest

from edge_pse import enroll
from edge_pse.enhancer import Enhancer

VOICES = ("ls1688", "ls2033", "ls3080", "ls367")


def at_level(samples, dbfs):
    return samples * np.float32(10 ** (dbfs / 20) / np.sqrt(np.mean(samples**2)))


def kept_db(enhanced, voice):
    return float(20 * np.log10(enhanced @ voice / (voice @ voice)))


@pytest.mark.parametrize("voice", VOICES)
def test_a_faint_or_loud_voice_is_kept_as_an_ordinary_one(model, recording, voice):
    speech = recording(f"{voice}_speech")[: 7 * 16_000]
    stream = Enhancer(model, enroll(recording(f"{voice}_enrollment"), 16_000, model))
    kept = {}
    for dbfs in (-30, -60, -51, -45, -6):
        scaled = at_level(speech, dbfs)
        kept[dbfs] = kept_db(stream.enhance(scaled, 16_000), scaled)
    assert min(kept.values()) > kept[-30] - 1.0, kept


def test_a_voice_enrolled_at_a_faint_level_is_the_same_one(model, recording):
    enrollment = recording("ls1688_enrollment")
    ordinary, faint = (
        enroll(at_level(enrollment, dbfs), 16_000, model).embedding.astype(np.float64) for dbfs in (-28, -48)
    )
    assert ordinary @ faint / np.linalg.norm(ordinary) / np.linalg.norm(faint) > 0.99


def test_an_ordinary_stream_is_not_touched(model, recording, monkeypatch):
    speech = recording("ls2033_speech")[: 4 * 16_000]
    streams = [at_level(speech, dbfs) for dbfs in (-30, -12)]
    enhanced = [Enhancer(model).enhance(stream, 16_000) for stream in streams]
    monkeypatch.setattr("edge_pse.levels.LevelRange.changes", lambda self, power: False)
    for stream, before in zip(streams, enhanced, strict=True):
        np.testing.assert_array_equal(Enhancer(model).enhance(stream, 16_000), before)


def test_faint_noise_is_not_raised_and_taken_away_as_ever(model, rng_noise):
    stream = Enhancer(model)
    enhanced = stream.process(at_level(rng_noise, -60))
    assert stream._level.gain == 1
    assert np.mean(enhanced[16_000:] ** 2) < 1e-7


def test_a_voice_after_silence_is_raised_and_a_loud_one_after_it_is_not(model, recording):
    speech = recording("ls367_speech")[: 3 * 16_000]
    stream = Enhancer(model)
    stream.process(np.zeros(32_000, np.float32))
    assert stream._level.gain == 1
    stream.process(at_level(speech, -55))
    assert stream._level.gain > 4
    loud = at_level(speech, -12)
    enhanced = stream.process(loud)
    assert stream._level.gain < 2
    lag = stream.delay_samples
    assert kept_db(enhanced[lag:], loud[: enhanced.size - lag]) > -1.5


@pytest.fixture
def rng_noise():
    return np.random.default_rng(0).standard_normal(4 * 16_000).astype(np.float32)
