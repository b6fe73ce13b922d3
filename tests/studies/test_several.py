"""Several voices: the ways to keep them, what the studies write, and the page that is made of it."""

import json

import numpy as np
import pytest

from edge_pse.kept_voices import combined
from edge_pse.model import Model
from evaluation.metrics.signal import level_change_db
from evaluation.sets.builder import SetBuilder
from studies.several import clips, keeping, page, turns, ways, who


@pytest.fixture
def short(monkeypatch):
    """Clips and turns of a second or two, with the few voices that there are."""
    of_any_sex = SetBuilder.other_talker
    monkeypatch.setattr(SetBuilder, "other_talker", lambda self, *avoid, **_: of_any_sex(self, *avoid))
    monkeypatch.setattr(clips, "CLIP_SECONDS", 1)
    monkeypatch.setattr(keeping, "COST_ROUNDS", 1)
    for module in (turns, who):
        monkeypatch.setattr(module, "TURN_SECONDS", 3)
        monkeypatch.setattr(module, "ENROLLED", 2)
        monkeypatch.setattr(module, "STRANGERS", 1)
    monkeypatch.setattr(who, "UNITS", (1, 3))


def complex_noise(seed, shape=(40, 30)):
    real, imaginary = np.random.default_rng(seed).normal(size=(2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


def test_no_way_to_combine_is_louder_than_all_that_came_in():
    noisy = complex_noise(0)
    each = [0.9 * noisy, 0.6 * noisy * np.exp(0.4j), 0.1 * complex_noise(1)]
    for combine in ways.COMBINATIONS.values():
        most = np.maximum(np.abs(noisy), np.abs(each).max(axis=0))
        assert (np.abs(combine(noisy, each)) <= most * (1 + 1e-5)).all()
        np.testing.assert_allclose(combine(noisy, [noisy]), noisy, rtol=1e-4)


def test_the_way_that_ships_is_the_one_that_was_measured():
    each = [complex_noise(seed) for seed in range(3)]
    kept = [np.stack([one.real, one.imag])[None] for one in each]
    found = combined(kept)[0]
    np.testing.assert_array_equal(found[0] + 1j * found[1], ways.COMBINATIONS[page.SHIPPED](each[0], each))


def test_the_streamed_network_and_the_sound_of_spectra_are_aligned(recording):
    model = Model.load("pvqe-s")
    speech = recording("ls367_speech")[:16_000]
    noisy = ways.spectra_of(model, speech)
    assert abs(level_change_db(speech, ways.sound_of(model, noisy, speech.size))) < 0.1
    kept = ways.sound_of(model, ways.enhanced(model, noisy, np.zeros(256, np.float32)), speech.size)
    assert np.corrcoef(kept, speech)[0, 1] > 0.95


def test_the_study_scores_each_way_on_each_clip(study, data, tmp_path, short):
    results = tmp_path / "keeping.json"
    result = study("several-voices", "--data", data, "--groups", 2, "--results", results)
    assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())
    assert len(found["clips"]) == 18 and np.shape(found["cost_ms"]) == (2, keeping.MOST_PROFILES)
    assert all(set(clip["ways"]) == set(ways.WAYS) for clip in found["clips"])


def test_the_study_says_how_often_names_are_wrong(study, data, tmp_path, short):
    results = tmp_path / "who.json"
    result = study("who", "--data", data, "--groups", 2, "--results", results)
    assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())
    assert len(found["weights"]) == 4 and len(found["rows"]) == 4
    for row in found["rows"]:
        assert row["right"] + row["another"] + row["nobody"] == pytest.approx(1, abs=0.003)
    assert f"ERRORS = {who.sentence(found)!r}" in result.output


def test_the_page_is_that_of_the_results():
    kept, told = (json.loads(path.read_text()) for path in (keeping.RESULTS, who.RESULTS))
    assert page.page(kept, told) == page.PAGE.read_text()
