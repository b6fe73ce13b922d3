"""One training step: enrollments and mixtures through one network, gradient through both.

A network that takes the profiles of another one (``profiles_of``) hears the mixtures only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from training.device import to_device
from training.losses import (
    LossWeights,
    compressed_mse,
    delay_entropy,
    faded_bands_db,
    identification,
    negative_si_sdr_db,
    negative_snr_db,
    residual_db,
)
from training.loudness import disturbance
from training.network import Encoded, Network
from training.simulation.scenes import NO_PROFILE, SceneBatch
from training.spectral import analyse, synthesise

REFERENCE_LEVEL = 0.05  # losses are taken on signals scaled so that the mixture has this root mean square


class ProfileNetwork(Protocol):
    """What makes profiles of enrollments."""

    def embed(self, spectrum: Tensor) -> Tensor:
        """(enrollment, 2, frame, bin) -> (enrollment, size)."""


@dataclass
class StepLoss:
    """The scalar to minimise, its parts for the log, and the enrollments' embeddings (these two detached)."""

    total: Tensor
    parts: dict[str, Tensor]
    embeddings: Tensor


@dataclass(frozen=True)
class Supervision:
    """What a step's losses compare with beside the scenes' own targets; None: that part of the loss is left out."""

    voice_embeddings: Tensor | None = None
    """(voice, embedding): what the network made of each voice of the corpus lately, NaN where it has not heard it."""
    teacher_vectors: Tensor | None = None
    """(enrollment, embedding): the teacher's, of each enrollment's voice."""
    teacher_forced: Tensor | None = None
    """(output,) bool: conditioned on the teacher's vector in place of the network's own embedding."""
    distilled_network: Network | None = None
    """A larger network, whose outputs this one's are to come near to."""


_SCENES_ALONE = Supervision()


def encode(
    network: Network,
    profile_network: ProfileNetwork | None,
    spectrum: Tensor,
    far: Tensor | None,
    enrollment: Tensor,
) -> tuple[Encoded, Tensor]:
    """The encoded mixtures, and the embeddings of the enrollments: (enrollment, embedding)."""
    if profile_network is not None:
        with torch.no_grad():
            embeddings = profile_network.embed(enrollment)
        return network.encode(spectrum, far), embeddings.float()
    frames = spectrum.shape[2]
    repeats = enrollment.shape[2] // frames
    # Enrollments are cut into clips for the encoder, which sees few frames at a time anyway: one pass, and so one set
    # of batch-norm statistics, serves enrollments and mixtures.
    segments = enrollment.unflatten(2, (repeats, frames)).transpose(1, 2).flatten(0, 1)
    if far is not None:
        far = torch.cat([far, far.new_zeros(segments.shape)])  # no enrollment comes from a call
    encoded = network.encode(torch.cat([spectrum, segments]), far)
    mixtures = len(spectrum)
    latent = encoded.latent[mixtures:].unflatten(0, (len(enrollment), repeats)).flatten(1, 2)
    no_profile = latent.new_zeros(len(enrollment), network.config.taken_size)
    # Where nothing that makes profiles learns, what else does must not cost a way back through all enrollments.
    with torch.set_grad_enabled(torch.is_grad_enabled() and network.profiles_learn()):
        embeddings = network.temporal(latent, network.condition(no_profile)).float().mean(1)
    skips = [skip[:mixtures] for skip in encoded.skips]
    delays = None if encoded.delays is None else encoded.delays[:mixtures]
    return Encoded(encoded.latent[:mixtures], skips, delays), embeddings


def forward(
    network: Network,
    batch: SceneBatch,
    supervision: Supervision,
    profile_network: ProfileNetwork | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Enhanced spectra of all outputs (output, 2, frame, bin), embeddings of all enrollments, and, of a network with a
    far end, the weights of all delays (mixture, frame, delay).
    """
    device = batch.mixtures.device
    spectrum = analyse(batch.mixtures)
    far = None if batch.far_ends is None else analyse(batch.far_ends)
    encoded, embeddings = encode(network, profile_network, spectrum, far, analyse(batch.enrollments))
    which = to_device(batch.output_profile, device)
    profiles = embeddings[which]
    if supervision.teacher_forced is not None and supervision.teacher_vectors is not None:
        forced = supervision.teacher_forced[:, None]
        profiles = torch.where(forced, supervision.teacher_vectors[which], profiles)
    profiles = torch.where((which == NO_PROFILE)[:, None], torch.zeros_like(profiles), profiles)
    index = to_device(batch.output_mixture, device)
    mixed = encoded.repeat(index)
    speaker = network.condition(profiles)
    temporal = network.temporal(mixed.latent, speaker)
    return network.decode(temporal, mixed.skips, speaker, spectrum[index]), embeddings, encoded.delays


def compute_loss(
    network: Network, batch: SceneBatch, weights: LossWeights, bfloat16: bool,
    supervision: Supervision = _SCENES_ALONE, profile_network: ProfileNetwork | None = None,
) -> StepLoss:  # fmt: skip
    """Run the step forward and weigh its losses; ``bfloat16`` autocasts the network, never the losses.

    ``profile_network``: makes the profiles in the network's place, and does not learn.
    """
    device_type = batch.mixtures.device.type
    with torch.autocast(device_type, torch.bfloat16, enabled=bfloat16):
        enhanced, embeddings, delays = forward(network, batch, supervision, profile_network)
    mixtures = batch.mixtures[to_device(batch.output_mixture, batch.mixtures.device)]
    of_outputs, parts_of_outputs = output_losses(enhanced, mixtures, batch.targets, weights)
    total, parts = of_outputs.mean(), {name: values.mean() for name, values in parts_of_outputs.items()}
    if weights.identification and supervision.voice_embeddings is not None:
        voices = to_device(batch.enrollment_voices, embeddings.device)
        parts["identification"] = identification(embeddings, voices, supervision.voice_embeddings)
        total = total + weights.identification * parts["identification"]
    if weights.delay and delays is not None and batch.delay_hops is not None:
        parts["delay"] = delay_entropy(delays.float(), batch.delay_hops)
        total = total + weights.delay * parts["delay"]
    if weights.distillation and supervision.distilled_network is not None:
        with torch.no_grad(), torch.autocast(device_type, torch.bfloat16, enabled=bfloat16):
            distilled, _, _ = forward(supervision.distilled_network, batch, _SCENES_ALONE, profile_network)
        scale = _to_reference_level(mixtures)[..., None, None]
        parts["distillation"] = compressed_mse(scale * enhanced.float(), scale * distilled.float()).mean()
        total = total + weights.distillation * parts["distillation"]
    if weights.teacher and supervision.teacher_vectors is not None:
        vectors = supervision.teacher_vectors
        parts["teacher"] = F.mse_loss(embeddings, vectors) / vectors.square().mean()
        total = total + weights.teacher * parts["teacher"]
    return StepLoss(total, {name: value.detach() for name, value in parts.items()}, embeddings.detach())


def output_losses(
    enhanced: Tensor, mixtures: Tensor, targets: Tensor, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """What the scenes' targets say of each output: what to minimise, (output,), and its parts for the log, each alike.

    ``enhanced``: (output, 2, frame, bin); ``mixtures`` and ``targets`` of the outputs: (output, sample).
    """
    scale = _to_reference_level(mixtures)
    enhanced = enhanced.float() * scale[..., None, None]
    targets, mixtures = targets * scale, mixtures * scale
    output = synthesise(enhanced)
    present = targets.square().mean(1) > 1e-8
    spectra = analyse(targets)
    spectral = compressed_mse(enhanced, spectra, over_suppression=weights.over_suppression)
    wanted = negative_snr_db(output, targets)
    if weights.scale_invariance:
        wanted = torch.lerp(wanted, negative_si_sdr_db(output, targets), weights.scale_invariance)
    time = torch.where(present, weights.ratio * wanted, weights.absent * residual_db(output, mixtures))
    total, parts = weights.spectral * spectral + time, {"spectral": spectral, "time": time}
    if weights.disturbance:
        heard = torch.where(present, disturbance(output, targets), 0)
        total, parts = total + weights.disturbance * heard, parts | {"disturbance": heard}
    if weights.faded_bands:
        faded = faded_bands_db(enhanced, spectra, analyse(mixtures))
        total, parts = total + weights.faded_bands * faded, parts | {"faded_bands": faded}
    return total, parts


def _to_reference_level(mixtures: Tensor) -> Tensor:
    """(output, sample) -> (output, 1), by which each is to be multiplied."""
    return REFERENCE_LEVEL / mixtures.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)
