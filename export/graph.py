"""The network as one step of one frame, ready for an inference runtime: folded, with every state explicit.

At one frame a step, the number of operations costs more than their size. Hence the layers below: each is one
of the network's layers for a single frame, with the same parameters in fewer operations.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.network import (
    BINS,
    MASK_TAPS,
    Align,
    CausalConv,
    ComplexConvolvingMask,
    CubeRoots,
    DecoderBlock,
    EncoderBlock,
    InvertedResidual,
    Network,
    States,
    SubPixelConv,
    compress,
)


class FrameConv(nn.Module):
    """``CausalConv`` for one frame: the past frame lies beside the present one as further channels.

    Raises ValueError where it sees more than one past frame, which the networks that ship do not.
    """

    def __init__(self, causal: CausalConv):
        super().__init__()
        if causal.past_frames > 1:
            raise ValueError(
                "A convolution sees more than two frames: no device runs that yet. Train with decoder_frames=2."
            )
        conv = causal.conv
        channels_in = conv.kernel_size[0] * conv.in_channels
        stride = (1, conv.stride[1])
        self.conv = nn.Conv2d(
            channels_in, conv.out_channels, (1, 3), stride, (0, 1), bias=conv.bias is not None
        )
        weights = {"weight": conv.weight.transpose(1, 2).flatten(1, 2).unsqueeze(2)}
        if conv.bias is not None:
            weights["bias"] = conv.bias
        self.conv.load_state_dict(weights)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if past is None:
            return self.conv(x), None
        return self.conv(torch.cat([past, x], dim=1)), x


class FrameSubPixelConv(nn.Module):
    """``SubPixelConv`` for one frame."""

    def __init__(self, expand: SubPixelConv):
        super().__init__()
        self.conv = FrameConv(expand.conv)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x, past = self.conv(x, past)
        channels, bins = x.shape[1] // 2, x.shape[3]
        even_odd = x.reshape(1, 2, channels, bins).permute(0, 2, 3, 1)
        return even_odd.reshape(1, channels, 1, 2 * bins), past


class FrameAlign(nn.Module):
    """``Align`` for one frame: each delay is a row of the histories, so no product has to be rearranged."""

    def __init__(self, align: Align):
        super().__init__()
        self.query, self.key, self.smooth = align.query, align.key, align.smooth

    def forward(self, mic: Tensor, far: Tensor, past: States, following: States) -> Tensor:
        """``mic`` and ``far`` (1, channel, 1, bin) -> the far end as it is in ``mic``, (1, channel, 1, bin)."""
        keys = _with_history("align_keys", self.key(far), past, following)
        delayed = _with_history("align_far", far, past, following)
        query = self.query(mic)
        similarity = keys @ query.reshape(1, query.shape[1], -1, 1)  # (1, channel, delay, 1)
        similarity = similarity.reshape(1, query.shape[1], 1, -1)
        recent = _with_history("align_similarity", similarity, past, following)
        return self.smooth(recent).softmax(dim=3) @ delayed


def _with_history(name: str, row: Tensor, past: States, following: States) -> Tensor:
    rows = torch.cat([past[name], row], dim=2)
    following[name] = rows[:, :, 1:]
    return rows


class GruCell(nn.Module):
    """The gates of ``nn.GRU`` written out for a single frame, so that quantisation reaches their weights."""

    def __init__(self, gru: nn.GRU):
        super().__init__()
        self.of_input = nn.Linear(gru.input_size, 3 * gru.hidden_size)
        self.of_state = nn.Linear(gru.hidden_size, 3 * gru.hidden_size)
        self.of_input.load_state_dict({"weight": gru.weight_ih_l0, "bias": gru.bias_ih_l0})
        self.of_state.load_state_dict({"weight": gru.weight_hh_l0, "bias": gru.bias_hh_l0})
        self.size = gru.hidden_size

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """``x`` (1, input), ``state`` (1, hidden) -> the next state, which is the output too."""
        gates, candidate = self.of_input(x).split([2 * self.size, self.size], dim=1)
        past_gates, past_candidate = self.of_state(state).split([2 * self.size, self.size], dim=1)
        reset, update = torch.sigmoid(gates + past_gates).split([self.size, self.size], dim=1)
        candidate = torch.tanh(candidate + reset * past_candidate)
        return candidate + update * (state - candidate)


class FrameMask(nn.Module):
    """``ComplexConvolvingMask`` for one frame: products and a sum in place of its second convolution.

    With a tap a + bi and a neighbour x + yi, the convolution lays out x and -y for the real, y and x for the
    imaginary part of the product; the taps are laid out a, b.
    """

    neighbours: Tensor

    def __init__(self, mask: ComplexConvolvingMask):
        super().__init__()
        signs = mask.sums.sum(0).reshape(-1, 1, 1, 1)
        self.register_buffer("neighbours", mask.neighbours * signs)

    def forward(self, taps: Tensor, spectrum: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        history = torch.cat([past, spectrum], dim=2)
        neighbours = F.conv2d(history, self.neighbours, padding=(0, 1)).reshape(1, 2, 2 * MASK_TAPS, BINS)
        products = neighbours * taps.reshape(1, 1, 2 * MASK_TAPS, BINS)
        return products.sum(2, keepdim=True), history[:, :, 1:]


class StepGraph(nn.Module):
    """``network`` folded for inference: batch norms into convolutions, the mask's basis into the last
    convolution.

    Call: ``(spectrum, profile, *states) -> (enhanced, embedding, *next_states)``, with a far end
    ``(spectrum, far, profile, *states)``; shapes as in the model's contract: spectrum, far and enhanced
    (1, 2, 1, BINS), profile and embedding (1, embedding), states as ``state_shapes`` says.
    """

    @torch.no_grad()
    def __init__(self, network: Network):
        super().__init__()
        self.state_shapes = network.state_shapes()
        self.network = _fold(network)
        self.of_latent, self.of_speaker = _split_fusion(network)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        past = dict(zip(self.input_names, inputs, strict=True))
        following: States = {}
        net = self.network
        spectrum, profile = past["spectrum"], past["profile"]
        x, skips = compress(spectrum), []
        for encoder in (net.mic1, net.mic2, net.joint1, net.joint2):
            if encoder is net.joint1 and "far" in past:
                far = net.far2(net.far1(compress(past["far"]), past, following), past, following)
                x = torch.cat([x, net.align(x, far, past, following)], dim=1)
            x = encoder(x, past, following)
            skips.append(x)
        fusion, skips = self._condition(net.condition(profile), skips)
        x = net.fuse_norm(F.elu(self.of_latent(net.latent_norm(x.flatten(1))) + fusion))
        following["gru1"] = x = net.gru1(x, past["gru1"])
        following["gru2"] = x = net.gru2(x, past["gru2"])
        embedding = net.embedding_norm(x)
        x = net.temporal_out(embedding).reshape(1, -1, 1, BINS // 16)
        for decoder in (net.decoder1, net.decoder2, net.decoder3, net.decoder4):
            x = decoder(x, skips.pop(), past, following)
        enhanced, following["spectrum_past"] = net.mask(x, spectrum, past["spectrum_past"])
        return enhanced, embedding, *(following[name] for name in self.state_shapes)

    def _condition(self, speaker: Tensor, skips: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The speaker's share of the fusion, (1, latent), and the skip connections scaled and shifted."""
        constants = self.of_speaker(speaker)
        if not self.network.config.modulated_skips:
            return constants, skips
        channels = [skip.shape[1] for skip in skips]
        parts = constants.reshape(1, -1, 1, 1).split(
            [self.of_latent.out_features, *channels, *channels], dim=1
        )
        scales, shifts = parts[1 : 1 + len(skips)], parts[1 + len(skips) :]
        modulated = [skip * scale + shift for skip, scale, shift in zip(skips, scales, shifts, strict=True)]
        return parts[0].flatten(1), modulated

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in the order of the call."""
        far = [] if self.network.config.far_channels is None else ["far"]
        return ["spectrum", *far, "profile", *self.state_shapes]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in the order of the call."""
        return ["enhanced", "embedding", *(f"{name}_next" for name in self.state_shapes)]

    def example_inputs(self) -> tuple[Tensor, ...]:
        """A frame of zeros, no profile, the state before the first frame."""
        frame, profile = (1, 2, 1, BINS), (1, self.network.config.taken_size)
        shapes = {"spectrum": frame, "far": frame, "profile": profile, **self.state_shapes}
        return tuple(torch.zeros(shapes[name]) for name in self.input_names)


def _split_fusion(network: Network) -> tuple[nn.Linear, nn.Linear]:
    """``fuse`` as two layers, of the latent and of the speaker vector; the second one gives the modulation
    too.

    W [f; s] + b = W_f f + (W_s s + b), and all that depends on the speaker is one product.
    """
    latent = network.config.latent_size
    of_latent = nn.Linear(latent, latent, bias=False)
    of_latent.load_state_dict({"weight": network.fuse.weight[:, :latent]})
    weights: list[Tensor] = [network.fuse.weight[:, latent:]]
    biases: list[Tensor] = [network.fuse.bias]
    if network.config.modulated_skips:
        weights.append(network.modulation.weight)
        biases.append(network.modulation.bias)
    of_speaker = nn.Linear(latent, sum(map(len, weights)))
    of_speaker.load_state_dict({"weight": torch.cat(weights), "bias": torch.cat(biases)})
    return of_latent, of_speaker


@torch.no_grad()
def _fold(network: Network) -> Network:
    folded: Any = copy.deepcopy(network).eval()
    _fold_basis(folded.decoder4.expand.conv)
    folded.to_taps = nn.Identity()
    for module in list(folded.modules()):
        if type(module) in FOLDS:
            FOLDS[type(module)](module)
    folded.gru1, folded.gru2 = GruCell(folded.gru1), GruCell(folded.gru2)
    folded.mask = FrameMask(folded.mask)
    if folded.config.far_channels is not None:
        folded.align = FrameAlign(folded.align)
    return folded


# These functions put layers of another class in place of the network's, which their types do not allow for.


def _fold_encoder(block: Any) -> None:
    block.conv.conv, block.norm = fuse_conv_bn_eval(block.conv.conv, block.norm), nn.Identity()
    block.conv = FrameConv(block.conv)


def _fold_residual(block: Any) -> None:
    block.enter, block.enter_norm = fuse_conv_bn_eval(block.enter, block.enter_norm), nn.Identity()
    block.middle.conv = fuse_conv_bn_eval(block.middle.conv, block.middle_norm)
    block.middle, block.middle_norm = FrameConv(block.middle), nn.Identity()
    block.leave, block.leave_norm = fuse_conv_bn_eval(block.leave, block.leave_norm), nn.Identity()


def _fold_decoder(block: Any) -> None:
    if block.norm is not None:
        # The norm comes after the sub-pixel shuffle, so both halves of the convolution share its channels.
        block.expand.conv.conv = fuse_conv_bn_eval(block.expand.conv.conv, _doubled(block.norm))
        block.norm = nn.Identity()
    block.expand = FrameSubPixelConv(block.expand)


FOLDS: dict[type[nn.Module], Callable[[Any], None]] = {
    EncoderBlock: _fold_encoder,
    InvertedResidual: _fold_residual,
    DecoderBlock: _fold_decoder,
}


def _doubled(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    twice = nn.BatchNorm2d(2 * norm.num_features, eps=norm.eps).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(twice, name).copy_(getattr(norm, name).repeat(2))
    return twice


def _fold_basis(last: Any) -> None:
    """27 basis channels become the 18 numbers of 9 complex taps inside the last convolution: less work."""
    conv = last.conv
    even_odd = conv.weight.unflatten(0, (2, -1))  # (half, channel, in, frame, bin)
    roots = CubeRoots()
    weight = roots(even_odd.flatten(2)[..., None])[..., 0].unflatten(2, conv.weight.shape[1:])
    bias = roots(conv.bias.unflatten(0, (2, -1))[..., None, None])[..., 0, 0]
    last.conv = nn.Conv2d(conv.in_channels, 2 * weight.shape[1], conv.kernel_size, conv.stride, conv.padding)
    last.conv.load_state_dict({"weight": weight.flatten(0, 1), "bias": bias.flatten()})
