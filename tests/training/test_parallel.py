"""Several processes that train one network, over gloo on the CPU, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from click.testing import CliRunner
from torch import multiprocessing

from studies.training_speed import made_up_scenes
from tests.training.conftest import small_stage
from training import parallel
from training.network import CONFIGS, Network
from training.schedule import Stage
from training.simulation.scenes import SceneSettings
from training.train import Trainer, main

SCENES = SceneSettings(speakers=3, clip_s=0.5, enrollment_clips=(1, 1))
STAGE = Stage("tried", steps=10, learning_rate=1e-3, scenes=SCENES)


def make_trainer(seed: int) -> Trainer:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Trainer(
        Network(CONFIGS["pvqe-xs"]), [STAGE], made_up_scenes(torch.device("cpu"), seed), None, seed=seed
    )


def take_two_steps(rank: int, port: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    parallel.join(torch.device("cpu"))
    trainer = make_trainer(seed=rank)
    losses = [trainer.step(STAGE)["loss"] for _ in range(2)]
    weights = {name: value.clone() for name, value in trainer.network.named_parameters()}
    torch.save((losses, weights, trainer.seconds, parallel.agreed(rank == 0)), Path(folder, f"{rank}.pt"))
    torch.distributed.destroy_process_group()


def test_processes_hear_different_scenes_and_share_their_weights(free_port: int, tmp_path: Path) -> None:
    multiprocessing.spawn(take_two_steps, (free_port, str(tmp_path)), nprocs=2)
    (losses, weights, seconds, agreed), (others, other_weights, _, other_agreed) = (
        torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)
    )
    assert losses[0] != others[0]
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert agreed and other_agreed  # both follow the first
    alone = make_trainer(seed=0)
    for _ in range(2):
        alone.step(STAGE)
    assert seconds == 2 * alone.seconds
    # The second process had its say.
    assert any(not torch.equal(weights[name], value) for name, value in alone.network.named_parameters())


def test_torchrun_goes_on_with_a_run_and_ends_it(recordings: Path, tmp_path: Path) -> None:
    """Without it the run begins, in this process: under torchrun PyTorch would be loaded another three times."""
    schedule = tmp_path / "schedule.toml"
    arguments = [
        *("--network", "pvqe-xs", "--threads", "1", "--simulated-rooms", "2"),
        *("--speech", recordings / "speech", "--noise", recordings / "noise", "--schedule", schedule),
        *("--run", tmp_path / "run", "--cache", tmp_path / "cache"),
    ]
    words = [str(word) for word in arguments]
    schedule.write_text(small_stage(20))
    began = CliRunner().invoke(main, words, catch_exceptions=False)
    assert began.exit_code == 0
    schedule.write_text(2 * small_stage(20))
    torchrun = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "--",
        "training.train",
    ]
    subprocess.run([sys.executable, *torchrun, *words], check=True, capture_output=True, timeout=300)
    entries = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [20, 40]  # one process logs, and goes on
    # Both had their say: a step of two processes has the sound of both.
    assert entries[1]["hours"] > 2.5 * entries[0]["hours"]
    assert (tmp_path / "run/best.pt").exists()
