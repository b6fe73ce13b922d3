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


def delay_entropy(weights: Tensor, delay_hops: Tensor) -> Tensor:
    """Cross entropy between weights of delays (mixture, frame, delay in hops) and the delays that there are (mixture,
    frame), NaN where nothing is to be found: a scalar. A delay between two hops is shared by both.
    """
    known = delay_hops < weights.shape[2] - 1
    if not known.any():
        return weights.sum() * 0
    whole = delay_hops[known].floor()
    later_share = delay_hops[known] - whole
    logarithms = weights[known].clamp_min(1e-5).log()
    sooner, later = (logarithms.gather(1, whole[:, None].long() + hop)[:, 0] for hop in (0, 1))
    return -((1 - later_share) * sooner + later_share * later).mean()


def identification(
    embeddings: Tensor, voices: Tensor, remembered: Tensor, margin: float = 0.1, temperature: float = 0.1
) -> Tensor:
    """How hard it is to tell whose voice each embedding is among all that are remembered: a scalar.

    ``remembered`` (voice, size) is what the network made of each voice of the corpus lately, NaN where it has not yet.
    Cosine softmax with an additive margin on the right voice (CosFace, arXiv 1801.09414), with remembered embeddings in
    place of learnt class vectors; what all voices share is removed first, since it says nothing.
    """
    known = ~remembered[:, 0].isnan()
    rows = known[voices]
    if not rows.any():
        return embeddings.sum() * 0
    others = remembered[known]
    mean = others.mean(0)
    similarity = F.normalize(embeddings[rows] - mean, dim=1) @ F.normalize(others - mean, dim=1).T
    which = (known.cumsum(0) - 1)[voices[rows]]
    similarity = similarity - margin * F.one_hot(which, len(others))
    return F.cross_entropy(similarity / temperature, which)
