"""What personal weights give away: the ways to ask are right where the answer is known, and the study asks them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from evaluation.published import PUBLISHED, Published, publish_tables
from studies.personal import privacy


def test_a_score_says_how_often_it_is_right() -> None:
    assert privacy.area(np.array([3.0]), np.array([1.0, 2.0, 4.0, 3.0])) == pytest.approx(2.5 / 4)
    scores = np.array([[1.0, 10.0, 2.0], [0.0, 12.0, 3.0]])
    assert np.array_equal(privacy.without_others(scores), [[1.0, -2.0, -1.0], [-1.0, 2.0, 1.0]])


def test_pieces_are_spread_over_the_recording() -> None:
    assert len(privacy.pieces(np.zeros(16_000 * 10))) == 3
    many = privacy.pieces(np.arange(16_000 * 100))
    assert len(many) == privacy.MOST_PIECES and many[0][0] == 0 and many[-1][0] >= 16_000 * 93


def test_voice_and_sentences_are_looked_for_in_the_weights(
    study: Callable[..., Result], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    weights_of_two: tuple[Path, str],
) -> None:  # fmt: skip
    monkeypatch.setattr(privacy, "MOST_PIECES", 1)
    monkeypatch.setattr(privacy, "RECORDING_S", 2.0)
    results = tmp_path / "results.json"
    shutil.copy(PUBLISHED, results)
    monkeypatch.setattr(publish_tables, "__defaults__", (results,))
    folder, base = weights_of_two
    asked = ("--data", data, "--network", "pvqe-xs", "--weights", folder, "--threads", 1)
    result = study("personal-privacy", *asked, "--publish")
    assert result.exit_code == 0, result.output
    assert f"{base}, 2 voices, 7 steps" in result.stdout
    published = Published.load(results).studies
    who, read = (published[privacy.PUBLISHED_AS[name]] for name in (privacy.WHO, privacy.READ))
    assert who.header[0] == "2 voices among 3 candidates" and len(who.rows) == 6 and len(read.rows) == 3
    assert who.rows[-1] == ["guessing", "33", "50"]


def test_weights_of_another_network_are_none(
    study: Callable[..., Result], data: Path, tmp_path: Path
) -> None:
    result = study("personal-privacy", "--data", data, "--weights", tmp_path)
    assert result.exit_code == 1 and f"No weights of pvqe-s in {tmp_path}" in result.stderr
