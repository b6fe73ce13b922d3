"""The decoder as a processor learns fastest: what ``Network.decode`` gives of whole clips, with the same gradients.

A processor waits for memory in the many passes over large feature maps between convolutions. Here what is linear is
made part of the weights: batch norms, whose statistics are fixed, scales and shifts of the skip connections, and the
combination of three cube roots, which also leaves a third fewer channels in the largest convolution of all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from training.network import (
    BINS,
    MASK_BINS,
    MASK_FRAMES,
    MASK_TAPS,
    DecoderBlock,
    InvertedResidual,
    Network,
)

Weights = tuple[Tensor, Tensor]
"""Of a convolution: its kernel, (output, input, frame, bin), and its bias, (output,)."""


def decode(
    network: Network, embedding: Tensor, skips: list[Tensor], speaker: Tensor, spectrum: Tensor
) -> Tensor:
    """As ``network.decode`` with no state, for a network whose skip connections are modulated and whose statistics of
    batch norms are fixed.
    """
    x = network.temporal_out(embedding)
    x = x.unflatten(2, (network.config.joint_channels[1], BINS // 16)).transpose(1, 2)
    constants = network.modulation(speaker).split(2 * network.skip_channels, dim=1)
    scales, shifts = constants[: len(skips)], constants[len(skips) :]
    for level, block in enumerate((network.decoder1, network.decoder2, network.decoder3), 1):
        x = _with_skip(block.skip, x, skips[-level], scales[-level], shifts[-level])
        if block.residual is not None:
            x = _residual(block.residual, x)
        assert block.norm is not None
        x = _interleaved(F.elu_(_causal(x, *_folded(block.expand.conv.conv, block.norm))))
    x = _with_skip(network.decoder4.skip, x, skips[0], scales[0], shifts[0])
    taps = _interleaved(_causal(x, *_tap_weights(network.decoder4, network.to_taps)))
    history = F.pad(spectrum, (MASK_BINS // 2, MASK_BINS // 2, MASK_FRAMES - 1, 0))
    return _TapSums.apply(taps, history)  # type: ignore[no-any-return, no-untyped-call]


def _with_skip(conv: nn.Conv2d, x: Tensor, skip: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``x`` and a skip connection through its 1x1 convolution, scaled and shifted before, (batch, channel) each."""
    assert conv.bias is not None
    kernel = conv.weight.flatten(1)
    bias = F.linear(shift, kernel, conv.bias)
    added = torch.baddbmm(bias[..., None], kernel * scale[:, None], skip.flatten(2))
    return added.view(x.shape).add_(x)


def _residual(block: InvertedResidual, x: Tensor) -> Tensor:
    y = F.elu_(F.conv2d(x, *_folded(block.enter, block.enter_norm)))
    y = F.elu_(_causal(y, *_folded(block.middle.conv, block.middle_norm)))
    return F.conv2d(y, *_folded(block.leave, block.leave_norm)).add_(x)


def _causal(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """The convolution of ``CausalConv``, after silence."""
    past_frames = kernel.shape[2] - 1
    if past_frames:
        x = torch.cat([x.new_zeros(*x.shape[:2], past_frames, x.shape[3]), x], dim=2)
    return F.conv2d(x, kernel, bias, padding=(0, 1))


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Weights:
    """A convolution with the norm after it; where it gives even and odd bins in two halves, of each half."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = norm.bias - norm.running_mean * scale
    halves = conv.out_channels // norm.num_features
    scale, shift = scale.repeat(halves), shift.repeat(halves)
    bias = shift if conv.bias is None else shift + conv.bias * scale
    return conv.weight * scale[:, None, None, None], bias


def _tap_weights(block: DecoderBlock, to_taps: nn.Module) -> Weights:
    """Of the last convolution, with the combination of cube roots after it."""
    conv = block.expand.conv.conv
    assert conv.bias is not None
    kernel, bias = (to_taps(x.unflatten(0, (2, -1))).flatten(0, 1) for x in (conv.weight, conv.bias))
    return kernel, bias


def _interleaved(x: Tensor) -> Tensor:
    """The two halves of the channels as even and odd bins."""
    return torch.stack(x.chunk(2, dim=1), dim=4).flatten(3)


class _TapSums(torch.autograd.Function):
    """The complex convolving mask, tap after tap: a tap and what it weighs fit into the processor's cache."""

    @staticmethod
    def forward(ctx: Any, taps: Tensor, history: Tensor) -> Tensor:
        """``taps``: (batch, 18, frame, bin), real parts first. ``history``: the noisy spectrum, with zeros around it.
        Returns the enhanced spectrum, (batch, 2, frame, bin).
        """
        ctx.save_for_backward(history)
        enhanced = torch.zeros_like(taps[:, :2])
        real, imaginary = enhanced.unbind(1)
        for tap_real, tap_imaginary, x, y in _tap_by_tap(taps, history):
            real.addcmul_(tap_real, x).addcmul_(tap_imaginary, y, value=-1)
            imaginary.addcmul_(tap_real, y).addcmul_(tap_imaginary, x)
        return enhanced

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Of the taps; the spectrum is given."""
        (history,) = ctx.saved_tensors
        real, imaginary = gradient.unbind(1)
        batch, _, frames, bins = gradient.shape
        of_taps = gradient.new_empty(batch, 2 * MASK_TAPS, frames, bins)
        for tap_real, tap_imaginary, x, y in _tap_by_tap(of_taps, history):
            torch.mul(real, x, out=tap_real).addcmul_(imaginary, y)
            torch.mul(imaginary, x, out=tap_imaginary).addcmul_(real, y, value=-1)
        return of_taps, None


def _tap_by_tap(taps: Tensor, history: Tensor) -> list[tuple[Tensor, ...]]:
    """Real and imaginary part of each tap, and of what it weighs, (batch, frame, bin) each."""
    frames, bins = taps.shape[2:]
    places = [(frame, bin) for frame in range(MASK_FRAMES) for bin in range(MASK_BINS)]
    neighbours = [history[:, :, frame : frame + frames, bin : bin + bins].unbind(1) for frame, bin in places]
    return [(taps[:, tap], taps[:, MASK_TAPS + tap], *neighbour) for tap, neighbour in enumerate(neighbours)]
