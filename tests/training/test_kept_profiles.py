"""The id of profiles: kept by weights that make the same ones to the bit, and by no others."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from export.description import description
from tests.conftest import FIXTURES
from tests.training.conftest import QUIET
from training.checkpoint import load_checkpoint, model_id, profiles_id, save_checkpoint, take_profiles
from training.mean import mean
from training.network import CONFIGS, Network
from training.schedule import RECIPES, Stage, load_schedule
from training.simulation.scenes import SceneSimulator
from training.spectral import analyse
from training.step import REFERENCE_LEVEL
from training.train import Run, Trainer, starting_point

CHECKPOINT = Path(__file__).parents[2] / "training/checkpoints/pvqe-s.pt"
SCENES = replace(QUIET, speakers=3, clip_s=1.0)


@pytest.fixture(scope="module")
def shipped() -> Network:
    return load_checkpoint(CHECKPOINT)[0]


@pytest.fixture(scope="module")
def frozen() -> Stage:
    (stage,) = (s for s in load_schedule(RECIPES / "pvqe-s/continue.toml") if s.name == "frozen-profile")
    return replace(stage, steps=2, scenes=SCENES)


def begun(init: Path, simulator: SceneSimulator, *stages: Stage) -> Trainer:
    network, _ = starting_point(CONFIGS["pvqe-s"], init, None)
    return Trainer(network, list(stages), simulator, None, seed=0)


def ship(trainer: Trainer, folder: Path) -> Path:
    """Train to the end; what comes of it."""
    Run(trainer, folder, 60, None, 60).go()
    return folder / "best.pt"


def test_what_learns_to_take_profiles_keeps_their_id_and_what_learns_to_make_them_does_not(
    shipped: Network, frozen: Stage, simulator: SceneSimulator, tmp_path: Path
) -> None:
    first = ship(begun(CHECKPOINT, simulator, frozen), tmp_path / "first")
    kept, _ = load_checkpoint(first)
    assert model_id(kept) != model_id(shipped) and kept.profiles_of == profiles_id(shipped)
    assert kept.makes_profiles and torch.equal(kept.voice_space, shipped.voice_space)
    described = description(kept, "fp32")
    assert (described["model_id"], described["profiles_of"]) == (model_id(kept), profiles_id(shipped))

    speech, _ = soundfile.read(FIXTURES / "ls367_enrollment.opus", dtype="float32", frames=3 * 16_000)
    spectrum = analyse(torch.from_numpy(speech * (REFERENCE_LEVEL / np.std(speech)))[None])
    same = copy.deepcopy(shipped)  # one place in memory, on which the order of a sum depends
    with torch.no_grad():
        profile = same.embed(spectrum)
        enhanced = same(spectrum, profile)[0]
        same.load_state_dict(kept.state_dict())
        assert torch.equal(same.embed(spectrum), profile)
        assert not torch.equal(same(spectrum, profile)[0], enhanced)

    # The next run keeps the first id, not that of the weights it begins with, until profiles learn.
    learning = replace(frozen, name="learning", train_only=("fuse",))
    second = begun(first, simulator, frozen, learning)
    for step in (frozen, frozen):
        second.step(step)
    state = copy.deepcopy(second.state_dict())
    assert second.averaged.profiles_of == profiles_id(shipped)
    second.step(learning)
    learnt = copy.deepcopy(second.state_dict())
    assert second.averaged.profiles_of is None and second.averaged.voice_space is None
    save_checkpoint(tmp_path / "learnt.pt", second.averaged, {})
    loaded, _ = load_checkpoint(tmp_path / "learnt.pt")
    assert loaded.makes_profiles and profiles_id(loaded) == model_id(loaded)
    for saved, expected in ((state, profiles_id(shipped)), (learnt, None)):
        resumed = begun(first, simulator, frozen, learning)
        resumed.load_state_dict(saved)
        assert resumed.averaged.profiles_of == expected


def changed(network: Network, part: str) -> Network:
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.get_parameter(part).add_(0.01)
    return other


@pytest.fixture(scope="module")
def pinned() -> Network:
    return starting_point(CONFIGS["pvqe-s"], CHECKPOINT, None)[0]


@pytest.mark.parametrize("part", ["profile.bias", "fuse.weight", "mic1.norm.weight", "gru2.bias_hh_l0"])
def test_an_id_can_not_be_kept_for_profiles_that_are_others(
    pinned: Network, part: str, tmp_path: Path
) -> None:
    other = changed(pinned, part)
    with pytest.raises(ValueError, match="other profiles than those of pvqe-s-"):
        save_checkpoint(tmp_path / "other.pt", other, {})
    with pytest.raises(ValueError, match="other profiles than those of pvqe-s-"):
        description(other, "fp32")
    assert not [*tmp_path.iterdir()]
    save_checkpoint(tmp_path / "same.pt", pinned, {})
    content = torch.load(tmp_path / "same.pt", weights_only=True)
    content["weights"][part] += 0.01
    torch.save(content, tmp_path / "same.pt")
    with pytest.raises(ValueError, match="other profiles than those of pvqe-s-"):
        load_checkpoint(tmp_path / "same.pt")


def test_a_mean_keeps_the_profiles_that_both_make(shipped: Network) -> None:
    decoder, fuse = (changed(shipped, part) for part in ("decoder4.expand.conv.conv.bias", "fuse.bias"))
    between = mean(shipped, copy.deepcopy(decoder), 0.5)
    assert between.profiles_of == profiles_id(shipped) and model_id(between) != model_id(shipped)
    assert torch.equal(between.voice_space, shipped.voice_space)
    later = mean(between, copy.deepcopy(decoder), 0.5)
    assert later.profiles_of == profiles_id(shipped)
    others = mean(shipped, fuse, 0.5)
    assert others.profiles_of is None and others.voice_space is None and others.makes_profiles


def test_weights_of_one_voice_take_profiles_and_make_none(pinned: Network, tmp_path: Path) -> None:
    personal = changed(pinned, "fuse.weight")
    take_profiles(personal, pinned)
    save_checkpoint(tmp_path / "personal.pt", personal, {})
    loaded, _ = load_checkpoint(tmp_path / "personal.pt")
    assert not loaded.makes_profiles and profiles_id(loaded) == profiles_id(pinned)
    with pytest.raises(ValueError, match="of one voice"):
        description(loaded, "fp32")
