"""A constant offset and mains hum are no noise: a good voice is enrolled as without them; meters leave them out."""

import numpy as np
import pytest

from edge_pse import enroll
from edge_pse.audio.live.engine import Engine
from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import assess
from edge_pse.enrollment.automatic import AutoEnrollment
from edge_pse.enrollment.live import GOOD, NO_SOUND, LiveEnrollment
from edge_pse.levels import speech_power


def hum(size, mains_hz, dbfs):
    phase = 2 * np.pi * mains_hz * np.arange(size) / 16_000
    wave = np.sin(phase) + 0.5 * np.sin(2 * phase + 1) + 0.4 * np.sin(3 * phase + 2)
    return (wave * 10 ** (dbfs / 20) / np.sqrt(np.mean(wave**2))).astype(np.float32)


@pytest.fixture
def quiet(recording):
    """At -41 dBFS, as cheap microphones often are."""
    return 0.12 * recording("ls1688_enrollment")


DISTURBANCES = {
    "offset of 0.01": lambda size: np.float32(0.01),
    "offset of -0.05": lambda size: np.float32(-0.05),
    "hum of 50 Hz at -41 dBFS": lambda size: hum(size, 50, -41),
    "hum of 60 Hz at -45 dBFS": lambda size: hum(size, 60, -45),
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_recording_with_it_is_judged_and_enrolled_as_without(model, quiet, disturbance):
    disturbed = quiet + DISTURBANCES[disturbance](quiet.size)
    clean, report = assess(quiet, 16_000, model=model), assess(disturbed, 16_000, model=model)
    assert report.problems == ()
    assert report.speech_level_dbfs == pytest.approx(clean.speech_level_dbfs, abs=3)  # the voice below 300 Hz
    assert report.speech_seconds > 0.6 * clean.speech_seconds
    made, wanted = enroll(disturbed, 16_000, model=model), enroll(quiet, 16_000, model=model)
    assert model.contract.voice_space.cosine(made.embedding, wanted.embedding) > 0.8


def test_live_enrollment_advises_as_without_an_offset(model, quiet):
    live = LiveEnrollment(model, 16_000, 4.0)
    live.add(quiet[: 8 * 16_000] + np.float32(0.05))
    progress = live.progress()
    assert progress.advice == GOOD
    assert progress.finished
    assert progress.level_dbfs < -30  # the offset alone has -26


def test_an_offset_alone_is_no_sound(model):
    live = LiveEnrollment(model, 16_000, 4.0)
    live.add(np.full(4 * 16_000, 0.05, np.float32))
    assert live.progress().advice == NO_SOUND


def test_auto_enrollment_hears_a_voice_over_an_offset(model, quiet):
    gatherer = AutoEnrollment(0.01, model.contract.voice_space)
    enhancer = Enhancer(model)
    enhancer.observe(gatherer.add)
    enhancer.process(quiet + np.float32(0.05))
    assert sum(stretch.seconds for stretch in gatherer.stretches) > 4


def test_the_meters_of_a_stream_do_not_show_an_offset(model):
    engine = Engine(Enhancer(model), 16_000, 16_000, channel=0)
    for _ in range(20):
        engine.process(np.full((160, 1), 3000, np.int16))
    assert 10 * np.log10(engine.input_power) < -70


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_sound_where_speech_is_keeps_its_level(rate_hz):
    time = np.arange(rate_hz // 10) / rate_hz
    tone = 0.1 * np.sin(2 * np.pi * 1000 * time)
    both = np.stack([tone, 0.5 * tone], axis=1) + 0.3
    assert 10 * np.log10(speech_power(both, rate_hz)) == pytest.approx([-23.0, -29.0], abs=0.3)
    assert speech_power(np.zeros((0, 2)), rate_hz).tolist() == [0, 0]
