"""``python -m studies assistant``: what a recogniser understands of commands while a television talks.

A command is a count from one to twenty by a dev speaker, whose words are known. The recogniser, pocketsphinx, has a
grammar of these words, as satellites have one of their commands, and writes down whatever it hears as some of them. The
television is another dev speaker, reading. It talks before the command, throughout, and after it.

The recogniser hears the clips as they are, after ``edge-pse`` with the profile of whoever commands, and after a gate:
regions of sound, cut by energy, that are kept whole if their embedding is near enough to the profile's, and otherwise
left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from edge_pse.audio.pcm import to_pcm
from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import embed
from edge_pse.enrollment.verification import OTHER_VOICE_COSINE
from edge_pse.model import Model
from edge_pse.profiles import Profile
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.metrics.statistics import summarise
from evaluation.published import StudyTable, publish_tables
from evaluation.report.markdown import table
from evaluation.sets.corpus import Talker, read_talkers, take
from evaluation.sets.render import render_enrollment
from evaluation.sets.scene import Enrollment, Segment
from studies import options
from studies.microphones import enrolled

TABLE = "words of an assistant"
COUNTS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
COUNTS_CORPUS, TELEVISION_CORPUS = "coswara", "librispeech"
SPEAKERS, TELEVISIONS = 6, 2
"""Who count, and who read, to each of the former at each ratio."""
RATIOS_DB = (10.0, 5.0)
"""Of the command over the television, where both talk."""
AROUND_S = 1.5
"""Of the television alone, before the command and after it."""
ENROLLMENT_S = 10.0

FRAME_S, JOINED_S, LEAST_S = 0.02, 0.3, 0.3
"""Of the gate: frames, the longest pause inside a region, and the shortest region."""
QUIET_DB = -25.0
"""Against the loudest frame: what is below belongs to no region."""


@dataclass(frozen=True)
class Scene:
    """A command under a television."""

    profile: Profile
    command: np.ndarray
    mixture: np.ndarray


@dataclass(frozen=True)
class Score:
    """How a transcript compares with the words that were said."""

    right: int
    errors: int
    """Words that are another, missing, or too many."""
    too_many: int
    """Words in a place where none was said: the television's, mostly."""


class Sphinx:
    """pocketsphinx, with the English of its wheel and a grammar of counts."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL", lm=None)
        grammar = f"#JSGF V1.0; grammar counts; public <counts> = ( {' | '.join(COUNTS)} )*;"
        self._decoder.add_jsgf_string("counts", grammar)
        self._decoder.activate_search("counts")

    def hear(self, samples: np.ndarray) -> list[str]:
        """The words in a clip, (samples,) float32."""
        self._decoder.start_utt()
        self._decoder.process_raw(to_pcm(samples).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr.split() if found else []


def score(said: Sequence[str], heard: Sequence[str]) -> Score:
    """By the alignment with the fewest errors, and of those with the most words right."""
    best = [(0, 0, 0)] + [(number, 0, number) for number in range(1, len(heard) + 1)]
    for row, word in enumerate(said, 1):
        previous, best = best, [(row, 0, 0)]
        for column, other in enumerate(heard, 1):
            errors, wrong, many = previous[column - 1]
            same = word == other
            missing, extra = previous[column], best[column - 1]
            best.append(
                min(
                    (errors + (not same), wrong - same, many),
                    (missing[0] + 1, missing[1], missing[2]),
                    (extra[0] + 1, extra[1], extra[2] + 1),
                )
            )
    errors, wrong, many = best[-1]
    return Score(-wrong, errors, many)


def gated(mixture: np.ndarray, profile: Profile, model: Model) -> np.ndarray:
    """Only the regions whose voice is near the profile's, silence in the place of the others."""
    space = model.contract.voice_space
    kept = np.zeros_like(mixture)
    for start, end in regions(mixture):
        if space.cosine(embed(mixture[start:end], model), profile.embedding) >= OTHER_VOICE_COSINE:
            kept[start:end] = mixture[start:end]
    return kept


def regions(samples: np.ndarray) -> list[tuple[int, int]]:
    """Where something sounds: first sample, and the one after the last."""
    size = round(FRAME_S * SAMPLE_RATE_HZ)
    frames = samples[: samples.size // size * size].reshape(-1, size)
    power = np.mean(frames**2, axis=1)
    sounding = np.flatnonzero(power > power.max() * 10 ** (QUIET_DB / 10))
    cuts = np.flatnonzero(np.diff(sounding) * FRAME_S > JOINED_S) + 1
    found = [(part[0] * size, (part[-1] + 1) * size) for part in np.split(sounding, cuts)]
    return [(start, end) for start, end in found if end - start >= LEAST_S * SAMPLE_RATE_HZ]


def scenes(root: Path, model: Model) -> Iterator[Scene]:
    """All of them, in a fixed order."""
    talkers = read_talkers(root)
    readers = [talker for talker in talkers if talker.corpus == TELEVISION_CORPUS]
    counters = [talker for talker in talkers if talker.corpus == COUNTS_CORPUS][:SPEAKERS]
    for number, talker in enumerate(counters):
        profile = _profile(root, talker, model)
        for place, ratio_db in enumerate(RATIOS_DB):
            for turn in range(TELEVISIONS):
                television = readers[(number + 2 * turn + place) % len(readers)]
                yield _scene(root, profile, talker.mixing[0], television, ratio_db)


def _profile(root: Path, talker: Talker, model: Model) -> Profile:
    segments = take(talker.enrollment, ENROLLMENT_S)
    return enrolled(model, render_enrollment(root, Enrollment(talker.speaker, segments)))


def _scene(root: Path, profile: Profile, recording: Segment, other: Talker, ratio_db: float) -> Scene:
    command = render_enrollment(root, Enrollment("command", (recording,)))
    around = np.zeros(round(AROUND_S * SAMPLE_RATE_HZ), np.float32)
    seconds = command.size / SAMPLE_RATE_HZ + 2 * AROUND_S
    television = render_enrollment(root, Enrollment("television", take(other.mixing, seconds)))
    padded = np.concatenate([around, command, around])
    television = np.resize(television, padded.size)
    beside = television[around.size : -around.size]
    gain = np.sqrt(np.mean(command**2) / np.mean(beside**2)) * 10 ** (-ratio_db / 20)
    return Scene(profile, padded, padded + (gain * television).astype(np.float32))


def measure(found: Sequence[Scene], model: Model) -> dict[str, list[Score]]:
    """By what the recogniser heard -> the score of each command."""
    sphinx = Sphinx()
    scores: dict[str, list[Score]] = defaultdict(list)
    for scene in options.progress(found, "commands"):
        heard = {
            "without the television": scene.command,
            "as it is": scene.mixture,
            "a gate on the voice": gated(scene.mixture, scene.profile, model),
            "**edge-pse**": Enhancer(model, scene.profile).enhance(scene.mixture, SAMPLE_RATE_HZ),
        }
        for name, samples in heard.items():
            scores[name].append(score(COUNTS, sphinx.hear(samples)))
    return scores


def content(scores: dict[str, list[Score]]) -> tuple[list[str], list[list[str]]]:
    """The table: means over the commands, and 95 % intervals."""
    header = ["what is heard", "commands", "words right, %", "word errors, %", "words too many, a command"]
    rows = []
    for name, commands in scores.items():
        right = [100 * command.right / len(COUNTS) for command in commands]
        errors = [100 * command.errors / len(COUNTS) for command in commands]
        too_many = [float(command.too_many) for command in commands]
        cells = [_cell(right, 0), _cell(errors, 0), _cell(too_many, 1)]
        rows.append([name, str(len(commands)), *cells])
    return header, rows


def _cell(values: list[float], digits: int) -> str:
    summary = summarise(values)
    assert summary is not None
    return f"{summary.mean:.{digits}f} [{summary.low:.{digits}f}, {summary.high:.{digits}f}]"


@click.command()
@options.data
@options.model
@options.backend
@click.option("--publish", "published", is_flag=True, help="Write the table into evaluation/results.json.")
def main(root: Path, model_name: str, backend: str, published: bool) -> None:
    """Say what a recogniser understands of commands while a television talks, with edge-pse and without."""
    model = Model.load(model_name, backend)
    header, rows = content(measure(list(scenes(root, model)), model))
    if published:
        about = model.contract.model_id
        publish_tables({TABLE: StudyTable("python -m studies assistant", about, header, rows)})
    click.echo(table(header, rows))
