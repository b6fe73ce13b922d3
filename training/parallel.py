"""One run on several GPUs or machines: ``torchrun --nproc-per-node N -m -- training.train ...``.

Each process draws scenes of its own; PyTorch's DistributedDataParallel averages the gradients, so that the weights are
the same everywhere. The first process scores, logs and saves. Without torchrun there is one process, and all of this is
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from training.losses import LossWeights
from training.network import Network
from training.simulation.scenes import SceneBatch
from training.step import ProfileNetwork, StepLoss, Supervision, compute_loss


def join(device: torch.device) -> torch.device:
    """Meet the other processes that torchrun started, if it did; the device of this process."""
    if "RANK" not in os.environ:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def rank() -> int:
    """Number of this process, from 0; the first one writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many processes take part."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through the block before the others: it makes the files that they then find."""
    if rank():
        dist.barrier()
    yield
    if dist.is_initialized() and not rank():
        dist.barrier()


def agreed(decision: bool) -> bool:
    """The first process's decision, so that all stop at the same step."""
    if not dist.is_initialized():
        return decision
    decided = [decision]
    dist.broadcast_object_list(decided)
    return decided[0]


class SharedLoss(nn.Module):
    """``compute_loss`` of a network; through ``shared``, with gradients averaged over the processes."""

    def __init__(self, network: Network, profile_network: ProfileNetwork | None):
        super().__init__()
        self.network = network
        self._profile_network = (profile_network,)  # in a tuple, so that it is no part of what learns

    def forward(
        self, batch: SceneBatch, weights: LossWeights, bfloat16: bool, supervision: Supervision
    ) -> StepLoss:
        return compute_loss(self.network, batch, weights, bfloat16, supervision, *self._profile_network)


def shared(network: Network, profile_network: ProfileNetwork | None = None) -> nn.Module:
    """The loss to call in a step. To be made anew when other parts of the network are to learn."""
    loss = SharedLoss(network, profile_network)
    if not dist.is_initialized():
        return loss
    # A step without echo leaves the far branch out.
    unused = network.config.far_channels is not None
    return DistributedDataParallel(loss, find_unused_parameters=unused)
