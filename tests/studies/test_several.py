"""Several voices: what the studies of them write."""

import json

import pytest

from studies.several import turns, who


@pytest.fixture
def short(monkeypatch):
    """Turns of three seconds, with the few voices that there are."""
    for module in (turns, who):
        monkeypatch.setattr(module, "TURN_SECONDS", 3)
        monkeypatch.setattr(module, "ENROLLED", 2)
        monkeypatch.setattr(module, "STRANGERS", 1)
    monkeypatch.setattr(who, "UNITS", (1, 3))


def test_the_study_says_how_often_names_are_wrong(study, data, tmp_path, short):
    results = tmp_path / "who.json"
    result = study("who", "--data", data, "--groups", 2, "--results", results)
    assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())
    assert len(found["weights"]) == 4 and len(found["rows"]) == 4
    for row in found["rows"]:
        assert row["right"] + row["another"] + row["nobody"] == pytest.approx(1, abs=0.003)
    assert f"ERRORS = {who.sentence(found)!r}" in result.output
