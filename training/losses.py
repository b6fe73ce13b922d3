"""What a trained network is asked to minimise. Spectra (batch, 2, frame, bin), signals (batch, sample)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.network import compress


def compressed_mse(
    enhanced: Tensor, target: Tensor, magnitude_share: float = 0.7, over_suppression: float = 0.3
) -> Tensor:
    """Complex compressed mean squared error with exponent 0.3 (Braun and Tashev, arXiv 2009.12286): (batch,).

    ``over_suppression`` weighs an extra term on magnitude that is missing (Eskimez et al., arXiv 2110.09625).
    """
    enhanced, target = compress(enhanced), compress(target)
    magnitude = enhanced.square().sum(1).add(1e-12).sqrt()
    wanted = target.square().sum(1).add(1e-12).sqrt()
    difference = magnitude - wanted
    error = magnitude_share * difference.square() + over_suppression * F.relu(-difference).square()
    error = error + (1 - magnitude_share) * (enhanced - target).square().sum(1)
    return error.mean((1, 2))


def negative_snr_db(output: Tensor, target: Tensor) -> Tensor:
    """Minus the signal-to-noise ratio in dB, held at 30 dB from below the noise: (batch,)."""
    error = (output - target).square().sum(1) / (target.square().sum(1) + 1e-4)
    return 10 * torch.log10(error + 1e-3)


def residual_db(output: Tensor, mixture: Tensor) -> Tensor:
    """For absent targets: what is left of the mixture, in dB, held at -40 dB: (batch,)."""
    return 10 * torch.log10(output.square().sum(1) / (mixture.square().sum(1) + 1e-4) + 1e-4)


def supervised_contrastive(embeddings: Tensor, voices: Tensor, temperature: float = 0.1) -> Tensor:
    """Clips of one voice together, of others apart (Khosla et al., arXiv 2004.11362): a scalar.

    Embeddings are compared by cosine, after removing their mean: what all voices share says nothing.
    """
    unit = F.normalize(embeddings - embeddings.mean(0, keepdim=True), dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    log_share = similarity.masked_fill(itself, float("-inf")).log_softmax(1)
    same = (voices[:, None] == voices[None, :]) & ~itself
    return -(log_share.masked_fill(~same, 0).sum(1) / same.sum(1).clamp_min(1)).mean()
