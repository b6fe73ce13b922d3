"""``python -m studies microphones``: what becomes of an enrolled voice behind other microphones than in training.

Each dev speaker enrolls through one microphone and is heard through the same or another: one that keeps half of the
band, a quiet or a loud one, one with an offset or with mains hum. The voice should stay as it does without all that,
alone, and beside another one as loud.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from edge_pse.profiles import Profile, Recording
from evaluation.metrics.signal import SAMPLE_RATE_HZ, si_sdr
from evaluation.report.markdown import table
from evaluation.sets.corpus import Talker, read_talkers, take
from evaluation.sets.render import NARROW_BAND, render_enrollment, through_device
from evaluation.sets.scene import Enrollment
from studies import options

ENROLLMENT_SECONDS, SPEECH_SECONDS, FIRST_SECONDS = 10.0, 7.0, 2.0
LEVEL_DBFS = -26.0
"""Of a microphone that is as it should be."""
LOST_DB = -3.0
HUM = {1: 1.0, 2: 0.5, 3: 0.4, 4: 0.2, 5: 0.25, 7: 0.1}
"""Amplitudes of harmonics of the mains."""

Microphone = Callable[[np.ndarray], np.ndarray]


def at_level(level_dbfs: float) -> Microphone:
    """A microphone that gives all recordings with one mean square."""

    def hear(samples: np.ndarray) -> np.ndarray:
        return (samples * 10 ** (level_dbfs / 20) / np.sqrt(np.mean(samples**2))).astype(np.float32)

    return hear


def with_offset(level_dbfs: float, offset: float) -> Microphone:
    """One with a constant in its samples."""
    return lambda samples: at_level(level_dbfs)(samples) + np.float32(offset)


def with_hum(level_dbfs: float, hum_dbfs: float, mains_hz: float) -> Microphone:
    """One that hears the mains, too."""

    def hear(samples: np.ndarray) -> np.ndarray:
        phase = 2 * np.pi * mains_hz * np.arange(samples.size) / SAMPLE_RATE_HZ
        hum = sum(amplitude * np.sin(number * phase + number) for number, amplitude in HUM.items())
        return at_level(level_dbfs)(samples) + at_level(hum_dbfs)(np.asarray(hum))

    return hear


def half_band(samples: np.ndarray) -> np.ndarray:
    """One of 8 kHz."""
    return at_level(LEVEL_DBFS)(through_device(samples, NARROW_BAND))


ORDINARY = at_level(LEVEL_DBFS)
QUIET_DBFS = -41.0
CASES: dict[str, tuple[Microphone, Microphone]] = {
    "ordinary": (ORDINARY, ORDINARY),
    "heard at 8 kHz": (ORDINARY, half_band),
    "enrolled at 8 kHz": (half_band, ORDINARY),
    "both at 8 kHz": (half_band, half_band),
    **{
        f"heard at {level} dBFS": (ORDINARY, at_level(level))
        for level in (-60, -55, -51, -46, -40, -30, -20, -12, -6)
    },
    "both at -51 dBFS": (at_level(-51), at_level(-51)),
    "-41 dBFS, offset 0.05": (ORDINARY, with_offset(QUIET_DBFS, 0.05)),
    "both so": (with_offset(QUIET_DBFS, 0.05), with_offset(QUIET_DBFS, 0.05)),
    "-41 dBFS, hum of 50 Hz at -45": (ORDINARY, with_hum(QUIET_DBFS, -45, 50)),
    "both so, of 60 Hz": (with_hum(QUIET_DBFS, -45, 60), with_hum(QUIET_DBFS, -45, 60)),
}
"""Microphone of the enrollment, microphone of the stream."""


@dataclass(frozen=True)
class Voice:
    """A dev speaker: what is enrolled, and what is said later."""

    enrollment: np.ndarray
    speech: np.ndarray


def read_voice(root: Path, talker: Talker) -> Voice:
    """As ``Talker`` divides its recordings."""
    parts = take(talker.enrollment, ENROLLMENT_SECONDS), take(talker.mixing, SPEECH_SECONDS)
    return Voice(*(render_enrollment(root, Enrollment(talker.speaker, segments)) for segments in parts))


def enrolled(model: Model, samples: np.ndarray) -> Profile:
    """Whatever ``enroll`` would say of it."""
    embedding = conditioning(samples, model)
    recording = Recording(embedding, half_band=embedding, speech_seconds=0.0, snr_db=0.0)
    return Profile("evaluation", model.contract.profiles_of, (recording,))


def gain_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """What is left of a reference in an estimate."""
    kept = float(np.vdot(reference, estimate) / max(np.vdot(reference, reference), 1e-20))
    return 20 * np.log10(max(abs(kept), 1e-6))


def measure(model: Model, voices: list[Voice], case: str) -> list[str]:
    """A row of the table."""
    enrolling, hearing = CASES[case]
    alone, first, beside = [], [], []
    for number, voice in enumerate(voices):
        enhancer = Enhancer(model, enrolled(model, enrolling(voice.enrollment)))
        heard = hearing(voice.speech)
        voiced = heard - heard.mean()
        out = enhancer.enhance(heard, SAMPLE_RATE_HZ)
        alone.append(gain_db(voiced, out))
        early = round(FIRST_SECONDS * SAMPLE_RATE_HZ)
        first.append(gain_db(voiced[:early], out[:early]))
        other = hearing(np.resize(voices[(number + 7) % len(voices)].speech, heard.size))
        mixture = heard + other
        out = enhancer.enhance(mixture, SAMPLE_RATE_HZ)
        beside.append(si_sdr(voiced, out) - si_sdr(voiced, mixture))
    lost = sum(gain < LOST_DB for gain in alone)
    means = (f"{np.mean(values):.2f}" for values in (alone, first, beside))
    return [case, *means, f"{min(alone):.1f}", f"{lost} of {len(voices)}"]


@click.command()
@options.data
@options.model
@options.backend
@click.option("--case", "cases", multiple=True, type=click.Choice(list(CASES)), help="Only that one.")
def main(root: Path, model_name: str, backend: str, cases: tuple[str, ...]) -> None:
    """Say how much of an enrolled voice is left behind other microphones than in training."""
    voices = [read_voice(root, talker) for talker in read_talkers(root)]
    model = Model.load(model_name, backend)
    rows = [measure(model, voices, case) for case in options.progress(cases or list(CASES), "microphones")]
    header = ["microphone", "alone, dB", f"its first {FIRST_SECONDS:.0f} s", "beside another, SI-SDR gain dB"]
    click.echo(table([*header, "worst voice, dB", "lose over 3 dB"], rows))
