"""Means of weights: shares, kinds, whose profiles are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from training.checkpoint import load_checkpoint, model_id, profiles_id, save_checkpoint
from training.mean import main
from training.network import CONFIGS, Network

CHECKPOINTS = Path(__file__).parents[2] / "training" / "checkpoints"


@pytest.fixture
def after(tmp_path: Path) -> Path:
    network, history = load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")
    with torch.no_grad():
        network.modulation.weight += 0.5
    save_checkpoint(tmp_path / "after.pt", network, history)
    return tmp_path / "after.pt"


def test_a_share_of_each_is_in_the_mean(after: Path, tmp_path: Path) -> None:
    before, output = CHECKPOINTS / "pvqe-xs.pt", tmp_path / "mean.pt"
    profile_network = CHECKPOINTS / "pvqe-s.pt"
    options = ["--share", "0.2", "--profile-network", str(profile_network), "-o", str(output)]
    result = CliRunner().invoke(main, [str(before), str(after), *options])
    assert result.exit_code == 0, result.output
    old, new = load_checkpoint(before)[0], load_checkpoint(output)[0]
    assert model_id(new) in result.output
    assert new.profiles_of == profiles_id(load_checkpoint(profile_network)[0])
    torch.testing.assert_close(new.modulation.weight, old.modulation.weight + 0.1, atol=2e-3, rtol=0)
    torch.testing.assert_close(new.profile.weight, old.profile.weight)


def test_two_kinds_of_network_have_no_mean(after: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    save_checkpoint(other, Network(CONFIGS["pvqe-s"]), {})
    output = tmp_path / "mean.pt"
    result = CliRunner().invoke(main, [str(other), str(after), "-o", str(output)])
    assert result.exit_code == 1 and "two kinds" in result.output
    assert not output.exists()


def test_profiles_of_another_are_not_for_a_network_with_its_own(tmp_path: Path) -> None:
    own, output = str(CHECKPOINTS / "pvqe-s.pt"), tmp_path / "mean.pt"
    result = CliRunner().invoke(main, [own, own, "--profile-network", own, "-o", str(output)])
    assert result.exit_code == 2 and "leave --profile-network out" in result.output
    assert not output.exists()
