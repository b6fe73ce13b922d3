"""Learning curves: what a log becomes, that the file grows and keeps its order, that the plot is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from evaluation.sets.scene import write_scenes
from studies import curves
from training.checkpoint import save_checkpoint
from training.dev import dev_scores
from training.network import CONFIGS, Network

SETS = ("two-talkers", "noise", "interferer-only", "clean")


def entry(step: int, time: float) -> dict[str, object]:
    return {"stage": "alone", "step": step, "hours": step / 100, "time": time, "spectral": 0.05, "loss": time}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rows = [entry(20 * k, -k) for k in range(1, 8)]
    rows.insert(3, {"step": 60, "hours": 0.6, "dev": {"noise_gain_right": 3.0}})
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def run(study: Callable[..., Result]) -> Callable[..., None]:
    def succeeds(*arguments: object) -> None:
        result = study("curves", *arguments)
        assert result.exit_code == 0, result.output

    return succeeds


def test_a_log_is_condensed_and_put_after_the_hours_before(run, log: Path, tmp_path: Path) -> None:
    file = tmp_path / "curves.jsonl"
    run("log", file, "--run", "second", "--after", 10, log)
    rows = curves.read(file)
    assert [(row["step"], row.get("time")) for row in rows] == [(60, None), (100, -3), (140, -6.5)]
    assert [row["hours"] for row in rows] == [10.6, 11, 11.4]
    run("log", file, "--run", "second", "--after", 10, log)
    assert curves.read(file) == rows  # the same again replaces it
    run("log", file, "--run", "first", log)
    assert [row["run"] for row in curves.read(file)] == ["first"] * 3 + ["second"] * 3
    run("plot", file, "-o", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_checkpoints_are_scored(run, data: Path, quick_scenes, tmp_path: Path, monkeypatch) -> None:
    torch.set_num_threads(1)
    few = {name: [scene for scene in quick_scenes if scene.set == name][:1] for name in SETS}
    write_scenes(tmp_path / "quick.jsonl", [scene for scenes in few.values() for scene in scenes])
    monkeypatch.setattr("evaluation.quick.SCENES", tmp_path / "quick.jsonl")
    networks = []
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        networks.append(Network(CONFIGS["pvqe-xs"]))
        save_checkpoint(tmp_path / f"{name}.pt", networks[-1], {"steps": 7 + seed, "hours_presented": 2.0})
    file = tmp_path / "curves.jsonl"
    checkpoints = [tmp_path / "a.pt", tmp_path / "b.pt"]
    run("score", file, "--run", "only", "--after", 1.5, "--data", data, *checkpoints)
    rows = curves.read(file)
    assert [(row["run"], row["step"], row["hours"]) for row in rows] == [("only", 7, 3.5), ("only", 8, 3.5)]
    for row, network in zip(rows, networks, strict=True):
        assert row["dev"] == pytest.approx(dev_scores(network.eval(), data), abs=0.05, nan_ok=True)
    assert rows[0]["dev"]["two_talkers_gain_right"] != rows[1]["dev"]["two_talkers_gain_right"]


def test_nothing_to_plot_is_said(study, tmp_path: Path) -> None:
    result = study("curves", "plot", tmp_path / "none.jsonl", "-o", tmp_path / "x.png")
    assert result.exit_code == 1 and "has no curves" in result.output
    assert not (tmp_path / "x.png").exists()
