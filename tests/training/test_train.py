"""The trainer itself, small: it learns, it stops in time, it resumes exactly, it gives the gradient to enrollments."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.training.conftest import QUIET, small_stage
from training.checkpoint import load_checkpoint
from training.losses import (
    LossWeights,
    compressed_mse,
    identification,
    negative_si_sdr_db,
    negative_snr_db,
    residual_db,
)
from training.network import CONFIGS, Network
from training.schedule import RECIPES, Stage, default_stages, load_schedule, value_at
from training.simulation.scenes import SceneSimulator
from training.spectral import analyse
from training.step import Supervision, compute_loss
from training.train import Trainer, main


def test_the_gradient_passes_through_the_enrollments(simulator: SceneSimulator) -> None:
    network = Network(CONFIGS["pvqe-xs"])
    batch = simulator.draw(QUIET)
    batch.enrollments.requires_grad_(True)
    with torch.no_grad():
        network.modulation.weight.normal_(0, 0.05)
    compute_loss(network, batch, LossWeights(), bfloat16=False).total.backward()
    profiles = batch.enrollments.grad[: QUIET.speakers]
    assert (profiles.abs().amax(1) > 0).all()


def test_steps_lower_the_loss_on_one_scene(simulator: SceneSimulator) -> None:
    torch.manual_seed(0)
    network = Network(CONFIGS["pvqe-xs"])
    batch = simulator.draw(QUIET)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    losses = []
    remembered = torch.randn(len(simulator.speech.tracks), network.config.embedding_size)
    weights, supervision = LossWeights(identification=0.1), Supervision(voice_embeddings=remembered)
    for _ in range(12):
        loss = compute_loss(network, batch, weights, False, supervision).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5


def test_a_resumed_run_goes_on_exactly(simulator: SceneSimulator) -> None:
    stage = Stage("s", 4, 1e-3, scenes=QUIET)
    torch.manual_seed(0)
    one = Trainer(Network(CONFIGS["pvqe-xs"]), [stage], simulator, None, seed=0)
    for _ in range(2):
        one.step(stage)
    state = copy.deepcopy(one.state_dict())
    expected = one.step(stage)
    two = Trainer(Network(CONFIGS["pvqe-xs"]), [stage], simulator, None, seed=9)
    two.load_state_dict(state)
    assert two.steps == 2
    again = two.step(stage)
    assert again.keys() == expected.keys()
    assert all(float(again[part]) == pytest.approx(float(expected[part]), rel=1e-5) for part in expected)


def test_moments_in_one_group_are_left_and_the_run_goes_on(simulator: SceneSimulator) -> None:
    stage = Stage("s", 4, 1e-3, scenes=QUIET)
    one = Trainer(Network(CONFIGS["pvqe-xs"]), [stage], simulator, None, seed=0)
    one.step(stage)
    state = one.state_dict()
    state["optimizer"] = {"others": torch.optim.AdamW(one.network.parameters()).state_dict()}
    two = Trainer(Network(CONFIGS["pvqe-xs"]), [stage], simulator, None, seed=0)
    two.load_state_dict(state)
    assert two.steps == 1
    assert np.isfinite(float(two.step(stage)["loss"]))


@pytest.mark.parametrize("name", ["frozen-profile", "by-ear", "by-ear-bands"])
def test_what_makes_profiles_stays_while_what_takes_them_learns(simulator: SceneSimulator, name: str) -> None:
    torch.manual_seed(0)
    network = Network(CONFIGS["pvqe-xs"])
    (stage,) = (s for s in load_schedule(RECIPES / "pvqe-s/continue.toml") if s.name == name)
    stage = replace(stage, scenes=QUIET)
    before = copy.deepcopy(network).eval()
    trainer = Trainer(network, [stage], simulator, None, seed=0)
    assert all(np.isfinite(float(trainer.step(stage)["loss"])) for _ in range(3))
    network.eval()
    spectrum = analyse(simulator.draw(QUIET).mixtures)
    with torch.no_grad():
        # The weights are the same to the last bit, see below; the order of a sum depends on where they lie in memory.
        assert torch.allclose(network.embed(spectrum), before.embed(spectrum), atol=1e-5)
        profile = torch.ones(len(spectrum), network.config.taken_size)
        changes = [
            torch.dist(network(spectrum, p)[0], before(spectrum, p)[0]) for p in (profile, 0 * profile)
        ]
    assert min(changes) > 0
    old, new = before.state_dict(), network.state_dict()
    assert all(
        torch.equal(new[name], old[name]) for name in old if not name.startswith(tuple(stage.train_only))
    )
    learnt = not torch.equal(network.profile.weight, before.profile.weight)
    assert learnt == (name == "frozen-profile")  # by ear it stays: docs/history.md


def test_a_part_that_profiles_are_made_by_is_found_out_however_it_is_called_for(
    simulator: SceneSimulator,
) -> None:
    network = Network(CONFIGS["pvqe-xs"])
    stage = Stage("s", 4, 1e-3, scenes=QUIET)
    trainer = Trainer(network, [stage], simulator, None, seed=0)
    for part, learns in (("fuse", True), ("profile", True), ("gru2.bias_hh_l0", True), ("decoder4", False)):
        trainer.step(replace(stage, train_only=(part,)))
        assert network.profiles_learn() == learns, part


def test_parts_learn_at_rates_of_their_own(simulator: SceneSimulator) -> None:
    torch.manual_seed(0)
    network = Network(CONFIGS["pvqe-xs"])
    before = copy.deepcopy(network).state_dict()
    stage = Stage("s", 4, 1e-3, rates={"fuse": 0.0, "gru2": 0.1}, scenes=QUIET)
    trainer = Trainer(network, [stage], simulator, None, seed=0)
    trainer.step(stage)
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in network.named_parameters()}
    assert moved["fuse.weight"] == 0 < moved["fuse_norm.weight"]
    # AdamW's first step is as long as the learning rate, whatever the gradient.
    assert moved["gru2.bias_ih_l0"] == pytest.approx(0.1 * moved["gru1.bias_ih_l0"], rel=0.05)
    with pytest.raises(click.UsageError, match="gru3"):
        Trainer(network, [replace(stage, rates={"gru3": 2.0})], simulator, None, seed=0)


def test_the_command_trains_resumes_and_leaves_a_checkpoint(recordings: Path, tmp_path: Path) -> None:
    schedule = tmp_path / "short.toml"
    schedule.write_text(small_stage(40))
    arguments = ["--network", "pvqe-xs", "--speech", str(recordings / "speech"), "--noise", str(recordings / "noise"),
                 "--simulated-rooms", "2", "--run", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"),
                 "--schedule", str(schedule), "--threads", "1"]  # fmt: skip
    result = CliRunner().invoke(main, [*arguments, "--minutes", "0.001"], catch_exceptions=False)
    assert result.exit_code == 0
    _, history = load_checkpoint(tmp_path / "run/best.pt")
    assert history["steps"] == 20  # stopped at the first look at the clock
    CliRunner().invoke(main, arguments, catch_exceptions=False)
    _, history = load_checkpoint(tmp_path / "run/best.pt")
    assert history["steps"] == 40
    entries = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [20, 40]
    assert all(np.isfinite(entry["loss"]) for entry in entries)


def test_the_default_schedule_is_read_and_an_unknown_key_refused(tmp_path: Path) -> None:
    stages = default_stages(CONFIGS["pvqe-s"])
    assert [stage.name for stage in stages] == ["teacher-forced", "self-conditioned", "teacher-free"]
    assert not stages[-1].needs_teacher()
    assert value_at(((0, 1), (0.5, 0)), 0.25) == 0.5
    assert stages[0].learning_rate_at(stages[0].steps) < 0.05 * stages[0].learning_rate
    bad = tmp_path / "bad.toml"
    bad.write_text('[[stage]]\nname = "x"\nsteps = 1\nlearning_rate = 1\n[stage.scenes]\nspeeches = 3\n')
    with pytest.raises(ValueError, match="speeches"):
        load_schedule(bad)
    bad.write_text('[[stage]]\nname = "x"\nsteps = 1\nlearning_rate = 1\n[stage.scenes]\nspeakers = 2\n')
    with pytest.raises(ValueError, match="stage x: A group of 2 speakers has nobody who is absent"):
        load_schedule(bad)


def test_losses_have_their_minimum_where_they_should() -> None:
    torch.manual_seed(0)
    target = torch.randn(3, 2, 10, 160)
    assert float(compressed_mse(target, target).max()) < 1e-6
    weaker = compressed_mse(0.5 * target, target).mean()
    stronger = compressed_mse(0.5 ** (-1) * target, target).mean()
    without = compressed_mse(0.5 * target, target, over_suppression=0).mean()
    assert weaker > without and stronger > 0
    signal = torch.randn(2, 16000)
    noise = torch.randn(2, 16000)
    # 10 dB below the signal is minus 10 dB, by definition
    assert float(negative_snr_db(signal + noise * 10**-0.5, signal).mean()) == pytest.approx(-10, abs=0.3)
    # ... at any level, if that does not count; silence is no way out then, and the wrong voice still less
    for gain in (0.01, 1, 3):
        output = gain * (signal + noise * 10**-0.5)
        assert float(negative_si_sdr_db(output, signal).mean()) == pytest.approx(-10, abs=0.4)
    silent, wrong = 0 * signal, noise
    assert negative_snr_db(silent, signal).max() < 0.1 < 10 < negative_si_sdr_db(silent, signal).min()
    assert negative_si_sdr_db(wrong, signal).min() > 15
    assert float(residual_db(0.1 * signal, signal).mean()) == pytest.approx(-20, abs=0.1)
    voices = torch.tensor([0, 0, 3, 3])
    remembered = torch.tensor([[1.0, 0], [0, 1], [float("nan"), 0], [-1, 0]])
    clips = torch.tensor([[1.0, 0], [1, 0.1], [-1, 0], [-1, 0.1]])
    right, swapped = (identification(clips, v, remembered) for v in (voices, voices.flip(0)))
    assert right < 0.5 < swapped
    assert identification(clips, torch.full((4,), 2), remembered) == 0  # a voice not heard before
