"""Recipes: every run has what it needs, every file of stages is read, every id is that of the weights there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import click
import pytest

from edge_pse.model import MODELS_DIR
from training.checkpoint import load_checkpoint, model_id, profiles_id
from training.network import CONFIGS
from training.schedule import RECIPES, choose_stages, default_stages, load_schedule
from training.train import check_fits, main

PROJECT = Path(__file__).parents[2]
CHECKPOINTS = PROJECT / "training/checkpoints"
NAMES = ["pvqe-s", "pvqe-s-far", "pvqe-xs"]
PAGES = [RECIPES / name / "README.md" for name in NAMES] + [PROJECT / "docs/training.md"]
RUNS = [
    line
    for page in PAGES
    for line in page.read_text().splitlines()
    if line.startswith("python -m training.train ")
]
KEPT = [
    (page, *words)
    for page in PAGES
    for words in re.findall(r"^git show (\w+):(\S+) > (\S+)\.pt$", page.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("line", dict.fromkeys(RUNS))
def test_a_run_has_the_stages_and_the_teacher_that_it_needs(line: str) -> None:
    context = click.Context(main)
    values, rest, _ = main.make_parser(context).parse_args(shlex.split(line)[3:])
    assert not rest and all(p.name in values for p in main.params if p.required)
    config = CONFIGS[values.get("name", "pvqe-s")]
    config = replace(config, profile_size=256 if "profile_checkpoint" in values else None)
    schedule = values.get("schedule")
    stages = load_schedule(PROJECT / schedule) if schedule else default_stages(config)
    chosen = choose_stages(stages, values.get("names", ""))
    assert chosen and (len(chosen) == 1 or "fit" not in values)
    assert ("teacher_path" in values) == any(stage.needs_teacher() for stage in chosen)


@pytest.mark.parametrize(("page", "commit", "file", "name"), KEPT)
def test_earlier_weights_are_in_the_history(
    page: Path, commit: str, file: str, name: str, tmp_path: Path
) -> None:
    assert f"| `{name}` |" in page.read_text() and f"| `{commit}` |" in page.read_text()
    shown = subprocess.run(["git", "show", f"{commit}:{file}"], cwd=PROJECT, capture_output=True)
    if shown.returncode:
        pytest.skip("this copy of the repository comes without its history")
    (tmp_path / "weights.pt").write_bytes(shown.stdout)
    assert model_id(load_checkpoint(tmp_path / "weights.pt")[0]) == name


@pytest.mark.parametrize(
    "path", sorted(RECIPES.glob("*/*.toml")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_stages_are_of_the_network_that_they_are_for(path: Path) -> None:
    network, _ = load_checkpoint(CHECKPOINTS / f"{path.parent.name}.pt")
    for stage in load_schedule(path):
        check_fits(network, stage)
        assert stage.name in (path.parent / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_the_weights_that_ship(name: str) -> None:
    text = (RECIPES / name / "README.md").read_text()
    network, _ = load_checkpoint(CHECKPOINTS / f"{name}.pt")
    own = re.search(r"weights that ship are `([\w-]+)`", text)
    assert own and own[1] == model_id(network)
    assert profiles_id(network) in text
    for path in MODELS_DIR.glob(f"{name}.*.json"):
        assert json.loads(path.read_text())["model_id"] == own[1]
