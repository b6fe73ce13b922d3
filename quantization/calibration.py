"""Real speech for calibration and for the short check: the recordings of the tests, mixed, run with their
state.

Zero states would be calibrated on silence: every input of a step, states included, is taken from where the
fp32 model really goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from edge_pse.backends import frames_of
from edge_pse.enrollment import embed
from edge_pse.model import Model
from edge_pse.spectral import Analysis

Samples = NDArray[np.float32]
RECORDINGS = Path(__file__).parents[1] / "tests/fixtures"
EVERY_NTH_FRAME = 16
ENROLLMENT_SECONDS = 6
ECHO_DELAY_MS = 80
SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True)
class Mixture:
    """A voice to keep, something over it, and a recording to know the voice by (None: no profile).

    For a model with a far end, what lies over the voice is an echo: ``far_end`` is what the loudspeaker was given.
    """

    voice: Samples
    noisy: Samples
    enrollment: Samples | None
    far_end: Samples


# voice, what lies over it, how far below it in dB, enrollment, level of the mixture
CALIBRATION = (
    ("ls2033_speech", "ls1688_speech", 2.0, "ls2033_enrollment", 1.0),
    ("ls3080_speech", "ls367_enrollment", 2.0, "ls3080_enrollment", 2.0),
    ("ls1688_enrollment", "helicopter", 2.0, None, 0.5),
    ("ls367_enrollment", "helicopter", 10.0, "ls367_speech", 0.2),
)
CHECK = (
    ("ls367_speech", "ls2033_speech", 0.0, "ls367_enrollment", 1.0),
    ("ls2033_speech", "ls367_speech", 3.0, "ls2033_enrollment", 1.0),
    ("ls1688_speech", "ls3080_speech", 0.0, "ls1688_enrollment", 1.0),
    ("ls3080_speech", "helicopter", 5.0, "ls3080_enrollment", 0.5),
)


def mixtures(plan: tuple[tuple[str, str, float, str | None, float], ...]) -> list[Mixture]:
    """The mixtures of ``CALIBRATION`` or ``CHECK``, 16 kHz."""
    made = []
    for name, over, ratio_db, enrolled, gain in plan:
        voice = _read(name)
        other = np.resize(_read(over), voice.size)
        scale = np.sqrt(np.mean(voice**2) / np.mean(other**2)) * 10 ** (-ratio_db / 20)
        enrollment = None if enrolled is None else _read(enrolled)[: ENROLLMENT_SECONDS * SAMPLE_RATE_HZ]
        noisy = (gain * (voice + scale * other)).astype(np.float32)
        far_end = np.roll(other, -ECHO_DELAY_MS * SAMPLE_RATE_HZ // 1000)
        made.append(Mixture((gain * voice).astype(np.float32), noisy, enrollment, far_end))
    return made


def calibration_inputs(model: Model) -> Iterator[dict[str, Samples]]:
    """Inputs of the step graph by name, as they occur while ``model`` runs over the calibration mixtures."""
    profile_network = model.profile_network()
    for mixture in mixtures(CALIBRATION):
        profile = np.zeros((1, model.contract.profile_size), np.float32)
        if mixture.enrollment is not None:
            profile[0] = embed(mixture.enrollment, profile_network)
        states = model.contract.initial_states()
        frames = zip(spectra(model, mixture.noisy), spectra(model, mixture.far_end), strict=True)
        for number, (spectrum, heard) in enumerate(frames):
            far = heard if model.contract.far_end else None
            if number % EVERY_NTH_FRAME == 0:
                kept = [state.copy() for state in states]  # the next step may overwrite them
                inputs = (*frames_of(model.backend.inputs, spectrum, far, profile), *kept)
                yield dict(zip(model.backend.inputs, inputs, strict=True))
            _, _, states = model.backend.step(spectrum, profile, states, far)


def spectra(model: Model, samples: Samples) -> Iterator[Samples]:
    """The frames that a device makes of ``samples``, (1, 2, 1, bins) each; a rest of a hop is left out."""
    analysis = Analysis(model.contract.window_samples, model.contract.first_bin)
    yield from analysis(samples[: samples.size - samples.size % model.contract.hop_samples])


@cache
def _read(name: str) -> Samples:
    samples, rate = soundfile.read(RECORDINGS / f"{name}.opus", dtype="float32")
    if rate != SAMPLE_RATE_HZ:
        raise ValueError(f"{name} is not at 16 kHz: restore tests/fixtures.")
    samples.flags.writeable = False
    return samples
