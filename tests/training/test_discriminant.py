"""Where voices are compared: what the analysis finds, and that the network stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner

from edge_pse.voice_space import VoiceSpace
from export.description import description
from training.checkpoint import load_checkpoint, model_id, save_checkpoint
from training.discriminant import discriminant, main
from training.network import CONFIGS, Network
from training.schedule import Stage
from training.simulation.scenes import SceneSimulator
from training.train import Trainer


def test_it_looks_where_voices_differ_and_enrollments_of_one_do_not() -> None:
    random = np.random.default_rng(0)
    voices = np.arange(400).repeat(2)
    own = random.normal(size=(400, 2))[voices]
    # Numbers 0 and 1 hold the voice, 2 and 3 are loud noise, all have an offset.
    embeddings = np.array([3.0, 3, -3, 7]) + np.concatenate([own, 10 * random.normal(size=(800, 2))], axis=1)
    embeddings[:, :2] += 0.1 * random.normal(size=(800, 2))
    matrix = discriminant(embeddings, voices, 2)
    assert matrix.shape == (2, 5) and np.abs(matrix).max() == 1
    assert np.abs(matrix[:, 2:4]).max() < 0.05 * np.abs(matrix[:, :2]).max()
    projected = VoiceSpace(matrix).project(embeddings)
    assert np.abs(projected.mean(0)).max() < 0.1
    cosines = np.sum(projected[::2] * projected[1::2], axis=1)
    assert np.median(cosines) > 0.97
    strongest = discriminant(embeddings, voices, 1)
    assert np.allclose(strongest, matrix[:1] / np.abs(matrix[:1]).max(), atol=1e-5)


def test_the_command_leaves_the_network_and_its_id(
    recordings: Path, tmp_path: Path, simulator: SceneSimulator
) -> None:
    torch.manual_seed(0)
    path = tmp_path / "trained.pt"
    save_checkpoint(path, Network(CONFIGS["pvqe-xs"]), {"steps": 7})
    before, _ = load_checkpoint(path)
    arguments = [str(path), "--speech", str(recordings / "speech"), "--noise", str(recordings / "noise"),
                 "--simulated-rooms", "2", "--cache", str(tmp_path / "cache"),
                 "--draws", "2", "--directions", "3", "--threads", "1"]  # fmt: skip
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and "3 directions from " in result.output
    after, history = load_checkpoint(path)
    assert model_id(after) == model_id(before) and history == {"steps": 7}
    size = after.config.embedding_size
    assert after.voice_space is not None and after.voice_space.shape == (3, size + 1)
    exported = VoiceSpace.decode(description(after, "fp32")["voice_space"], size)
    profiles = np.random.default_rng(0).normal(size=(20, size))
    exact = VoiceSpace(after.voice_space.float().numpy()).project(profiles)
    np.testing.assert_allclose(exported.project(profiles), exact, atol=0.03)
    # Profiles that change are no longer compared there; those that stay are.
    stage = Stage("s", 2, 1e-3, train_only=("decoder4",))
    trainer = Trainer(after, [stage], simulator, None, seed=0)
    trainer._enter(stage)
    assert trainer.averaged.voice_space is not None
    trainer._enter(Stage("s", 2, 1e-3))
    assert trainer.averaged.voice_space is None
    # It does not come back with the checkpoint that a resumed run begins from.
    resumed = Trainer(load_checkpoint(path)[0], [stage], simulator, None, seed=0)
    resumed.load_state_dict(trainer.state_dict())
    assert resumed.averaged.voice_space is None


def test_a_network_that_takes_the_profiles_of_another_is_refused(recordings: Path, tmp_path: Path) -> None:
    network = Network(CONFIGS["pvqe-xs"])
    network.profiles_of = "pvqe-s-0123456789ab"
    save_checkpoint(tmp_path / "xs.pt", network, {})
    arguments = [str(tmp_path / "xs.pt"), "--speech", str(recordings), "--noise", str(recordings)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and "takes the profiles of pvqe-s-0123456789ab" in result.output
