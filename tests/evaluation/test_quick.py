"""Dev scores for training: what a callable gets and what it is told."""

import numpy as np
import pytest

from evaluation.metrics.signal import CEILING_DB
from evaluation.quick import QuickSet
from evaluation.sets.render import render
from evaluation.sets.scene import write_scenes


@pytest.fixture(scope="module")
def scenes(quick_scenes):
    """A few of every set."""
    by_set = {}
    for scene in quick_scenes:
        by_set.setdefault(scene.set, []).append(scene)
    return [scene for same in by_set.values() for scene in same[:4]]


@pytest.fixture(scope="module")
def quick(scenes, data):
    return QuickSet(tuple(render(scene, data) for scene in scenes))


def _references(quick):
    return [np.zeros_like(t.noisy) if t.clip.reference is None else t.clip.reference for t in quick.tasks]


def test_the_input_gains_nothing(quick):
    scores = quick.scores([task.noisy for task in quick.tasks])
    for name in ("two_talkers_gain_right", "gap_mean", "gap_median", "noise_gain_right", "clean_tsos"):
        assert scores[name] == 0.0
    assert scores["interferer_suppression_mean"] == 0.0
    assert scores["delay_samples"] == 0.0
    assert 1.0 < scores["noise_pesq_right"] < 3.0


def test_the_reference_is_the_ceiling(quick):
    scores = quick.scores(_references(quick))
    assert scores["wrong_talker_rate"] == 0.0
    assert scores["interferer_suppression_median"] == CEILING_DB
    assert scores["two_talkers_gain_right"] > 90.0
    assert scores["clean_level_db"] == 0.0
    assert scores["noise_pesq_right"] > 4.5


def test_a_system_that_obeys_the_profile_has_a_gap(quick):
    def follow(task):
        other = task.clip.interference if task.profile == "wrong" else None
        return task.noisy if task.clip.reference is None else task.clip.reference if other is None else other

    scores = quick.scores([follow(task) + 0.01 * task.noisy for task in quick.tasks])
    assert scores["gap_median"] > 20.0
    assert scores["two_talkers_gain_wrong"] < -10.0 < 10.0 < scores["two_talkers_gain_right"]
    assert scores["same_sex_gain_right"] > 10.0
    assert scores["wrong_talker_rate"] == 0.0


def test_a_constant_delay_costs_nothing(quick):
    late = [
        np.concatenate([np.zeros(160, np.float32), output])[: len(output)] for output in _references(quick)
    ]
    scores = quick.scores(late)
    assert scores["delay_samples"] == 160.0
    # The last 10 ms are cut off, no more.
    assert scores["two_talkers_gain_right"] > 15.0


def test_silence_has_no_si_sdr_but_over_suppresses(quick):
    scores = quick.scores([np.zeros_like(task.noisy) for task in quick.tasks])
    assert np.isnan(scores["two_talkers_gain_right"]) and np.isnan(scores["noise_pesq_right"])
    assert scores["clean_tsos_active"] == 1.0


def test_tasks_bring_what_a_model_needs(quick):
    audio = {}
    for task in quick.tasks:
        assert task.noisy.dtype == np.float32 and len(task.noisy) == 96_000
        assert (task.enrollment is None) == (task.profile == "none") == (task.enrolled_speaker is None)
        if task.enrollment is not None:
            known = audio.setdefault(task.enrolled_speaker, task.enrollment)
            assert np.array_equal(known, task.enrollment)


def test_an_output_too_few_is_refused(quick):
    with pytest.raises(ValueError, match="tasks"):
        quick.scores([quick.tasks[0].noisy])


def test_what_does_nothing_tells_no_voices_apart(scenes, data, tmp_path, monkeypatch):
    write_scenes(tmp_path / "quick.jsonl", scenes)
    monkeypatch.setattr("evaluation.quick.SCENES", tmp_path / "quick.jsonl")
    quick = QuickSet.load(data)
    profiles = [task.enrollment is not None for task in quick.tasks]
    assert any(profiles) and not all(profiles)
    assert quick.scores([task.noisy for task in quick.tasks])["gap_mean"] == 0.0


def test_missing_data_is_explained(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGE_PSE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="--data"):
        QuickSet.load()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        QuickSet.load(tmp_path / "nowhere")
