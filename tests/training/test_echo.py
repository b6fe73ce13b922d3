"""Echo: what comes back is the far end, later and through something; and a network learns to take it out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch

from tests.training.conftest import QUIET
from training.checkpoint import follow, load_checkpoint, model_id, save_checkpoint, with_far_branch
from training.dev import enhance
from training.losses import LossWeights, delay_entropy
from training.network import BINS, CONFIGS, Network
from training.schedule import Stage, choose_stages, default_stages
from training.simulation.echo import Echoes, EchoSettings, EchoSimulator, active_level, read_at
from training.simulation.scenes import NO_PROFILE, SceneSettings, SceneSimulator
from training.spectral import analyse
from training.step import Supervision, compute_loss
from training.train import Trainer, starting_point

CALL = EchoSettings(
    share=1, far_only_share=0, unheard_share=0, ser_db=(0, 0), delay_ms=(100, 100), held_share=0, change_share=0,
    skewed_share=0, other_share=0,
)  # fmt: skip
RATE = 16_000
CHECKPOINT = Path(__file__).parents[2] / "training/checkpoints/pvqe-s.pt"


@pytest.fixture
def echo_simulator(simulator: SceneSimulator) -> EchoSimulator:
    return EchoSimulator(simulator.speech, simulator.noise, simulator.rooms, simulator.random)


def delay_of(echo: torch.Tensor, far: torch.Tensor) -> int:
    size = 2 * len(far)
    correlation = torch.fft.irfft(torch.fft.rfft(echo, size) * torch.fft.rfft(far, size).conj(), size)
    return int(correlation[: len(far)].abs().argmax())


def draw(
    echo_simulator: EchoSimulator, settings: EchoSettings, count: int = 12, seconds: float = 3.0
) -> Echoes:
    rooms, single = np.zeros(count, int), np.arange(count) % 2 == 0
    return echo_simulator.draw(settings, rooms, single, np.arange(4), round(seconds * RATE))


def test_an_echo_is_the_far_end_at_its_delay_and_level(echo_simulator: EchoSimulator) -> None:
    echoes = draw(echo_simulator, replace(CALL, ser_db=(6, 6)))
    assert torch.allclose(active_level(echoes.heard), torch.full((12, 1), 10 ** (-6 / 20)), rtol=0.01)
    delays = [delay_of(*pair) for pair in zip(echoes.heard, echoes.far_ends, strict=True)]
    # The loudspeaker and the room may put the strongest path a little later.
    assert np.median(np.abs(np.array(delays) - RATE // 10)) < 80
    # Nothing comes back before it can have been heard.
    assert not echoes.heard[:, : RATE // 10].abs().amax(1).gt(1e-4).any()
    assert echoes.far_ends.abs().max() <= 1


def test_the_delay_is_known_in_each_frame_that_has_echo(echo_simulator: EchoSimulator) -> None:
    echoes = draw(echo_simulator, replace(CALL, share=0.5, delay_ms=(103, 103)))
    present = echoes.far_ends.any(1)
    assert echoes.delay_hops.shape == analyse(echoes.far_ends)[:, 0, :, 0].shape
    assert echoes.delay_hops[~present].isnan().all() and present.any() and not present.all()
    known = echoes.delay_hops[present]
    assert known[~known.isnan()].allclose(torch.tensor(10.3))
    assert known[:, :10].isnan().all(), "there is no echo before the delay is over"
    assert known.isnan().float().mean() < 0.6
    jumping = draw(echo_simulator, replace(CALL, delay_ms=(0, 400), change_share=1), count=16).delay_hops
    moved = [torch.unique(row[~row.isnan()]).numel() > 1 for row in jumping]
    assert 4 <= sum(moved) < 16


def test_weight_on_the_right_delay_costs_nothing() -> None:
    wanted = torch.tensor([[3.0, 3.0, math.nan, 4.5]])
    right = torch.eye(8)[[3, 3, 0, 4]][None]
    right[0, 3, 4:6] = 0.5
    assert float(delay_entropy(right, wanted)) == pytest.approx(math.log(2) / 3, abs=1e-5)
    assert float(delay_entropy(right.flip(2), wanted)) > 5
    assert float(delay_entropy(right, torch.full((1, 4), math.nan))) == 0


def test_a_jump_and_another_clock_move_the_delay(echo_simulator: EchoSimulator) -> None:
    jumping = draw(echo_simulator, replace(CALL, delay_ms=(0, 400), change_share=1), count=16, seconds=4.0)
    start, end = slice(0, RATE), slice(3 * RATE, 4 * RATE)
    moved = 0
    for echo, far in zip(jumping.heard, jumping.far_ends, strict=True):
        padded = torch.nn.functional.pad(far, (RATE, 0))
        early = delay_of(echo[start], far[start])
        # Late echo against the far end from a second before it on.
        late = delay_of(torch.nn.functional.pad(echo[end], (RATE, 0)), padded[end.start : end.stop + RATE])
        moved += abs(early - late) > 16
    assert moved >= 4
    clips = torch.sin(2 * torch.pi * 500 / RATE * torch.arange(RATE))[None]
    places = torch.arange(RATE, dtype=torch.float64)[None]
    assert torch.equal(read_at(clips, places), clips)
    assert torch.equal(read_at(clips, places - 5)[:, 5:], clips[:, :-5])
    skewed = read_at(clips, places * 1.0001)
    wanted = torch.sin(2 * torch.pi * 500 / RATE * places * 1.0001)
    assert (skewed - wanted)[:, 2:-4].abs().max() < 2e-3


def test_shares_are_those_asked_for(echo_simulator: EchoSimulator) -> None:
    settings = replace(CALL, share=0.5, unheard_share=0.4, far_only_share=0.5)
    echoes = draw(echo_simulator, settings, count=400, seconds=0.5)
    present, heard = (x.abs().amax(1).gt(0).numpy() for x in (echoes.far_ends, echoes.heard))
    assert present.mean() == pytest.approx(0.5, abs=0.1)
    assert heard[present].mean() == pytest.approx(0.6, abs=0.15)
    assert not heard[~present].any()
    assert not echoes.far_only[~heard].any() and not echoes.far_only[1::2].any()
    assert echoes.far_only[::2][heard[::2]].mean() == pytest.approx(0.5, abs=0.2)


def test_the_target_is_the_near_end_alone(simulator: SceneSimulator) -> None:
    settings = replace(QUIET, speakers=3, single_mixtures=4, absent_outputs=0, unprofiled_outputs=7)
    batch = simulator.draw(replace(settings, echo=replace(CALL, far_only_share=0.5)))
    assert batch.far_ends is not None and batch.far_ends.shape == batch.mixtures.shape
    silent = ~batch.targets.any(1).numpy()
    assert silent.any()
    for mixture in range(7):
        outputs = np.flatnonzero((batch.output_mixture == mixture) & (batch.output_profile >= 0))
        all_speech = np.flatnonzero((batch.output_mixture == mixture) & (batch.output_profile == NO_PROFILE))
        near_end = batch.targets[outputs].sum(0)
        assert torch.allclose(near_end, batch.targets[all_speech[0]], atol=1e-4)
        echo = batch.mixtures[mixture] - near_end
        assert echo.square().mean() > 1e-2 * batch.mixtures[mixture].square().mean()
        assert not silent[outputs].any() or mixture >= 3  # far end alone: one-talker mixtures only


def test_no_echo_leaves_scenes_and_steps_as_they_were(simulator: SceneSimulator) -> None:
    batch = simulator.draw(QUIET)
    assert batch.far_ends is None
    torch.manual_seed(0)
    network = Network(CONFIGS["pvqe-xs-far"])
    without = compute_loss(network, batch, LossWeights(), bfloat16=False).total
    silent = replace(batch, far_ends=torch.zeros_like(batch.mixtures))
    assert torch.equal(without, compute_loss(network, silent, LossWeights(), bfloat16=False).total)


def test_a_far_branch_changes_nothing_at_first() -> None:
    torch.manual_seed(0)
    plain = Network(CONFIGS["pvqe-xs"]).eval()
    grown = with_far_branch(plain, CONFIGS["pvqe-xs-far"])
    spectrum, far = torch.randn(2, 2, 100, BINS), torch.randn(2, 2, 100, BINS)
    with torch.no_grad():
        profile = plain.embed(spectrum)
        wanted, *_ = plain(spectrum, profile)
        for heard in (None, far):
            got, *_ = grown(spectrum, grown.embed(spectrum), far=heard)
            assert torch.allclose(got, wanted, atol=1e-6)
    with pytest.raises(ValueError, match="not pvqe-xs with a far branch"):
        with_far_branch(plain, CONFIGS["pvqe-s-far"])
    with pytest.raises(ValueError, match="not pvqe-xs with a far branch"):
        with_far_branch(plain, CONFIGS["pvqe-xs"])


def test_a_network_with_a_far_branch_follows_the_one_that_it_was_grown_from() -> None:
    torch.manual_seed(0)
    old, new = Network(CONFIGS["pvqe-xs"]).eval(), Network(CONFIGS["pvqe-xs"]).eval()
    for network in (old, new):
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.1, 3)
    grown = with_far_branch(old, CONFIGS["pvqe-xs-far"])
    follow(grown, old, new)
    spectrum = torch.randn(1, 2, 50, BINS)
    with torch.no_grad():
        profile = new.embed(spectrum)
        wanted, *_ = new(spectrum, profile)
        got, *_ = grown(spectrum, profile, far=torch.randn_like(spectrum))
    assert torch.allclose(got, wanted, atol=1e-4)


def test_a_new_far_branch_sees_the_delay(echo_simulator: EchoSimulator) -> None:
    echoes = draw(echo_simulator, replace(CALL, delay_ms=(250, 250)), count=4)
    plain, _ = load_checkpoint(CHECKPOINT)
    network = with_far_branch(plain, CONFIGS["pvqe-s-far"])
    weights = []
    network.align.smooth.register_forward_hook(
        lambda module, inputs, output: weights.append(output.softmax(3)[:, 0, 110:])
    )
    heard = 0.05 * echoes.heard / active_level(echoes.heard)
    with torch.no_grad():
        enhance(network, heard, torch.zeros(4, 256), echoes.far_ends)
    (of_delays,) = weights  # (clip, frame, delay), oldest first: 25 frames ago is the 75th
    assert of_delays[:, :, 71:78].sum(2).mean() > 1.5 * 7 / 100


def test_the_command_begins_with_a_network_without_far_end(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain, other = tmp_path / "pvqe-xs.pt", tmp_path / "pvqe-s.pt"
    save_checkpoint(plain, Network(CONFIGS["pvqe-xs"]), {})
    save_checkpoint(other, Network(CONFIGS["pvqe-s"]), {})
    grown, profile_network = starting_point(CONFIGS["pvqe-xs-far"], plain, None)
    assert grown.config == CONFIGS["pvqe-xs-far"]
    assert profile_network is not None and grown.profiles_of == model_id(profile_network) == model_id(
        load_checkpoint(plain)[0]
    )
    assert torch.equal(grown.fuse.weight, load_checkpoint(plain)[0].fuse.weight)
    with pytest.raises(click.UsageError, match="Choose --network accordingly"):
        starting_point(CONFIGS["pvqe-xs-far"], other, None)
    save_checkpoint(tmp_path / "grown.pt", grown, {})
    again, profile_network = starting_point(CONFIGS["pvqe-xs-far"], tmp_path / "grown.pt", plain)
    assert again.profiles_of == grown.profiles_of and profile_network is not None
    with pytest.raises(click.UsageError, match="choose --profile-network accordingly"):
        starting_point(CONFIGS["pvqe-xs-far"], tmp_path / "grown.pt", None)


def test_a_lighter_network_takes_the_profiles_of_a_larger_one(
    simulator: SceneSimulator, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "pvqe-s.pt", Network(CONFIGS["pvqe-s"]), {})
    light, profile_network = starting_point(CONFIGS["pvqe-xs"], None, tmp_path / "pvqe-s.pt")
    assert profile_network is not None and light.profiles_of == model_id(profile_network)
    assert light.config.taken_size == profile_network.config.embedding_size > light.config.embedding_size
    batch = simulator.draw(QUIET)
    compute_loss(
        light, batch, LossWeights(), bfloat16=False, profile_network=profile_network
    ).total.backward()
    assert light.profile.weight.grad is not None
    save_checkpoint(tmp_path / "light.pt", light, {})
    # The larger one goes on learning, and the lighter one, here grown by a far branch, follows it.
    save_checkpoint(tmp_path / "later.pt", Network(CONFIGS["pvqe-s"]), {})
    grown, later = starting_point(CONFIGS["pvqe-xs-far"], tmp_path / "light.pt", tmp_path / "later.pt")
    assert later is not None and grown.profiles_of == model_id(later) != light.profiles_of
    assert grown.config.taken_size == light.config.taken_size


def test_outputs_of_a_larger_network_can_be_distilled(simulator: SceneSimulator) -> None:
    torch.manual_seed(0)
    larger = Network(CONFIGS["pvqe-xs"]).eval()
    batch = simulator.draw(QUIET)
    weights, supervision = LossWeights(distillation=2.0), Supervision(distilled_network=larger)
    alike, other = larger, Network(CONFIGS["pvqe-xs"])
    assert compute_loss(alike, batch, weights, False, supervision, larger).parts["distillation"] < 1e-6
    loss = compute_loss(other, batch, weights, False, supervision, larger)
    without = compute_loss(other, batch, LossWeights(), False, Supervision(), larger)
    assert float(loss.total.detach()) == pytest.approx(
        float(without.total.detach()) + 2 * float(loss.parts["distillation"]), rel=1e-4
    )
    assert loss.parts["distillation"] > 1e-3


def test_profiles_of_another_network_are_taken_as_they_are(simulator: SceneSimulator) -> None:
    torch.manual_seed(0)
    profile_network = Network(CONFIGS["pvqe-xs"]).eval()
    network = with_far_branch(profile_network, CONFIGS["pvqe-xs-far"])
    batch = simulator.draw(QUIET)
    loss = compute_loss(network, batch, LossWeights(), bfloat16=False, profile_network=profile_network)
    assert torch.equal(loss.embeddings, profile_network.embed(analyse(batch.enrollments)))
    loss.total.backward()
    assert all(parameter.grad is None for parameter in profile_network.parameters())
    assert network.fuse.weight.grad is not None


def test_a_stage_of_another_kind_of_network_is_refused(simulator: SceneSimulator) -> None:
    network = Network(CONFIGS["pvqe-xs"])
    with pytest.raises(click.UsageError, match="align"):
        Trainer(network, [Stage("echo", 1, 1e-3, train_only=("align", "joint1"))], simulator, None, seed=0)
    calls = SceneSettings(echo=EchoSettings())
    with pytest.raises(click.UsageError, match="no far end"):
        Trainer(network, [Stage("echo", 1, 1e-3, scenes=calls)], simulator, None, seed=0)


def test_each_kind_of_network_has_its_stages() -> None:
    names = {
        name: [stage.name for stage in choose_stages(default_stages(CONFIGS[name]), "")]
        for name in ("pvqe-s", "pvqe-s-far")
    }
    assert names == {
        "pvqe-s": ["teacher-forced", "self-conditioned", "teacher-free"],
        "pvqe-s-far": ["teacher-forced", "self-conditioned", "teacher-free", "far-branch", "echo"],
    }
    far, echo = choose_stages(default_stages(CONFIGS["pvqe-s-far"]), "far-branch,echo")
    assert far.scenes.echo == EchoSettings() and echo.scenes.echo is not None
    light = replace(CONFIGS["pvqe-xs"], profile_size=256)
    assert [stage.name for stage in default_stages(light)] == ["clean-pairs", "mixtures"]
    assert "align" in far.train_only and not echo.train_only
    with pytest.raises(ValueError, match="no stage far: choose among teacher-forced"):
        choose_stages(default_stages(CONFIGS["pvqe-s-far"]), "far,echo")


def test_only_the_named_parts_learn_and_echo_becomes_less(simulator: SceneSimulator) -> None:
    torch.manual_seed(0)
    scenes = replace(
        QUIET, speakers=2, single_mixtures=4, absent_outputs=0, unprofiled_outputs=0, clip_s=1.0, enrolled_twice=False,
        echo=replace(CALL, delay_ms=(20, 20), far_only_share=0.5),
    )  # fmt: skip
    network = with_far_branch(Network(CONFIGS["pvqe-xs"]), CONFIGS["pvqe-xs-far"])
    stage = Stage("echo", 100, 1e-2, train_only=("far1", "far2", "align", "joint1"), scenes=scenes)
    trainer = Trainer(network, [stage], simulator, None, seed=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batch = simulator.draw(scenes)
    simulator.draw = lambda *_: batch  # type: ignore[method-assign]  # one scene again and again
    losses = [float(trainer.step(stage)["loss"]) for _ in range(20)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
    for name, tensor in network.state_dict().items():
        learns = name.split(".")[0] in stage.train_only
        assert learns or torch.equal(tensor, before[name]), name
    assert not torch.equal(network.joint1.conv.conv.weight, before["joint1.conv.conv.weight"])
    assert not torch.equal(network.far1.norm.running_mean, before["far1.norm.running_mean"])
    # The far ends are what it listens to: with those of other mixtures it does worse.
    others = replace(batch, far_ends=batch.far_ends.roll(1, 0))
    with torch.no_grad():
        right, wrong = (
            float(compute_loss(network, far_ends, LossWeights(), bfloat16=False).total)
            for far_ends in (batch, others)
        )
    assert right < wrong - 0.1
