"""Whether a machine can learn personal weights, as ``doctor`` says it."""

import pytest

from edge_pse.diagnosis.learning import personal_weights
from edge_pse.personalisation import learner


@pytest.fixture
def machine(tmp_path, learner_folder, monkeypatch):
    """``machine(gigabytes)`` -> the root of one with a learner and so much memory free."""
    monkeypatch.setattr(learner, "_places", lambda: iter([learner_folder]))
    monkeypatch.setattr(learner, "NEEDED", ())
    (tmp_path / "proc").mkdir()

    def with_memory(gigabytes):
        text = f"MemTotal:       99999999 kB\nMemAvailable:   {round(gigabytes * 1e9 / 1024)} kB\n"
        (tmp_path / "proc/meminfo").write_text(text)
        return tmp_path

    return with_memory


def test_a_machine_that_can_says_where_and_with_what(machine, learner_folder):
    finding = personal_weights(machine(4.2))
    assert finding.status == "ok" and str(learner_folder) in finding.sentence
    assert "4.2 GB of memory free" in finding.sentence


def test_one_with_too_little_memory_is_told_to_learn_elsewhere(machine):
    finding = personal_weights(machine(0.4))
    assert finding.status == "warn" and "only 0.4 GB" in finding.sentence
    assert "profiles export" in finding.advice


def test_one_without_the_learner_is_well_and_hears_how_to_get_it(machine, monkeypatch):
    monkeypatch.setattr(learner, "NEEDED", ("torch_that_nobody_has",))
    finding = personal_weights(machine(4.2))
    assert finding.status == "ok"
    assert "nothing else needs it" in finding.sentence and "pip install '.[personal]'" in finding.sentence
