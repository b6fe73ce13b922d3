"""The network as one step of one frame, ready for an inference runtime: folded, with every state explicit."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.network import BINS, CubeRoots, DecoderBlock, EncoderBlock, InvertedResidual, Network


class GruCell(nn.Module):
    """The gates of ``nn.GRU`` written out for a single frame, so that quantisation reaches their weights."""

    def __init__(self, gru: nn.GRU):
        super().__init__()
        self.of_input = nn.Linear(gru.input_size, 3 * gru.hidden_size)
        self.of_state = nn.Linear(gru.hidden_size, 3 * gru.hidden_size)
        with torch.no_grad():
            self.of_input.weight.copy_(gru.weight_ih_l0)
            self.of_input.bias.copy_(gru.bias_ih_l0)
            self.of_state.weight.copy_(gru.weight_hh_l0)
            self.of_state.bias.copy_(gru.bias_hh_l0)
        self.size = gru.hidden_size

    def forward(self, x: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (1, 1, input), ``initial`` (1, 1, hidden), as ``nn.GRU`` takes them."""
        state = initial.flatten(1)
        gates, candidate = self.of_input(x.flatten(1)).split([2 * self.size, self.size], dim=1)
        past_gates, past_candidate = self.of_state(state).split([2 * self.size, self.size], dim=1)
        reset, update = torch.sigmoid(gates + past_gates).chunk(2, dim=1)
        candidate = torch.tanh(candidate + reset * past_candidate)
        state = candidate + update * (state - candidate)
        return state[None], state[None]


class StepGraph(nn.Module):
    """``network`` folded for inference: batch norms into convolutions, the mask's basis into the last convolution.

    Call: ``(spectrum, profile, *states) -> (enhanced, embedding, *next_states)``; shapes as in the bundle's contract:
    spectrum and enhanced (1, 2, 1, BINS), profile and embedding (1, embedding), states as ``state_shapes`` says.
    """

    def __init__(self, network: Network):
        super().__init__()
        self.network = _fold(network)
        self.state_shapes = network.state_shapes()

    def forward(self, spectrum: Tensor, profile: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.state_shapes, states, strict=True))
        enhanced, embedding, following = self.network(spectrum, profile, named)
        return enhanced, embedding[:, 0], *(following[name] for name in self.state_shapes)

    def example_inputs(self) -> tuple[Tensor, ...]:
        """A frame of zeros, no profile, the state before the first frame."""
        return (
            torch.zeros(1, 2, 1, BINS),
            torch.zeros(1, self.network.config.embedding_size),
            *(torch.zeros(shape) for shape in self.state_shapes.values()),
        )


@torch.no_grad()
def _fold(network: Network) -> Network:
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, EncoderBlock):
            module.conv.conv, module.norm = fuse_conv_bn_eval(module.conv.conv, module.norm), nn.Identity()
        elif isinstance(module, InvertedResidual):
            module.enter, module.enter_norm = fuse_conv_bn_eval(module.enter, module.enter_norm), nn.Identity()
            module.middle.conv = fuse_conv_bn_eval(module.middle.conv, module.middle_norm)
            module.middle_norm = nn.Identity()
            module.leave, module.leave_norm = fuse_conv_bn_eval(module.leave, module.leave_norm), nn.Identity()
        elif isinstance(module, DecoderBlock) and module.norm is not None:
            # The norm comes after the sub-pixel shuffle, so both halves of the convolution share its channels.
            module.expand.conv.conv = fuse_conv_bn_eval(module.expand.conv.conv, _doubled(module.norm))
            module.norm = nn.Identity()
    _fold_basis(network)
    network.gru1, network.gru2 = GruCell(network.gru1), GruCell(network.gru2)
    return network


def _doubled(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    twice = nn.BatchNorm2d(2 * norm.num_features, eps=norm.eps).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(twice, name).copy_(getattr(norm, name).repeat(2))
    return twice


def _fold_basis(network: Network) -> None:
    """27 basis channels become the 18 numbers of 9 complex taps inside the last convolution: a third less work."""
    conv = network.decoder4.expand.conv.conv
    even_odd = conv.weight.unflatten(0, (2, -1))  # (half, channel, in, frame, bin)
    roots = CubeRoots()
    weight = roots(even_odd.flatten(2)[..., None])[..., 0].unflatten(2, conv.weight.shape[1:])
    bias = roots(conv.bias.unflatten(0, (2, -1))[..., None, None])[..., 0, 0]
    folded = nn.Conv2d(conv.in_channels, 2 * weight.shape[1], conv.kernel_size, conv.stride, conv.padding)
    folded.weight.copy_(weight.flatten(0, 1))
    folded.bias.copy_(bias.flatten())
    network.decoder4.expand.conv.conv = folded
    network.to_taps = nn.Identity()
