"""``python -m studies whispering``: what becomes of an enrolled voice that whispers.

There is no whispering in the data, so it is made: each frame of the speech is described by linear prediction, and what
excites that filter, pulses of the vocal cords for the most part, is replaced by noise of the same power (B. S. Atal,
S. L. Hanauer: "Speech Analysis and Synthesis by Linear Prediction of the Speech Wave", JASA 50, 1971, whose unvoiced
excitation is used throughout). Real whispering also moves the formants and lacks low frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from evaluation.metrics.signal import level_change_db, over_suppression, si_sdr
from evaluation.metrics.statistics import summarise
from evaluation.published import StudyTable, publish_tables
from evaluation.report.markdown import table
from evaluation.sets.builder import is_adult
from evaluation.sets.corpus import Talker, read_talkers, take
from evaluation.sets.render import render_enrollment
from evaluation.sets.scene import Enrollment, Segment
from quantization import quality
from studies import options
from studies.microphones import ORDINARY

TABLE = "whispering"
VOICES = 20
ENROLLMENT_S, SPEECH_S, LEAST_S = 10.0, 10.0, 8.0
ORDER, FRAME_SAMPLES, HOP_SAMPLES = 20, 512, 256
_FLOOR = 1e-4
"""Of the power of a frame, added as white noise: a filter of a silent or a purely voiced frame is ill-conditioned."""

Samples = np.ndarray


def whispered(speech: Samples, random: np.random.Generator) -> Samples:
    """(samples,) float32 at 16 kHz -> the same words without vocal cords, as long and as loud in every frame."""
    window = np.sqrt(np.hanning(FRAME_SAMPLES + 1)[:-1])
    padded = np.concatenate([np.zeros(FRAME_SAMPLES), speech, np.zeros(2 * FRAME_SAMPLES)])
    out = np.zeros(padded.size + FRAME_SAMPLES)
    for start in range(0, padded.size - FRAME_SAMPLES, HOP_SAMPLES):
        frame = window * padded[start : start + FRAME_SAMPLES]
        power = float(frame @ frame)
        if power == 0:
            continue
        predictor = _predictor(frame)
        excitation = np.zeros(2 * FRAME_SAMPLES)  # the filter rings on
        excitation[:FRAME_SAMPLES] = window * random.standard_normal(FRAME_SAMPLES)
        sound = lfilter([1.0], predictor, excitation)
        # Noise of its own in each frame: powers of two that overlap add up, as the squares of their windows do to 1.
        out[start : start + sound.size] += sound * np.sqrt(power / (sound @ sound))
    return out[FRAME_SAMPLES : FRAME_SAMPLES + speech.size].astype(np.float32)


def _predictor(frame: Samples) -> Samples:
    """The denominator of the all-pole filter of a frame, by its autocorrelation."""
    spectrum = np.abs(np.fft.rfft(frame, 2 * frame.size)) ** 2
    correlation = np.fft.irfft(spectrum)[: ORDER + 1]
    correlation[0] *= 1 + _FLOOR
    return np.concatenate([[1.0], -solve_toeplitz(correlation[:-1], correlation[1:])])


@dataclass(frozen=True)
class Voice:
    """A dev speaker: what is enrolled, what is said later, spoken and whispered, and somebody else."""

    enrollment: Samples
    whispered_enrollment: Samples
    speech: Samples
    whisper: Samples
    other: Samples
    """As long and as loud as ``speech``."""


def voice_of(
    root: Path, talker: Talker, other: Talker, number: int, enrollment_s: float = ENROLLMENT_S
) -> Voice:
    """``number``: of the voice among all, the seed of its whispering."""
    random = np.random.default_rng(number)
    enrollment, speech, beside = (
        ORDINARY(render_enrollment(root, Enrollment("", take(segments, seconds))))
        for segments, seconds in (
            (talker.enrollment, enrollment_s), (talker.mixing, SPEECH_S), (other.mixing, SPEECH_S)
        )
    )  # fmt: skip
    whispers = whispered(enrollment, random), whispered(speech, random)
    return Voice(enrollment, whispers[0], speech, whispers[1], ORDINARY(np.resize(beside, speech.size)))


def voices_of(root: Path, count: int = VOICES) -> Iterator[Voice]:
    """Adults with enough recordings, from all corpora, the same at every call."""
    chosen = _chosen(read_talkers(root), count)
    for number, talker in enumerate(chosen):
        # Half way round: of another corpus mostly, and of either sex.
        yield voice_of(root, talker, chosen[(number + len(chosen) // 2) % len(chosen)], number)


def _chosen(talkers: Sequence[Talker], count: int) -> list[Talker]:
    def seconds(segments: Sequence[Segment]) -> float:
        return sum(segment.seconds for segment in segments)

    enough = [t for t in talkers if is_adult(t) and min(seconds(t.enrollment), seconds(t.mixing)) >= LEAST_S]
    places = np.linspace(0, len(enough) - 1, min(count, len(enough))).round().astype(int)
    return [enough[place] for place in places]


@dataclass(frozen=True)
class Kept:
    """What a profile leaves of one voice."""

    whisper_db: float
    """Change of level of whispering alone."""
    whisper_lost: float
    """Share of its frames that are lost, %."""
    speech_db: float
    """Change of level of speech alone."""
    gain_db: float
    """SI-SDR gain of speech beside another talker as loud."""


def kept(enhance: Callable[[Samples], Samples], voice: Voice) -> Kept:
    """What ``enhance`` leaves of it."""
    whisper, speech = enhance(voice.whisper), enhance(voice.speech)
    mixture = voice.speech + voice.other
    return Kept(
        level_change_db(voice.whisper, whisper),
        100 * over_suppression(voice.whisper, whisper).share,
        level_change_db(voice.speech, speech),
        si_sdr(voice.speech, enhance(mixture)) - si_sdr(voice.speech, mixture),
    )


def content(found: dict[str, list[Kept]], of: str) -> tuple[list[str], list[list[str]]]:
    """The table: means over voices, and 95 % intervals. ``of``: what its rows differ in, the keys of ``found``."""
    header = [
        of, "voices", "whispering alone, dB", "its frames lost, %", "speech alone, dB",
        "speech beside another talker, SI-SDR gain, dB",
    ]  # fmt: skip
    rows = []
    for name, voices in found.items():
        columns = zip(*map(astuple, voices), strict=True)
        rows.append([name, str(len(voices)), *(_cell(column) for column in columns)])
    return header, rows


def _cell(values: Sequence[float]) -> str:
    summary = summarise(list(values))
    assert summary is not None
    return f"{summary.mean:.1f} [{summary.low:.1f}, {summary.high:.1f}]"


def measure(voices: Sequence[Voice], model: Model) -> dict[str, list[Kept]]:
    """By what is enrolled -> what is kept of each voice."""
    profile_model = model.profile_network()
    found: dict[str, list[Kept]] = {"ten seconds spoken": [], "and ten whispered": []}
    for voice in options.progress(voices, "voices"):
        spoken, too = (
            conditioning(samples, profile_model) for samples in (voice.enrollment, voice.whispered_enrollment)
        )
        # A profile is the mean of its recordings, of one length here.
        profiles: tuple[Samples, Samples] = (spoken, (spoken + too) / 2)
        for so_far, profile in zip(found.values(), profiles, strict=True):
            so_far.append(kept(partial(_enhanced, model, profile), voice))
    return found


def _enhanced(model: Model, profile: Samples, samples: Samples) -> Samples:
    return quality.enhance(model, samples, profile)


@click.command()
@options.data
@options.model
@options.backend
@click.option("--publish", "published", is_flag=True, help="Write the table into evaluation/results.json.")
def main(root: Path, model_name: str, backend: str, published: bool) -> None:
    """Say what is left of an enrolled voice that whispers, with whispering in its profile and without."""
    model = Model.load(model_name, backend)
    header, rows = content(measure(list(voices_of(root)), model), "enrolled")
    if published:
        about = model.contract.model_id
        publish_tables({TABLE: StudyTable("python -m studies whispering", about, header, rows)})
    click.echo(table(header, rows))
