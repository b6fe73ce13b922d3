"""What a GPU needs of a training step, asked where there is none."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.conftest import QUIET
from training.checkpoint import with_far_branch
from training.device import to_device
from training.network import CONFIGS, Network
from training.optimizer import Optimizer
from training.schedule import Stage
from training.simulation import scenes
from training.simulation.echo import EchoSettings
from training.simulation.scenes import SceneSimulator
from training.train import Trainer

META = torch.device("meta")


def test_floats_arrive_in_single_precision_and_the_rest_as_it_is() -> None:
    cpu = torch.device("cpu")
    assert to_device(np.array([0.5]), cpu).dtype == torch.float32
    assert to_device([1, 2], cpu).dtype == torch.int64
    assert to_device(np.array([True]), cpu).dtype == torch.bool


@pytest.mark.parametrize("name", ["pvqe-xs", "pvqe-xs-far"])
def test_a_step_waits_for_no_value_and_leaves_nothing_behind_on_the_processor(
    name: str, simulator: SceneSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors without values: whatever reads one, or mixes it with one on the processor, raises."""

    def noise(_: np.random.Generator, count: int, length: int, device: torch.device) -> Tensor:
        return torch.empty(count, length, device=device)  # PyTorch's generators know no such device

    monkeypatch.setattr(scenes, "synthetic_noise", noise)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    elsewhere = SceneSimulator(
        simulator.speech.to(META), simulator.noise.to(META), simulator.rooms.to(META), simulator.random
    )
    far = CONFIGS[name].far_channels is not None
    settings = replace(
        QUIET, single_mixtures=8, clean_share=0, partial_share=0.5, close_share=0.5, equaliser_db=4,
        step_share=0.5, gain_control_share=0.5, telephone_share=0.5,
    )  # fmt: skip
    if far:  # two of the four speakers are left for the far end
        settings = replace(settings, speakers=2, absent_outputs=0, echo=EchoSettings())
    else:
        settings = replace(settings, speaker_groups=2)
    stage = Stage("s", 2, 1e-3, identification_weight=0.1, delay_weight=0.1, scenes=settings)
    network = Network(CONFIGS["pvqe-xs"])
    network = with_far_branch(network, CONFIGS[name]) if far else network
    trainer = Trainer(network, [stage], simulator, None, seed=0)
    trainer.network.to(META)
    trainer.averaged.to(META)
    trainer.optimizer = Optimizer(trainer.network, bfloat16=True)
    trainer.scenes, trainer.device = elsewhere, META
    trainer.embeddings = trainer.embeddings.to(META)
    parts = trainer.step(stage)
    assert {value.device for value in parts.values()} == {META}
    assert ("delay" in parts) == far and "identification" in parts
