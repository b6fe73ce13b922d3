"""Weights from elsewhere: refused unless better, and what follows is done once, in order, from where it failed."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result

from evaluation.sets.scene import Scene, write_scenes
from tests.evaluation.conftest import build, data, quick_scenes
from tests.test_commands import check
from training import adopt
from training.adopt import Chain, main
from training.checkpoint import load_checkpoint, model_id, profiles_id, save_checkpoint
from training.network import Network
from training.options import Corpora
from training.recipe_page import Replaced
from training.verdict import compare

__all__ = ["build", "data", "quick_scenes"]

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "training/checkpoints"
MACHINE = "NVIDIA H200"


def scores_of(network: str, run: str) -> dict[str, float]:
    """The last dev scores of a run, as its curves have them."""
    rows = map(json.loads, (PROJECT / f"training/curves/{network}.jsonl").read_text().splitlines())
    return [row["dev"] for row in rows if row["run"] == run and "dev" in row][-1]


def test_the_rule_says_of_earlier_runs_what_was_decided_then() -> None:
    assert compare(scores_of("pvqe-s", "lent-1"), scores_of("pvqe-s", "lent-2")).better
    assert compare(scores_of("pvqe-s-far", "echo-4"), scores_of("pvqe-s-far", "lent-far")).better
    assert not compare(scores_of("pvqe-s", "lent-2"), scores_of("pvqe-s", "lent-1")).harmless
    narrow = compare(scores_of("pvqe-s", "lent-2"), scores_of("pvqe-s", "narrow-1"))
    assert not narrow.better and "interferer_suppression_mean 30.202 -> 24.444" in str(narrow)
    same = compare(scores_of("pvqe-s", "lent-2"), scores_of("pvqe-s", "lent-2"))
    assert same.harmless and not same.better
    broken = compare({"noise_gain_right": 5.0}, {"noise_gain_right": float("nan")})
    assert not broken.harmless
    before = scores_of("pvqe-s", "lent-2") | {"noise_pesq_right": 1.5}
    assert compare(before, before | {"noise_pesq_right": 1.8}).better, "what sounds better is better"
    assert "noise_pesq_right" in str(compare(before, before | {"noise_pesq_right": 1.4}))


@pytest.fixture
def harmed() -> Network:
    """pvqe-xs as it ships, with a decoder that leaves noise."""
    network, _ = load_checkpoint(SHIPPED / "pvqe-xs.pt")
    torch.manual_seed(0)
    with torch.no_grad():
        network.decoder4.expand.conv.conv.weight += 0.1 * torch.randn_like(
            network.decoder4.expand.conv.conv.weight
        )
    return network


@pytest.fixture
def adopted(
    tmp_path: Path, data: Path, quick_scenes: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Arguments of the command, in a copy of what it changes. Its chain is two commands: the first counts how often it
    is run, the second succeeds from its second time on.
    """
    shutil.copytree(SHIPPED, tmp_path / "checkpoints", ignore=shutil.ignore_patterns("*-far.pt"))
    shutil.copytree(PROJECT / "training/recipes", tmp_path / "recipes")
    (tmp_path / "results").mkdir()
    few = [next(s for s in quick_scenes if s.set == name) for name in ("two-talkers", "noise", "clean")]
    write_scenes(tmp_path / "quick.jsonl", few)
    monkeypatch.setattr("evaluation.quick.SCENES", tmp_path / "quick.jsonl")
    monkeypatch.setattr(adopt, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(adopt, "RECIPES", tmp_path / "recipes")
    again = f"import pathlib; p = pathlib.Path({str(tmp_path / 'second')!r}); exit(not p.exists() and not p.touch())"
    count = f"open({str(tmp_path / 'first')!r}, 'a').write('x')"
    commands = [(sys.executable, "-c", count), (sys.executable, "-c", again)]
    monkeypatch.setattr(Chain, "commands", lambda chain: iter(commands))
    folder = str(tmp_path)
    return [str(tmp_path / "results"), "--data", str(data), "--speech", folder, "--noise", folder,
            "--tflite-python", sys.executable, "--work", str(tmp_path / "work"), "--threads", "1"]  # fmt: skip


def run(arguments: list[str], *more: str) -> Result:
    return CliRunner().invoke(main, [*arguments, *more], catch_exceptions=False)


def test_worse_weights_are_refused_and_better_ones_go_on_where_a_command_failed(
    adopted: list[str], harmed: Network, tmp_path: Path
) -> None:
    shipped, given = tmp_path / "checkpoints/pvqe-xs.pt", tmp_path / "results/pvqe-xs.pt"
    good = shipped.read_bytes()
    save_checkpoint(given, harmed, {})
    result = run(adopted)
    assert result.exit_code == 1 and "nothing is replaced" in result.output and "worse:" in result.output
    assert (
        shipped.read_bytes() == good
        and not (tmp_path / "work/journal.json").exists()
        and not (tmp_path / "first").exists()
    )

    # The other way round: what ships is the harmed one.
    save_checkpoint(shipped, harmed, {})
    harmed_id = model_id(load_checkpoint(shipped)[0])  # in half precision
    page = tmp_path / "recipes/pvqe-xs/README.md"
    better, _ = load_checkpoint(SHIPPED / "pvqe-xs.pt")
    page.write_text(page.read_text().replace(model_id(better), harmed_id))
    save_checkpoint(given, better, {"steps": 1234, "hours_presented": 567.8})
    progress = {
        "spent_s": 9.0,
        "runs": {"pvqe-xs": {"stage": "distillation", "device": MACHINE, "trials": []}},
    }
    (tmp_path / "results/progress.json").write_text(json.dumps(progress))
    result = run(adopted)
    assert result.exit_code == 1 and "status 1" in result.output
    assert model_id(load_checkpoint(shipped)[0]) == model_id(better)
    lines = page.read_text().splitlines()
    assert f"weights that ship are `{model_id(better)}`" in page.read_text()
    (row,) = (line for line in lines if line.startswith(f"| `{model_id(better)}` |"))
    assert row == (
        f"| `{model_id(better)}` | the row above | `gpu.toml`: distillation | `{better.profiles_of}` | 1,234 | 568 "
        f"| one {MACHINE} | `training/checkpoints/pvqe-xs.pt` |"
    )
    assert lines[lines.index(row) - 1].startswith(f"| `{harmed_id}` |")
    save_checkpoint(shipped, better, {"later": True})  # what is done is not done again
    result = run(adopted)
    assert result.exit_code == 0, result.output
    assert load_checkpoint(shipped)[1] == {"later": True} and (tmp_path / "first").read_text() == "x"
    assert page.read_text().splitlines() == lines


def test_what_takes_the_profiles_goes_with_the_network_that_makes_them(
    adopted: list[str], tmp_path: Path
) -> None:
    network, history = load_checkpoint(SHIPPED / "pvqe-s.pt")
    changed = copy.deepcopy(network)
    changed.profiles_of, changed.profile_weights = None, None
    with torch.no_grad():
        changed.gru2.bias_hh_l0 += 1e-4
    save_checkpoint(tmp_path / "results/pvqe-s.pt", changed, history)
    assert "+0.00 dB on average" in run(adopted, "--anyway").output
    new, _ = load_checkpoint(tmp_path / "checkpoints/pvqe-s.pt")
    light, _ = load_checkpoint(tmp_path / "checkpoints/pvqe-xs.pt")
    old_light, _ = load_checkpoint(SHIPPED / "pvqe-xs.pt")
    assert model_id(new) != model_id(network) and model_id(light) == model_id(old_light)
    assert light.profiles_of == model_id(new)
    page = (tmp_path / "recipes/pvqe-xs/README.md").read_text()
    assert f"takes the profiles of pvqe-s (`{model_id(new)}`)" in " ".join(page.split())
    assert f"Profiles of {profiles_id(network)} are of no use with it" in run(adopted).output
    save_checkpoint(tmp_path / "results/pvqe-s.pt", network, history)
    assert "is of other weights" in run(adopted).output


def test_profiles_stay_of_use_where_what_makes_them_is_the_same(adopted: list[str], tmp_path: Path) -> None:
    network, history = load_checkpoint(SHIPPED / "pvqe-s.pt")
    changed = copy.deepcopy(network)
    changed.profiles_of, changed.profile_weights, changed.voice_space = None, None, None
    with torch.no_grad():
        changed.decoder4.expand.conv.conv.bias += 1e-4
    save_checkpoint(tmp_path / "results/pvqe-s.pt", changed, history)
    light, page = (tmp_path / place for place in ("checkpoints/pvqe-xs.pt", "recipes/pvqe-xs/README.md"))
    before = light.read_bytes(), page.read_text()
    run(adopted, "--anyway")
    assert (light.read_bytes(), page.read_text()) == before
    new, _ = load_checkpoint(tmp_path / "checkpoints/pvqe-s.pt")
    assert profiles_id(new) == profiles_id(network) and model_id(new) != model_id(network)
    assert new.voice_space is not None and torch.equal(new.voice_space, network.voice_space)
    text = (tmp_path / "recipes/pvqe-s/README.md").read_text()
    assert f"weights that ship are `{model_id(new)}`" in text and profiles_id(new) in text
    assert f"Profiles stay of use: it makes those of {profiles_id(network)}" in run(adopted).output


@pytest.mark.parametrize("log", [False, True])
def test_each_command_of_the_chain_can_be_given(log: bool, tmp_path: Path) -> None:
    corpora = Corpora([tmp_path / "speech"], [tmp_path / "noise"], [tmp_path / "rooms"], 2000, tmp_path)
    replaced = [
        Replaced("pvqe-s", "pvqe-s-1", "pvqe-s-2", "pvqe-s-1", "pvqe-s-2", "talkers", 3, 4.0, MACHINE),
        Replaced(
            "pvqe-s-far", "pvqe-s-far-1", "pvqe-s-far-2", "pvqe-s-1", "pvqe-s-2", "calls", 3, 4.0, MACHINE
        ),
        Replaced("pvqe-xs", "pvqe-xs-1", "pvqe-xs-1", "pvqe-s-1", "pvqe-s-2", "", 0, 0.0, MACHINE),
    ]
    if log:
        (tmp_path / "pvqe-s.jsonl").touch()
    commands = list(Chain(replaced, tmp_path, corpora, tmp_path, Path("python-tflite")).commands())
    for python, _, module, *words in commands:
        check(" ".join([module, *words]))
        assert (python == "python-tflite") == any(word.endswith(".tflite") for word in (module, *words))
    modules = [command[2] for command in commands]
    assert modules[0] == "training.discriminant" and modules[1] == "export.onnx"
    assert modules.index("quantization.check") > modules.index("quantization.quantize")
    assert modules.index("evaluation") > modules.index("personalisation.likeness")
    assert any("curves" in command for command in commands) == log
    # Of the same profiles nothing is measured again.
    kept = Replaced(
        "pvqe-s", "pvqe-s-2", "pvqe-s-3", "pvqe-s-1", "pvqe-s-1", "frozen-profile", 3, 4.0, MACHINE
    )
    commands = list(Chain([kept], tmp_path, corpora, tmp_path, Path("python-tflite")).commands())
    modules = [command[2] for command in commands]
    assert modules[0] == "export.onnx" and "personalisation.likeness" not in modules
    assert not any({"enrollment", "embedding", "--profile-network"} & {*command} for command in commands)


def test_a_folder_without_weights_is_named(adopted: list[str]) -> None:
    result = run(adopted)
    assert result.exit_code == 1 and "has no weights of pvqe-s, pvqe-xs" in result.output
    with pytest.raises(click.ClickException, match="status 3"):
        adopt.carry_out(iter([(sys.executable, "-c", "exit(3)")]), adopt.Journal(Path(), {}, [], []))
