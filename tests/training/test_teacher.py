"""Vectors that a network is taught by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from training.checkpoint import load_checkpoint, save_checkpoint
from training.network import CONFIGS, Network
from training.simulation.scenes import SceneSimulator
from training.spectral import analyse
from training.teacher import Rotation, main, own_vectors


def test_a_rotation_keeps_distances_and_puts_the_strongest_first() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 8)) * [1, 1, 1, 9, 1, 1, 1, 1]
    rotated = Rotation.of(vectors, 12)(vectors)
    assert rotated.shape == (50, 12) and not rotated[:, 8:].any()
    assert rotated[:, 0].std() == pytest.approx(3, rel=0.05) and rotated[:, 0].std() > 4 * rotated[:, 1].std()
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (vectors, rotated)]
    assert np.allclose(distances[0] / distances[0].max(), distances[1] / distances[1].max(), atol=1e-5)


def test_own_vectors_are_what_the_network_makes_of_each_voice(simulator: SceneSimulator) -> None:
    torch.manual_seed(0)
    network = Network(CONFIGS["pvqe-xs"]).eval()
    vectors = own_vectors(simulator.speech, network)
    assert vectors.shape == (len(simulator.speech.tracks), network.config.embedding_size)
    voices = np.arange(len(vectors))
    clips = 0.05 * simulator.speech.cut(voices, np.zeros(len(voices), int), 48_000)
    with torch.no_grad():
        alone = network.embed(analyse(clips)).numpy()
    distance = np.linalg.norm(vectors[:, None] - alone[None], axis=2)
    assert np.linalg.norm(alone, axis=1).min() > 3 * np.diag(distance).max()


def test_the_command_writes_them_for_a_checkpoint(recordings: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "old.pt", Network(CONFIGS["pvqe-xs"]), {})
    arguments = ["--speech", str(recordings / "speech"), "--cache", str(tmp_path / "cache"),
                 "--checkpoint", str(tmp_path / "old.pt"), "-o", str(tmp_path / "own.npy")]  # fmt: skip
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    written = np.load(tmp_path / "own.npy")
    size = load_checkpoint(tmp_path / "old.pt")[0].config.embedding_size
    assert (
        written.shape[1] == size
        and np.isfinite(written).all()
        and len(np.unique(written, axis=0)) == len(written)
    )
