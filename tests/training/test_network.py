"""The network's definition: streaming equals offline, nothing looks ahead, sizes are the paper's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from training.network import BINS, CONFIGS, Network, NetworkConfig, States

FRAMES = 200
NAMES = sorted(CONFIGS)


def trained_like(config: str | NetworkConfig) -> Network:
    """A network whose norms and modulation are not at their neutral start, so that every path matters."""
    torch.manual_seed(1)
    network = Network(CONFIGS[config] if isinstance(config, str) else config).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        if network.config.modulated_skips:
            network.modulation.weight.normal_(0, 0.05)
    return network


def far_for(network: Network, spectrum: torch.Tensor) -> torch.Tensor | None:
    return torch.randn_like(spectrum) if network.config.far_channels else None


def between(x: torch.Tensor | None, start: int, end: int) -> torch.Tensor | None:
    return None if x is None else x[:, :, start:end]


@pytest.mark.parametrize(
    "config", [*NAMES, replace(CONFIGS["pvqe-xs"], decoder_frames=3)], ids=[*NAMES, "context"]
)
@pytest.mark.parametrize(
    "split", [[1] * FRAMES, [FRAMES], [7, 1, 92, 100], [199, 1]], ids=["ones", "whole", "mixed", "end"]
)
def test_any_split_of_the_frames_gives_the_same_output(config: str | NetworkConfig, split: list[int]) -> None:
    network = trained_like(config)
    spectrum, profile = torch.randn(1, 2, FRAMES, BINS), torch.randn(1, network.config.embedding_size)
    far = far_for(network, spectrum)
    with torch.no_grad():
        wanted, wanted_embedding, _ = network(spectrum, profile, far=far)
        states: States | None = None
        outputs, embeddings, start = [], [], 0
        for length in split:
            end = start + length
            piece, embedding, states = network(
                spectrum[:, :, start:end], profile, states, between(far, start, end)
            )
            outputs.append(piece)
            embeddings.append(embedding)
            start = end
    assert (torch.cat(outputs, 2) - wanted).abs().max() <= 1e-5
    assert (torch.cat(embeddings, 1) - wanted_embedding).abs().max() <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_a_change_moves_nothing_before_it(name: str) -> None:
    network = trained_like(name)
    spectrum, profile = torch.randn(1, 2, 60, BINS), torch.randn(1, network.config.embedding_size)
    far = far_for(network, spectrum)
    changed, changed_far = spectrum.clone(), None if far is None else far.clone()
    changed[:, :, 40] += 1
    if changed_far is not None:
        changed_far[:, :, 40] += 1
    with torch.no_grad():
        before, _, _ = network(spectrum, profile, far=far)
        after, _, _ = network(changed, profile, far=changed_far)
    assert torch.equal(before[:, :, :40], after[:, :, :40])
    assert not torch.equal(before[:, :, 40], after[:, :, 40])


def test_the_far_end_reaches_the_output_with_a_delay_of_up_to_a_second() -> None:
    network = trained_like("pvqe-s-far")
    spectrum, profile = torch.randn(1, 2, 140, BINS), torch.zeros(1, 256)
    far = torch.zeros_like(spectrum)
    far[:, :, 10] = 1
    with torch.no_grad():
        without, _, _ = network(spectrum, profile)
        with_far, _, _ = network(spectrum, profile, far=far)
    changed = (without - with_far).abs().amax((0, 1, 3)) > 0
    assert not changed[:10].any()
    assert changed[10:109].all()


def test_a_network_without_far_branch_refuses_a_far_end() -> None:
    network = Network(CONFIGS["pvqe-s"])
    spectrum = torch.zeros(1, 2, 1, BINS)
    with pytest.raises(ValueError, match="no far branch"):
        network.encode(spectrum, spectrum)


def test_the_profile_changes_the_output_and_its_absence_is_a_zero_vector() -> None:
    network = trained_like("pvqe-s")
    spectrum = torch.randn(1, 2, 30, BINS)
    with torch.no_grad():
        profile = network.embed(spectrum)
        unprofiled, embedding, _ = network(spectrum, torch.zeros(1, 256))
        profiled, _, _ = network(spectrum, profile)
    assert torch.allclose(profile, embedding.mean(1), atol=1e-6)
    assert (unprofiled - profiled).abs().max() > 1e-3
