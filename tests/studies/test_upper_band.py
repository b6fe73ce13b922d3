"""The band above 8 kHz: rules are scored on what the network is given and gives, and the page says what was found."""

import json
from itertools import islice

import numpy as np
import pytest

from edge_pse.model import Model
from edge_pse.upper_band import SHIPPED
from studies.upper_band import command, page, scenes
from studies.upper_band.rules import RULES, SHIPS, UNTOUCHED


@pytest.fixture
def few(monkeypatch):
    """One clip a talker, and three rules."""
    monkeypatch.setattr(scenes, "CLIPS", 1)
    three = dict(islice(RULES.items(), 3))
    for module in (command, page):
        monkeypatch.setattr(module, "RULES", three)


def test_the_study_scores_each_rule_in_each_case(study, data, tmp_path, few):
    results = tmp_path / "results.json"
    result = study("upper-band", "--data", data, "--results", results)
    assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())
    assert list(found["data"]["rules"]) == list(command.RULES)
    untouched = found["data"]["rules"][UNTOUCHED]
    for column in page.COLUMNS:
        assert np.isfinite(float(column.cell(untouched)))
    for case in (scenes.TALKERS, scenes.NOISE):
        assert untouched[f"{case}: {command.GAIN}"] == 0
    assert page.page({**found, "voices": found["data"]}).startswith("# The band above 8 kHz")


def test_gains_are_those_of_the_stream(data, few):
    model = Model.load()
    scene = next(scenes.scenes(data, model))
    gains = command.gains_of(RULES[SHIPS], scenes.passed(model, scene))
    assert gains.shape == (scene.wanted.size // 480, 235)
    assert gains.max() <= 1 + 1e-6 and gains.min() >= SHIPPED.least_kept * 0.99


def test_what_does_not_ship_has_its_reason():
    assert set(page.REASONS) == set(RULES) - {SHIPS, UNTOUCHED}


def test_the_page_is_that_of_the_results():
    assert page.page(json.loads(command.RESULTS.read_text())) == page.PAGE.read_text()
