"""The decoder as a processor learns fastest, beside the network's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.training.test_personal import CHECKPOINT
from training.checkpoint import load_checkpoint
from training.decoding import decode
from training.network import BINS, Network

FRAMES = 12


def _taken(network: Network) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
    torch.manual_seed(0)
    channels, bins = network.skip_channels, (80, 40, 20, 10)
    skips = [torch.randn(2, c, FRAMES, b, requires_grad=True) for c, b in zip(channels, bins, strict=True)]
    embedding = torch.randn(2, FRAMES, network.config.embedding_size, requires_grad=True)
    speaker = torch.randn(2, network.config.latent_size, requires_grad=True)
    return embedding, skips, speaker, torch.randn(2, 2, FRAMES, BINS)


@pytest.mark.parametrize("name", ["pvqe-s", "pvqe-xs", "pvqe-s-far"])
def test_it_gives_what_the_network_gives_and_the_same_gradients(name: str) -> None:
    network, _ = load_checkpoint(CHECKPOINT.with_stem(name))
    network.eval()
    taken = _taken(network)
    embedding, skips, speaker, _ = taken
    learning = {
        n: p for n, p in network.named_parameters() if n.startswith(("temporal_out", "modulation", "decoder"))
    }
    inputs = [embedding, *skips, speaker, *learning.values()]

    def run(enhanced: Tensor) -> list[Tensor]:
        return [enhanced, *torch.autograd.grad(enhanced.square().mean(), inputs)]

    names = ["enhanced", "embedding", "skip1", "skip2", "skip3", "skip4", "speaker", *learning]
    results = run(decode(network, *taken)), run(network.decode(*taken))
    for of, own, known in zip(names, *results, strict=True):
        assert own.shape == known.shape
        assert (own - known).norm() < 1e-4 * known.norm(), of
