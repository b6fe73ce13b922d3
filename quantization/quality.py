"""How far a model's output is from another's, on real speech and with the state carried along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import embed
from edge_pse.model import Model
from edge_pse.profiles import Profile, Recording
from quantization.calibration import CHECK, Samples, mixtures


@dataclass(frozen=True)
class Drift:
    """Of an int8 model from its fp32 model."""

    snr_db: float
    """The fp32 output against the difference, both given the fp32 profiles, over all mixtures."""
    median_snr_db: float
    """The same of each mixture for itself, their median: one mixture, on which the network itself does little, can
    outweigh the others."""
    cosine: float
    """Between the profiles that the two make of the same recording; the worst of all recordings. 1 for models that take
    the profiles of another one."""

    def __str__(self) -> str:
        return (
            f"output SNR {self.snr_db:.1f} dB (median of the mixtures {self.median_snr_db:.1f}), "
            f"profiles' cosine {self.cosine:.5f} against fp32"
        )


def measure_drift(reference: Model, other: Model) -> Drift:
    """Run both over the mixtures of ``CHECK``."""
    wanted, got, cosines = [], [], [1.0]
    profile_network = reference.profile_network()
    for mixture in mixtures(CHECK):
        assert mixture.enrollment is not None
        profile = embed(mixture.enrollment, profile_network)
        if profile_network is reference:
            cosines.append(cosine(profile, embed(mixture.enrollment, other)))
        far_end = mixture.far_end if reference.contract.far_end else None
        wanted.append(enhance(reference, mixture.noisy, profile, far_end))
        got.append(enhance(other, mixture.noisy, profile, far_end))
    median_snr_db = float(np.median([snr_db(w, g) for w, g in zip(wanted, got, strict=True)]))
    return Drift(snr_db(np.concatenate(wanted), np.concatenate(got)), median_snr_db, min(cosines))


def enhance(
    model: Model, noisy: Samples, embedding: Samples | None, far_end: Samples | None = None
) -> Samples:
    """``noisy`` as a device enhances it with that profile (None: without one), aligned with the input."""
    profile = None
    if embedding is not None:
        recording = Recording(embedding, half_band=embedding, speech_seconds=0.0, snr_db=0.0)
        profile = Profile("check", model.contract.profiles_of, (recording,))
    return Enhancer(model, profile).enhance(noisy, model.contract.sample_rate_hz, far_end)


def snr_db(wanted: NDArray[np.floating], got: NDArray[np.floating]) -> float:
    """Power of ``wanted`` over that of the difference; inf if there is none."""
    error = np.sum(np.square(np.subtract(wanted, got, dtype=np.float64)))
    if error == 0:
        return float("inf")
    return float(10 * np.log10(np.sum(np.square(wanted, dtype=np.float64)) / error))


def cosine(a: Samples, b: Samples) -> float:
    """Of the angle between two embeddings."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
