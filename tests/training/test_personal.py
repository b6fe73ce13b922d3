"""A network goes on learning one voice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.conftest import QUIET
from training.checkpoint import load_checkpoint, model_id
from training.losses import LossWeights
from training.network import Network
from training.personal import SCHEDULE, FixedProfiles, PersonalScenes, _Learner, learn_voice
from training.schedule import load_schedule
from training.simulation.scenes import SceneSimulator
from training.step import compute_loss

CHECKPOINT = Path(__file__).parents[2] / "training/checkpoints/pvqe-xs.pt"
SETTINGS = replace(QUIET, single_mixtures=1, unprofiled_outputs=0, absent_outputs=1, enrolled_twice=False)
OTHERS = SETTINGS.speakers - 1

Recording = Callable[[str], NDArray[np.float32]]
Scenes = Callable[..., PersonalScenes]


@pytest.fixture
def scenes(simulator: SceneSimulator, recording: Recording) -> Scenes:
    def make(reading: NDArray[np.float32] | None = None, **more: object) -> PersonalScenes:
        voice = recording("ls1688_enrollment") if reading is None else reading
        banks = simulator.speech, simulator.noise, simulator.rooms
        return PersonalScenes(*banks, np.random.default_rng(5), voice, **more)  # type: ignore[arg-type]

    return make


def test_the_voice_is_what_is_wanted_of_every_mixture_and_silence_where_it_is_absent(scenes: Scenes) -> None:
    batch = scenes().draw(SETTINGS)
    assert len(batch.mixtures) == len(batch.targets) == OTHERS + 2
    assert set(batch.output_profile.tolist()) == {0}, "the profile of the voice, whoever talks"
    beside, alone, absent = batch.targets[:OTHERS], batch.targets[OTHERS], batch.targets[OTHERS + 1]
    assert (beside.square().mean(1) > 1e-6).all()
    left = (batch.mixtures - batch.targets).square().mean(1) / batch.mixtures.square().mean(1)
    assert (left[:OTHERS] > 0.05).all(), "somebody else talks, too"
    assert left[OTHERS] < 1e-4 and alone.square().mean() > 1e-6, "nobody else does"
    assert not absent.any() and batch.mixtures[OTHERS + 1].square().mean() > 1e-6


def test_in_replay_mixtures_one_of_the_others_is_wanted_by_the_profile_of_that_one(scenes: Scenes) -> None:
    settings = replace(SETTINGS, speakers=4, replay_mixtures=2)
    made = scenes()
    batch = made.draw(settings)
    assert len(batch.targets) == 3 + 1 + 1 + 2
    assert batch.output_profile.tolist() == [0] * 5 + [1, 2]
    assert batch.enrollment_voices[0] in made.voices
    others = batch.enrollment_voices[1:]
    assert len(set(others)) == 2 and not np.isin(others, made.voices).any()
    assert (batch.targets[5:].square().mean(1) > 1e-6).all()
    left = (batch.mixtures - batch.targets).square().mean(1) / batch.mixtures.square().mean(1)
    assert (left[5:] > 0.05).all(), "somebody else talks, too"
    with pytest.raises(ValueError, match=r"^4 replay mixtures need as many others in a group"):
        made.draw(replace(settings, replay_mixtures=4))


def test_a_stage_with_replay_mixtures_needs_the_profiles_of_the_others(
    scenes: Scenes, simulator: SceneSimulator
) -> None:
    network, _ = load_checkpoint(CHECKPOINT)
    with pytest.raises(ValueError, match="give embed, or set replay_mixtures to 0"):
        learn_voice(network, torch.zeros(network.config.taken_size), scenes(), 1)
    with pytest.raises(ValueError, match="for learning one voice"):
        simulator.draw(replace(SETTINGS, speakers=4, replay_mixtures=1))


def test_those_who_share_the_room_are_often_among_the_others(
    scenes: Scenes, recording: Recording, simulator: SceneSimulator
) -> None:
    known = scenes(against=[recording("ls3080_enrollment")])
    eligible = np.arange(len(known.speech.tracks))
    groups = np.array([known._pick_group(SETTINGS, eligible, None) for _ in range(300)])
    assert np.isin(groups[:, 0], known.voices).all()
    assert not np.isin(groups[:, 1:], known.voices).any(), "nobody is beside himself"
    with_them = (groups >= len(simulator.speech.tracks) + len(known.voices)).any(1).mean()
    assert 0.5 < with_them < 0.7


def test_too_little_of_a_voice_is_refused(scenes: Scenes, recording: Recording) -> None:
    with pytest.raises(
        ValueError, match=r"^5 s of a voice are too little to learn from: record 8 or more\.$"
    ):
        scenes(recording("ls1688_enrollment")[: 5 * 16_000])


def test_what_is_learnt_serves_the_voice_and_leaves_the_general_network(scenes: Scenes) -> None:
    torch.manual_seed(0)
    network, _ = load_checkpoint(CHECKPOINT)
    before = copy.deepcopy(network.state_dict())
    profile = torch.randn(network.config.taken_size)
    (stage,) = load_schedule(SCHEDULE)
    stage = replace(stage, steps=20, warmup_steps=3, learning_rate=1e-3, scenes=SETTINGS)
    entries: list[dict[str, object]] = []
    personal = learn_voice(network, profile, scenes(), None, stage, entries.append)
    assert [entry["step"] for entry in entries] == [20]
    after = personal.state_dict()
    assert all(torch.equal(before[name], weights) for name, weights in network.state_dict().items())
    assert all(torch.equal(before[n], after[n]) for n in before if "running" in n), (
        "statistics are of many voices"
    )
    assert not personal.training
    assert personal.profiles_of == network.profiles_of != model_id(personal)

    unseen = scenes()
    unseen.random = np.random.default_rng(99)
    batch = unseen.draw(SETTINGS)

    def loss(of: torch.nn.Module) -> float:
        with torch.no_grad():
            weights: LossWeights = stage.loss_weights(0)
            return float(
                compute_loss(of, batch, weights, False, profile_network=FixedProfiles(profile[None])).total
            )  # type: ignore[arg-type]

    assert loss(personal) < loss(network) - 0.5


def test_the_time_ends_it(scenes: Scenes) -> None:
    network, _ = load_checkpoint(CHECKPOINT)
    (stage,) = load_schedule(SCHEDULE)
    stage = replace(stage, steps=10_000, scenes=SETTINGS)
    entries: list[dict[str, object]] = []
    learn_voice(network, torch.zeros(network.config.taken_size), scenes(), 0.05, stage, entries.append)
    assert len(entries) * 20 < 200


def test_whoever_watches_may_end_it_and_look_at_the_weights_meanwhile(scenes: Scenes) -> None:
    network, _ = load_checkpoint(CHECKPOINT)
    (stage,) = load_schedule(SCHEDULE)
    stage = replace(stage, steps=10_000, learning_rate=1e-3, scenes=SETTINGS)
    seen: list[torch.Tensor] = []

    def keep_going(steps: int, averaged: Network) -> bool:
        assert steps == len(seen) + 1 and not averaged.training
        seen.append(averaged.decoder4.expand.conv.conv.weight.detach().clone())
        return steps < 3

    profile = torch.zeros(network.config.taken_size)
    personal = learn_voice(network, profile, scenes(), None, stage, keep_going=keep_going)
    assert len(seen) == 3
    assert torch.equal(personal.decoder4.expand.conv.conv.weight, seen[-1]) and not torch.equal(
        seen[0], seen[1]
    )


def test_it_goes_on_from_earlier_personal_weights(scenes: Scenes) -> None:
    network, _ = load_checkpoint(CHECKPOINT)
    (stage,) = load_schedule(SCHEDULE)
    earlier = copy.deepcopy(network)
    with torch.no_grad():
        earlier.decoder4.expand.conv.conv.weight.add_(1)
    stage = replace(stage, steps=1, warmup_steps=1, scenes=SETTINGS)
    profile = torch.zeros(network.config.taken_size)
    later = learn_voice(network, profile, scenes(), None, stage, start=earlier)
    weights = [of.decoder4.expand.conv.conv.weight for of in (later, earlier, network)]
    assert (weights[0] - weights[1]).abs().max() < 0.01 < 0.9 < (weights[0] - weights[2]).abs().max()
    assert later.profiles_of == network.profiles_of


@pytest.mark.parametrize("name", ["pvqe-xs", "pvqe-s-far"])
@pytest.mark.parametrize("encoder_learns", [False, True])
def test_a_step_in_parts_has_the_losses_and_the_gradient_of_the_whole(
    scenes: Scenes, name: str, encoder_learns: bool
) -> None:
    network, _ = load_checkpoint(CHECKPOINT.with_stem(name))
    (stage,) = load_schedule(SCHEDULE)
    stage = replace(stage, scenes=replace(SETTINGS, speakers=4, replay_mixtures=2))
    if encoder_learns:
        stage = replace(stage, train_only=())
    profile = torch.randn(network.config.taken_size, generator=torch.Generator().manual_seed(0))
    learner = _Learner(network, stage, scenes(), 0, profile)
    learner.embeddings.normal_()
    learner._enter(stage)
    batch = learner._draw(stage)
    learner._threads = 2
    in_parts = learner._add_gradients(stage, batch)
    learner.close()
    gradients = {n: p.grad for n, p in network.named_parameters()}
    assert encoder_learns or not any(
        g is not None for n, g in gradients.items() if n.startswith(("mic", "far", "align", "joint"))
    )
    learner.optimizer.zero_grad()
    weights = stage.loss_weights(0)
    profiles = torch.cat([profile[None], learner.embeddings[batch.enrollment_voices[1:]]])
    assert len(profiles) == 3
    whole = compute_loss(network, batch, weights, False, profile_network=FixedProfiles(profiles))
    whole.total.backward()
    assert torch.allclose(in_parts.total, whole.total, rtol=1e-4)
    assert all(torch.allclose(in_parts.parts[n], value, rtol=1e-4) for n, value in whole.parts.items())
    assert torch.equal(in_parts.embeddings, whole.embeddings)
    for parameter, value in network.named_parameters():
        if value.grad is None:
            assert gradients[parameter] is None
            continue
        found = gradients[parameter]
        assert found is not None
        assert (found - value.grad).norm() < 1e-3 * value.grad.norm() + 1e-6, parameter
