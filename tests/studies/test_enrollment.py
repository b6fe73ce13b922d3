"""The calibration of verification and trust, on the voices of the fixtures."""

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge_pse.enrollment import verification
from studies.enrollment import INTRUDER, REFERENCE, Calibration, Trial, _listen, with_constants

VOICES = ("ls367", "ls2033")


@pytest.fixture(scope="module")
def trials(model, recording):
    """Two voices, each with a reference, clean enrollments, and one that the other takes over."""
    found = []
    for index, voice in enumerate(VOICES):
        own, other = (recording(f"{name}_enrollment") for name in (voice, VOICES[1 - index]))
        other = other * np.float32(np.sqrt(np.mean(own**2) / np.mean(other**2)))
        both = np.concatenate([own[:64_000], other[:64_000]])
        found += _listen(model, recording(f"{voice}_speech"), index, [(np.inf, REFERENCE)])
        found += _listen(model, own, index, [(3.0, "clean, 3 s"), (6.0, "clean, 6 s"), (10.0, "clean, 10 s")])
        found += _listen(model, both, index, [(np.inf, INTRUDER)])
    return found


@pytest.fixture(scope="module")
def space(model):
    return model.contract.voice_space


def test_each_stop_is_one_enrollment_that_grows(trials):
    assert [trial.condition for trial in trials[:5]] == [
        REFERENCE, "clean, 3 s", "clean, 6 s", "clean, 10 s", INTRUDER
    ]  # fmt: skip
    seconds = [trial.speech_seconds for trial in trials[1:4]]
    assert seconds == sorted(seconds)
    assert seconds[0] > 1


def test_voices_of_different_sex_are_told_apart_and_thresholds_lie_between(trials, space):
    calibration = Calibration(trials, space)
    assert all(calibration.told_apart(trial) == 1 for trial in calibration.clean)
    assert calibration.impostors.max() < calibration.match_cosine <= calibration.genuine.max()
    assert calibration.no_match_cosine <= calibration.match_cosine
    assert "MATCH_COSINE = " in calibration.constants()


def test_an_intruder_breaks_the_continuity(trials, space):
    calibration = Calibration(trials, space)
    intruded = [trial.continuity for trial in trials if trial.condition == INTRUDER]
    assert max(intruded) < calibration.other_voice_cosine


def test_trust_learns_from_the_agreement(trials, space):
    """Enrollments whose halves disagree are made to point elsewhere: trust must follow."""
    generator = np.random.default_rng(0)
    clean = next(trial for trial in trials if trial.condition == "clean, 10 s")
    wrong = next(trial for trial in trials if trial.condition == REFERENCE and trial.speaker != clean.speaker)
    many = list(trials)
    for _ in range(100):
        many.append(dataclasses.replace(clean, agreement=generator.uniform(0.8, 1)))
        many.append(
            dataclasses.replace(clean, agreement=generator.uniform(-0.2, 0.2), embedding=wrong.embedding)
        )
    calibration = Calibration(many, space)
    assert calibration.trust_weights[1] > 1
    by_trial = dict(zip(map(id, calibration.usable), calibration.trust, strict=True))
    trusts = [by_trial[id(trial)] for trial in many[len(trials) :]]
    assert min(trusts[::2]) > 0.7
    assert max(trusts[1::2]) < 0.4


def test_a_trial_without_speech_is_left_out_of_the_fit(trials, space):
    mute = Trial(0, "clean, 3 s", np.ones(256, np.float32), 0.0, -np.inf, None, np.inf)
    assert len(Calibration([*trials, mute], space).usable) == len(Calibration(trials, space).usable)


def test_the_command_prints_the_tables_and_the_constants(study, data):
    result = study("enrollment", "--data", data)
    assert result.exit_code == 0, result.output
    for part in ("4 speakers", "| clean, 10 s | 4 |", "| noise, 15 dB | 1 |", "| another speaker | 36 |"):
        assert part in result.stdout
    constants = dict(line.split(" = ") for line in result.stdout.splitlines()[-4:])
    assert set(constants) <= set(vars(verification))
    assert len(ast.literal_eval(constants["TRUST_WEIGHTS"])) == len(verification.TRUST_WEIGHTS)


def test_constants_take_the_place_of_those_in_the_source():
    source = Path(verification.__file__).read_text("utf-8")
    lines = "MATCH_COSINE = 0.111\nTRUST_WEIGHTS = (9.0, 0.0)"
    changed = with_constants(source, lines)
    assert changed.count("\n") == source.count("\n") and set(lines.splitlines()) <= set(changed.splitlines())
    assert "NO_MATCH_COSINE = 0.111" not in changed
    with pytest.raises(ValueError, match="no OTHER"):
        with_constants(source, "OTHER = 1")


def test_without_data_the_command_says_what_to_give(study, tmp_path):
    result = study("enrollment", "--data", tmp_path / "missing")
    assert result.exit_code == 1
    assert "does not exist" in result.output
