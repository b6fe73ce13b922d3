"""Two who are enrolled and a stranger: what each clip holds and what should be left of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.signal import SAMPLE_RATE_HZ, active_rms
from evaluation.sets.builder import SetBuilder, is_adult
from evaluation.sets.corpus import Talker, read_noises, read_talkers
from evaluation.sets.render import read_segment, render_enrollment
from evaluation.sets.scene import Segment

CLIP_SECONDS = 6
LEVEL_DBFS = -26.0
STRANGER_SIR_DB = (-5.0, 0.0, 5.0)
IN_TURN_SIR_DB = 5.0
NOISE_SNR_DB = 5.0
FAINT_SNR_DB = 30.0

Sound = NDArray[np.float32]

ALONE, NOISE, IN_TURN, AT_ONCE, AT_ONCE_STRANGER, STRANGER = (
    "one alone", "one in noise", "in turn, a stranger meanwhile", "both at once", "both at once, a stranger meanwhile",
    "the stranger alone",
)  # fmt: skip
BESIDE = {sir: f"one and the stranger at {sir:.0f} dB" for sir in STRANGER_SIR_DB}
SAME, CROSS = "same sex", "cross sex"


@dataclass(frozen=True)
class Clip:
    """One mixture."""

    case: str
    mixture: Sound
    reference: Sound | None
    """What should be left; None for nothing."""
    halves: bool = False
    """The first of the two speaks in the first half, the second in the second; else the first one, or both."""


@dataclass(frozen=True)
class Group:
    """Two voices that are enrolled, and one that is not."""

    first: Talker
    second: Talker
    stranger: Talker
    enrollments: tuple[Sound, Sound]
    clips: tuple[Clip, ...]

    @property
    def sexes(self) -> str:
        """Of the two who are enrolled."""
        return SAME if self.first.sex == self.second.sex else CROSS


class GroupBuilder:
    """Draws groups of dev speakers; every second pair is of one sex, every second stranger of the first one's."""

    def __init__(self, root: Path):
        self._root = root
        self._build = SetBuilder("several-voices", root, read_talkers(root), read_noises(root))

    def groups(self, count: int) -> Iterator[Group]:
        """So many, one after the other."""
        for number in range(count):
            first = self._build.next_talker("first", is_adult)
            second = self._build.other_talker(first, sex=first.sex, like=number % 2 == 0)
            stranger = self._build.other_talker(first, second, sex=first.sex, like=number % 4 < 2)
            first_enrolled, second_enrolled = (
                render_enrollment(self._root, self._build.enrollment(one)) for one in (first, second)
            )
            clips = tuple(self._clips(first, second, stranger))
            yield Group(first, second, stranger, (first_enrolled, second_enrolled), clips)

    def _clips(self, first: Talker, second: Talker, stranger: Talker) -> Iterator[Clip]:
        one, other, foreign = (self._speech(talker) for talker in (first, second, stranger))
        faint = self._noise(FAINT_SNR_DB)
        half = one.size // 2
        turns = np.concatenate([one[:half], other[half:]])
        yield Clip(ALONE, one + faint, one)
        yield Clip(NOISE, one + self._noise(NOISE_SNR_DB), one)
        for sir_db in STRANGER_SIR_DB:
            yield Clip(BESIDE[sir_db], one + _by(foreign, -sir_db) + faint, one)
        yield Clip(IN_TURN, turns + _by(foreign, -IN_TURN_SIR_DB) + faint, turns, halves=True)
        yield Clip(AT_ONCE, one + other + faint, one + other)
        yield Clip(AT_ONCE_STRANGER, one + other + _by(foreign, -IN_TURN_SIR_DB) + faint, one + other)
        yield Clip(STRANGER, foreign + faint, None)

    def _speech(self, talker: Talker) -> Sound:
        """Some of what is not for enrollment, repeated where there is too little of it, at the common level."""
        voice = self._build.voice(talker, CLIP_SECONDS, 0.0)
        samples = np.concatenate([self._read(segment) for segment in voice.segments])
        samples = np.resize(samples, CLIP_SECONDS * SAMPLE_RATE_HZ)
        return _by(samples / active_rms(samples), LEVEL_DBFS)

    def _noise(self, snr_db: float) -> Sound:
        samples = np.resize(self._read(self._build.noise_source().segment), CLIP_SECONDS * SAMPLE_RATE_HZ)
        return _by(samples / np.sqrt(np.mean(np.square(samples, dtype=np.float64))), LEVEL_DBFS - snr_db)

    def _read(self, segment: Segment) -> Sound:
        return read_segment(self._root, segment)


def _by(samples: NDArray[np.floating], gain_db: float) -> Sound:
    return (samples * 10 ** (gain_db / 20)).astype(np.float32)
