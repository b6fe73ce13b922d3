"""What personal weights give away: the ways to ask are right where the answer is known, and the study asks them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result

from evaluation.published import PUBLISHED, Published
from studies.personal import privacy, voices
from studies.personal.command import CHECKPOINTS
from studies.personal.results import RECIPE
from training.checkpoint import load_checkpoint, model_id, save_checkpoint


def test_a_score_says_how_often_it_is_right() -> None:
    assert privacy.area(np.array([3.0]), np.array([1.0, 2.0, 4.0, 3.0])) == pytest.approx(2.5 / 4)
    scores = np.array([[1.0, 10.0, 2.0], [0.0, 12.0, 3.0]])
    assert np.array_equal(privacy.without_others(scores), [[1.0, -2.0, -1.0], [-1.0, 2.0, 1.0]])


def test_pieces_are_spread_over_the_recording() -> None:
    assert len(privacy.pieces(np.zeros(16_000 * 10))) == 3
    many = privacy.pieces(np.arange(16_000 * 100))
    assert len(many) == privacy.MOST_PIECES and many[0][0] == 0 and many[-1][0] >= 16_000 * 93


def test_voice_and_sentences_are_looked_for_in_the_weights(
    study: Callable[..., Result], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "READINGS_S", (9.0,))
    monkeypatch.setattr(voices, "SHORTEST_SET_ASIDE_S", 9.0)
    monkeypatch.setattr(voices, "LEAST_REST_S", 5.0)
    monkeypatch.setattr(privacy, "MOST_PIECES", 1)
    monkeypatch.setattr(privacy, "RECORDING_S", 2.0)
    results = tmp_path / "results.json"
    shutil.copy(PUBLISHED, results)
    monkeypatch.setattr(privacy.publish, "__defaults__", (results,))
    general, _ = load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")
    base = model_id(general)
    general.profiles_of = general.profiles_of or base
    for number, voice in enumerate(("ls1688", "ls367")):
        with torch.no_grad():
            general.profile.bias.add_(0.01)
        history = {
            "voice": voice,
            "seconds": 9.0,
            "variant": RECIPE,
            "steps": 7,
            "ms_a_step": 1,
            "threads": 1,
        }
        save_checkpoint(tmp_path / f"{base}-{number}.pt", general, history)
    result = study(
        "personal-privacy", "--data", data, "--network", "pvqe-xs", "--weights", tmp_path, "--threads", 1, "--publish",
    )  # fmt: skip
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
