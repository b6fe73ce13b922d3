"""What sounds like another rate than the one given is warned of, and nothing else is."""

import contextlib
import warnings

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import EdgePseWarning, Enhancer, enroll
from edge_pse.enrollment import assess
from edge_pse.errors import EnrollmentError
from edge_pse.pace import FAST_LIMIT, SLOW_LIMIT, measure, warn_of_pace

VOICES = [f"ls{number}_{part}" for number in (367, 1688, 2033, 3080) for part in ("enrollment", "speech")]


@pytest.fixture
def slow(recording):
    """48 kHz, taken for 16."""
    return soxr.resample(recording("ls2033_enrollment"), 16_000, 48_000)[: 13 * 16_000]


@pytest.mark.parametrize(("made_hz", "manner"), [(44_100, "slow"), (48_000, "slow"), (8_000, "fast")])
def test_speech_at_another_rate_is_told_by_its_pace(recording, made_hz, manner):
    found = 0
    for name in VOICES:
        pace = measure(soxr.resample(recording(name), 16_000, made_hz), 16_000)
        slow, fast = pace.slowness > SLOW_LIMIT, pace.haste > FAST_LIMIT
        assert not (fast if manner == "slow" else slow)
        found += slow or fast
    assert found >= (5 if manner == "slow" else 2)


def test_no_true_recording_is_warned_of(recording, mix):
    noise = recording("helicopter")
    for name in VOICES:
        speech = recording(name)
        for sound in (speech, mix(speech, noise, 5), mix(speech, recording("ls1688_speech"), 0)):
            pace = measure(sound, 16_000)
            assert pace is None or (pace.slowness < SLOW_LIMIT - 0.1 and pace.haste < FAST_LIMIT - 0.1)


def test_what_is_no_speech_has_no_pace(recording):
    tone = 0.1 * np.sin(np.arange(160_000) * 0.1).astype(np.float32)
    for sound in (
        np.zeros(160_000, np.float32),
        tone,
        recording("ls367_speech")[:16_000],
        np.zeros(0, np.float32),
    ):
        assert measure(sound, 16_000) is None


def test_the_network_has_the_last_word_and_is_asked_only_when_in_doubt(slow, recording):
    asked = []

    def nothing_kept(start):
        asked.append(start.size)
        return np.ones(100), np.zeros(100)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_pace(recording("ls2033_enrollment"), 16_000, 16_000, nothing_kept)
        assert not asked
        warn_of_pace(slow, 16_000, 16_000, nothing_kept)
    assert asked == [12 * 16_000]


@pytest.mark.parametrize("declared_hz", [8_000, 16_000])
def test_it_is_said_where_the_rate_was_given(model, slow, declared_hz):
    samples = soxr.resample(slow, 16_000, declared_hz)
    for use in (Enhancer(model).enhance, enroll, assess):
        with pytest.warns(EdgePseWarning) as said, contextlib.suppress(EnrollmentError):
            use(samples, declared_hz)
        assert str(said[0].message) == (
            f"The speech sounds slowed down, as if it was recorded at a higher rate than {declared_hz} Hz: give "
            "the rate of the recording."
        )
        assert len(said) == 1 and said[0].filename == __file__


def test_with_its_rate_nothing_is_said(model, slow):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Enhancer(model).enhance(slow, 48_000)
        enroll(slow, 48_000, model=model)


@pytest.mark.parametrize("declared_hz", [44_100, 16_000])
def test_the_command_says_it_in_a_line(run, tmp_path, slow, declared_hz):
    soundfile.write(tmp_path / "slow.wav", soxr.resample(slow, 16_000, declared_hz), declared_hz)
    result = run("enhance", tmp_path / "slow.wav", "-o", tmp_path / "out.wav")
    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if line] == [
        f"Warning: The speech sounds slowed down, as if it was recorded at a higher rate than {declared_hz} Hz: give "
        "the rate of the recording."
    ]
    result = run("enroll", "me", "--from", tmp_path / "slow.wav")
    assert "Warning: The speech sounds slowed down" in result.stderr
