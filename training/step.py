"""One training step: enrollments and mixtures through one network, gradient through both.

A network that takes the profiles of another one (``profiles_of``) hears the mixtures only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from training.losses import (
    compressed_mse,
    delay_entropy,
    identification,
    negative_si_sdr_db,
    negative_snr_db,
    residual_db,
)
from training.network import Encoded, Network
from training.placing import place
from training.simulation.scenes import NO_PROFILE, SceneBatch
from training.spectral import analyse, synthesise

REFERENCE_LEVEL = 0.05  # losses are taken on signals scaled so that the mixture has this root mean square


class Enroller(Protocol):
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
class Guidance:
    """How this step's losses are weighed, and what stands beside them; the teacher is for training only."""

    spectral_weight: float = 3.0  # of the compressed spectral distance; the signal-to-noise ratio in dB has 1
    over_suppression: float = 0.3  # within that distance, of what is missing
    scale_invariance: float = 0.0  # share of that ratio that does not care for the level
    identification_weight: float = 0.0
    remembered: Tensor | None = None  # (voice, embedding): what the network made of each voice lately
    teacher_weight: float = 0.0
    teacher: Tensor | None = (
        None  # (enrollment, embedding): the vector from outside for each enrollment's voice
    )
    given: Tensor | None = None  # (output,) bool: conditioned on the teacher's vector in place of its own
    delay_weight: float = 0.0  # of where the echo is looked for: the simulation knows where it is
    absent_weight: float = 0.1  # of the residual in dB, where the target is absent
    example: Network | None = None  # a larger network whose outputs this one is to come near to
    example_weight: float = 0.0


def encode(
    network: Network, enroller: Enroller | None, spectrum: Tensor, far: Tensor | None, enrollment: Tensor
) -> tuple[Encoded, Tensor]:
    """The encoded mixtures, and the embeddings of the enrollments: (enrollment, embedding)."""
    if enroller is not None:
        with torch.no_grad():
            embeddings = enroller.embed(enrollment)
        return network.encode(spectrum, far), embeddings.float()
    frames = spectrum.shape[2]
    repeats = enrollment.shape[2] // frames
    # Enrollments are cut into clips for the encoder, which sees few frames at a time anyway: one pass, and so one set
    # of batch-norm statistics, serves enrollments and mixtures.
    segments = enrollment.unflatten(2, (repeats, frames)).transpose(1, 2).flatten(0, 1)
    if far is not None:
        far = torch.cat([far, far.new_zeros(segments.shape)])  # nobody enrolls in a call
    encoded = network.encode(torch.cat([spectrum, segments]), far)
    mixtures = len(spectrum)
    latent = encoded.latent[mixtures:].unflatten(0, (len(enrollment), repeats)).flatten(1, 2)
    nobody = latent.new_zeros(len(enrollment), network.config.taken_size)
    # Where nothing that makes profiles learns, what else does must not cost a way back through all enrollments.
    with torch.set_grad_enabled(torch.is_grad_enabled() and network.profiles_learn()):
        embeddings = network.temporal(latent, network.condition(nobody)).float().mean(1)
    skips = [skip[:mixtures] for skip in encoded.skips]
    delays = None if encoded.delays is None else encoded.delays[:mixtures]
    return Encoded(encoded.latent[:mixtures], skips, delays), embeddings


def forward(
    network: Network, batch: SceneBatch, guidance: Guidance, enroller: Enroller | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Enhanced spectra of all outputs (output, 2, frame, bin), embeddings of all enrollments, and, of a network with a
    far end, the weights of all delays (mixture, frame, delay).
    """
    device = batch.mixtures.device
    spectrum = analyse(batch.mixtures)
    far = None if batch.far_ends is None else analyse(batch.far_ends)
    encoded, embeddings = encode(network, enroller, spectrum, far, analyse(batch.enrollments))
    which = place(batch.output_profile, device)
    if guidance.given is not None and guidance.teacher is not None:
        own, given = embeddings[which], guidance.teacher[which]
        profiles = torch.where(guidance.given[:, None], given, own)
    else:
        profiles = embeddings[which]
    profiles = torch.where((which == NO_PROFILE)[:, None], torch.zeros_like(profiles), profiles)
    index = place(batch.output_mixture, device)
    mixed = encoded.repeat(index)
    speaker = network.condition(profiles)
    temporal = network.temporal(mixed.latent, speaker)
    return network.decode(temporal, mixed.skips, speaker, spectrum[index]), embeddings, encoded.delays


def compute_loss(
    network: Network, batch: SceneBatch, guidance: Guidance, bfloat16: bool, enroller: Enroller | None = None
) -> StepLoss:
    """Run the step forward and weigh its losses; ``bfloat16`` autocasts the network, never the losses.

    ``enroller``: makes the profiles in the network's place, and does not learn.
    """
    device_type = batch.mixtures.device.type
    with torch.autocast(device_type, torch.bfloat16, enabled=bfloat16):
        enhanced, embeddings, delays = forward(network, batch, guidance, enroller)
    index = place(batch.output_mixture, batch.mixtures.device)
    scale = REFERENCE_LEVEL / batch.mixtures.square().mean(1).sqrt().clamp_min(1e-5)[index]
    enhanced = enhanced.float() * scale[:, None, None, None]
    targets, mixtures = batch.targets * scale[:, None], batch.mixtures[index] * scale[:, None]
    output = synthesise(enhanced)
    present = targets.square().mean(1) > 1e-8
    spectral = compressed_mse(enhanced, analyse(targets), over_suppression=guidance.over_suppression).mean()
    wanted = negative_snr_db(output, targets)
    if guidance.scale_invariance:
        wanted = torch.lerp(wanted, negative_si_sdr_db(output, targets), guidance.scale_invariance)
    time = torch.where(present, wanted, guidance.absent_weight * residual_db(output, mixtures)).mean()
    total = guidance.spectral_weight * spectral + time
    parts = {"spectral": spectral, "time": time}
    if guidance.identification_weight and guidance.remembered is not None:
        voices = place(batch.enrollment_voices, embeddings.device)
        parts["identification"] = identification(embeddings, voices, guidance.remembered)
        total = total + guidance.identification_weight * parts["identification"]
    if guidance.delay_weight and delays is not None and batch.delay_hops is not None:
        parts["delay"] = delay_entropy(delays.float(), batch.delay_hops)
        total = total + guidance.delay_weight * parts["delay"]
    if guidance.example_weight and guidance.example is not None:
        with torch.no_grad(), torch.autocast(device_type, torch.bfloat16, enabled=bfloat16):
            example, _, _ = forward(guidance.example, batch, Guidance(), enroller)
        parts["example"] = compressed_mse(enhanced, example.float() * scale[:, None, None, None]).mean()
        total = total + guidance.example_weight * parts["example"]
    if guidance.teacher_weight and guidance.teacher is not None:
        parts["teacher"] = F.mse_loss(embeddings, guidance.teacher) / guidance.teacher.square().mean()
        total = total + guidance.teacher_weight * parts["teacher"]
    return StepLoss(total, {name: value.detach() for name, value in parts.items()}, embeddings.detach())
