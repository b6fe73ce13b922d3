"""What a trained network is asked to minimise. Spectra (batch, 2, frame, bin), signals (batch, sample)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.network import compress

_BLOCK_FRAMES, _BAND_BINS = 20, 10
_ALONE = 0.25  # of a voice's power in a band: the most that all else may have there
_FAINTEST_BAND = 1e-5  # of the power of the loudest; below it a recording's own noise is more than the voice


@dataclass(frozen=True)
class LossWeights:
    """How much each part of a step's loss counts."""

    spectral: float = 3.0  # of the compressed spectral distance
    ratio: float = 1.0  # of the signal-to-noise ratio, in dB
    disturbance: float = 0.0  # of how disturbed the output sounds, in points of opinion: training.loudness
    over_suppression: float = 0.3  # within that distance, of what is missing
    faded_bands: float = 0.0  # of the dB that bands of a voice, where it is alone, fade more than all of it
    scale_invariance: float = 0.0  # share of that ratio that does not care for the level
    absent: float = 0.1  # of the residual in dB, where the target is absent
    identification: float = 0.0  # of telling whose voice an enrollment is
    delay: float = 0.0  # of where the echo is looked for: the simulation knows where it is
    distillation: float = 0.0  # of the spectral distance from a larger network's outputs
    teacher: float = 0.0  # of the embeddings' distance from the teacher's vectors


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


def faded_bands_db(enhanced: Tensor, target: Tensor, mixture: Tensor) -> Tensor:
    """How many dB more the bands of the wanted voice fade than all of it, where little else is heard in them: (batch,).

    The mean over bands of 500 Hz in blocks of 0.2 s, at most 20 dB each; 0 where the voice is nowhere alone. Other
    losses say little of the highest bands: they hold little of the power, and an ear hears them least. What the whole
    voice loses is left to those: a network must be free to be silent where it is in doubt.
    """
    wanted, other, left = (_band_power(x) for x in (target, mixture - target, enhanced))
    alone = (other < _ALONE * wanted) & (wanted > _FAINTEST_BAND * wanted.amax((1, 2), keepdim=True))
    wanted = wanted.clamp_min(1e-12)
    kept = (left.sum(2, keepdim=True) / wanted.sum(2, keepdim=True)).detach().clamp(1e-4, 1)
    faded = F.relu(-10 * torch.log10(left / (kept * wanted) + 0.01))
    return torch.where(alone, faded, 0).sum((1, 2)) / alone.sum((1, 2)).clamp_min(1)


def _band_power(spectrum: Tensor) -> Tensor:
    """(batch, 2, frame, bin) -> (batch, block, band)."""
    blocks = spectrum[:, :, : spectrum.shape[2] // _BLOCK_FRAMES * _BLOCK_FRAMES]
    return blocks.unflatten(2, (-1, _BLOCK_FRAMES)).unflatten(4, (-1, _BAND_BINS)).square().sum((1, 3, 5))


def negative_snr_db(output: Tensor, target: Tensor) -> Tensor:
    """Minus the signal-to-noise ratio in dB, held at 30 dB from below the noise: (batch,)."""
    error = (output - target).square().sum(1) / (target.square().sum(1) + 1e-4)
    return 10 * torch.log10(error + 1e-3)


def negative_si_sdr_db(output: Tensor, target: Tensor) -> Tensor:
    """Minus the scale-invariant signal-to-distortion ratio in dB (Le Roux et al., arXiv 1811.02508), held at 30 dB and
    -20 dB: (batch,).

    Silence costs nothing in the ratio above, so that a network in doubt about who is wanted rather says nothing; here
    it must keep what there is of the target.
    """
    energies = (output.square().sum(1) + 1e-4) * (target.square().sum(1) + 1e-4)
    alike = (output * target).sum(1).square() / energies  # 0..1
    return 10 * torch.log10((1 - alike + 1e-3) / (alike + 1e-2))


def residual_db(output: Tensor, mixture: Tensor) -> Tensor:
    """For absent targets: what is left of the mixture, in dB, held at -40 dB: (batch,)."""
    return 10 * torch.log10(output.square().sum(1) / (mixture.square().sum(1) + 1e-4) + 1e-4)


def delay_entropy(weights: Tensor, delay_hops: Tensor) -> Tensor:
    """Cross entropy between weights of delays (mixture, frame, delay in hops) and the delays that there are (mixture,
    frame), NaN where nothing is to be found: a scalar. A delay between two hops is shared by both.
    """
    known = delay_hops < weights.shape[2] - 1
    delay_hops = torch.where(known, delay_hops, 0)
    whole = delay_hops.floor()
    later_share = delay_hops - whole
    logarithms = weights.clamp_min(1e-5).log()
    sooner, later = (logarithms.gather(2, whole[..., None].long() + hop)[..., 0] for hop in (0, 1))
    entropies = -((1 - later_share) * sooner + later_share * later)
    return torch.where(known, entropies, 0).sum() / known.sum().clamp_min(1)


def identification(
    embeddings: Tensor, voices: Tensor, remembered: Tensor, margin: float = 0.1, temperature: float = 0.1
) -> Tensor:
    """How hard it is to tell whose voice each embedding is among all that are remembered: a scalar.

    ``remembered`` (voice, size) is what the network made of each voice of the corpus lately, NaN where it has not yet.
    Cosine softmax with an additive margin on the right voice (CosFace, arXiv 1801.09414), with remembered embeddings in
    place of learnt class vectors; what all voices share is removed first, since it says nothing.
    """
    # Shapes do not depend on what is known: a GPU would have to be waited for.
    known = ~remembered[:, 0].isnan()
    remembered = torch.where(known[:, None], remembered, 0)
    mean = remembered.sum(0) / known.sum().clamp_min(1)
    similarity = F.normalize(embeddings - mean, dim=1) @ F.normalize(remembered - mean, dim=1).T
    right = F.one_hot(voices, len(remembered)).bool()
    similarity = (similarity - margin * right).masked_fill(~(known | right), -torch.inf)
    losses = F.cross_entropy(similarity / temperature, voices, reduction="none")
    return torch.where(known[voices], losses, 0).sum() / known[voices].sum().clamp_min(1)
