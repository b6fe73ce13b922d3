"""Proof that an exported file, run frame by frame, gives what the trained network gives for a whole clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from edge_pse.model import Model
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ, Network
from training.spectral import analyse, synthesise

MINIMUM_FRAMES = 1000
TOLERANCE = 1e-5
FAR_END_EARLIER_SAMPLES = 1600
Samples = NDArray[np.float32]
REAL_SPEECH = (
    Path(__file__).parents[1] / "tests/fixtures/ls367_enrollment.opus",
    Path(__file__).parents[1] / "tests/fixtures/ls2033_enrollment.opus",
)


@dataclass(frozen=True)
class Parity:
    """Largest differences over ``frames`` frames: of samples (full scale 1) and, relative, of embeddings."""

    frames: int
    samples: float
    embedding: float

    def holds(self) -> bool:
        """Whether the file may be written."""
        return self.frames >= MINIMUM_FRAMES and max(self.samples, self.embedding) <= TOLERANCE

    def __str__(self) -> str:
        return (
            f"{self.frames} frames, samples differ by {self.samples:.1e}, embeddings by {self.embedding:.1e}"
        )


@torch.no_grad()
def measure_parity(
    network: Network, model: Model | Path, recordings: tuple[Samples, Samples] | None = None
) -> Parity:
    """Enroll the first recording's voice, then enhance both recordings on top of one another with that profile;
    a far end says what the other one does, a little earlier.

    ``model``: the exported file, or one that is open. ``recordings``: real speech, (sample,) each at 16 kHz; without
    any those of the tests are taken.
    """
    speech = recordings or tuple(map(_read, REAL_SPEECH))
    enrollment, other = (samples[: len(samples) // HOP_SAMPLES * HOP_SAMPLES] for samples in speech)
    length = min(len(enrollment), len(other))
    mixture = np.tile(
        0.5 * (enrollment[:length] + other[:length]), -(-(MINIMUM_FRAMES + 1) * HOP_SAMPLES // length)
    )
    spectrum = analyse(torch.from_numpy(mixture)[None])
    # A network that takes the profiles of another one may want more floats than it makes: any will do for the proof.
    made = network.embed(analyse(torch.from_numpy(enrollment)[None]))
    profile = torch.from_numpy(np.resize(made.numpy(), (1, network.config.taken_size)))
    far = None
    if network.config.far_channels is not None:
        loopback = np.resize(other[FAR_END_EARLIER_SAMPLES:], len(mixture))
        far = analyse(torch.from_numpy(loopback)[None])
    wanted, wanted_embedding, _ = network(spectrum, profile, far=far)

    model = Model.of(model)
    states = model.contract.initial_states()
    frames, embeddings = [], []
    for t in range(spectrum.shape[2]):
        far_frame = None if far is None else _frame(far, t)
        enhanced, embedding, states = model.backend.step(
            _frame(spectrum, t), profile.numpy(), states, far_frame
        )
        frames.append(np.array(enhanced))
        embeddings.append(np.array(embedding[0]))
    got = synthesise(torch.from_numpy(np.concatenate(frames, axis=2)))
    scale = float(wanted_embedding.abs().max())
    return Parity(
        frames=len(frames),
        samples=float((got - synthesise(wanted)).abs().max()),
        embedding=float((torch.from_numpy(np.stack(embeddings)) - wanted_embedding[0]).abs().max()) / scale,
    )


def _frame(spectrum: torch.Tensor, t: int) -> np.ndarray:
    return np.ascontiguousarray(spectrum[:, :, t : t + 1].numpy())


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise ValueError(f"{path} is not mono at {SAMPLE_RATE_HZ} Hz: restore tests/fixtures.")
    return samples
