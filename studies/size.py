"""What each network costs: ``python -m studies size`` prints parameters, multiply-adds a frame and state floats.

Multiply-adds are counted while one frame runs: convolutions, linear layers, recurrent layers, the align block's
products and the mask; biases, norms and activations are not. What depends on the profile alone is counted apart:
it is the same in every frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import click
import torch
from torch import Tensor, nn

from evaluation.report.markdown import table
from training.network import BINS, CONFIGS, MASK_TAPS, Align, Network, NetworkConfig

# arXiv 2406.09928, section 4.3: parameters and milliseconds a frame of PVQE-S on one thread of an i7-10700K.
PAPER = {"pvqe-s-paper": "1.07 M, 0.135 ms"}


@dataclass(frozen=True)
class Size:
    """Cost of one network; multiply-adds are those of one 10 ms frame."""

    parameters: int
    multiply_adds: int
    profile_multiply_adds: int
    state_floats: int


def measure_size(config: NetworkConfig) -> Size:
    """Count by running one frame through the network."""
    network = Network(config).eval()
    of_profile = {network.profile, getattr(network, "modulation", None)}
    counts = {"frame": 0, "profile": 0}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # The mask's two fixed convolutions are no modules: they are counted below, as complex products.
        if isinstance(module, nn.Conv2d):
            counts["frame"] += module.weight[0].numel() * output.numel()
        elif isinstance(module, nn.Linear) and module is network.fuse:
            half = module.weight.numel() // 2  # the speaker's half is the same in every frame
            counts["frame"] += half
            counts["profile"] += half
        elif isinstance(module, nn.Linear):
            counts["profile" if module in of_profile else "frame"] += module.weight.numel()
        elif isinstance(module, nn.GRU):
            matrices = (p for name, p in module.named_parameters() if name.startswith("weight"))
            counts["frame"] += sum(matrix.numel() for matrix in matrices)
        elif isinstance(module, Align):
            far_channels = inputs[1].shape[1]
            counts["frame"] += module.frames * BINS // 4 * (module.query.out_channels + far_channels)

    for module in network.modules():
        module.register_forward_hook(count)
    frame = torch.zeros(1, 2, 1, BINS)
    far = None if config.far_channels is None else frame
    with torch.no_grad():
        _, _, states = network(frame, torch.zeros(1, config.taken_size), far=far)
    counts["frame"] += 4 * MASK_TAPS * BINS  # nine complex products a bin
    return Size(
        sum(parameter.numel() for parameter in network.parameters()),
        counts["frame"],
        counts["profile"],
        sum(math.prod(state.shape) for state in states.values()),
    )


@click.command()
def main() -> None:
    """Print parameters, multiply-adds and state of one 10 ms frame, of every network."""
    rows = []
    for name, config in CONFIGS.items():
        size = measure_size(config)
        rows.append([
            name, f"{size.parameters / 1e3:.1f} k", PAPER.get(name, "-"), f"{size.multiply_adds / 1e6:.3f} M",
            f"{size.profile_multiply_adds / 1e3:.0f} k", f"{size.state_floats:,}",
        ])  # fmt: skip
    click.echo(table(["network", "parameters", "paper", "MAC", "MAC, profile", "state floats"], rows))
