"""Whose voices are learnt: dev speakers, what each of them reads, and what is kept for the clips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from evaluation.sets.builder import is_adult
from evaluation.sets.corpus import Talker, take
from evaluation.sets.scene import Segment

READINGS_S = (10.0, 30.0, 60.0, 120.0)
"""Lengths of reading that are compared."""
SHORTEST_SET_ASIDE_S = 30.0
LEAST_REST_S = 12.0
"""Of the voice, beside what it reads: the clips are made of it."""


def with_reading(talker: Talker, seconds: float) -> Talker | None:
    """The talker with the last recordings, so many seconds of them, for the enrollment; None with too few."""
    segments = [*talker.mixing, *talker.enrollment]
    reading: list[Segment] = []
    missing = seconds
    while segments and missing > 0:
        last = segments.pop()
        reading.insert(0, replace(last, seconds=min(last.seconds, round(missing, 2))))
        missing -= last.seconds
    if missing > 0 or sum(segment.seconds for segment in segments) < LEAST_REST_S:
        return None
    return replace(talker, mixing=tuple(segments), enrollment=tuple(reading))


def set_aside(talker: Talker) -> Talker | None:
    """The talker with as long a reading as it has recordings for; None where that is too short.

    Shorter readings are beginnings of that one, so that the clips of a voice are the same for all of them.
    """
    for seconds in sorted(READINGS_S, reverse=True):
        found = with_reading(talker, seconds) if seconds >= SHORTEST_SET_ASIDE_S else None
        if found is not None:
            return found
    return None


def reading_seconds(talker: Talker) -> float:
    """How much a talker of ``set_aside`` reads, s."""
    # A number of Python's own: it is kept with weights, which are loaded as data alone.
    return round(float(sum(segment.seconds for segment in talker.enrollment)), 1)


def cut(talker: Talker, seconds: float) -> Talker:
    """With the beginning of its reading alone."""
    return replace(talker, enrollment=take(talker.enrollment, seconds))


def in_turns(talkers: Sequence[Talker]) -> list[Talker]:
    """Adults who have enough recordings, in turns through the corpora, so that few voices are not of one."""
    of_corpus: dict[str, list[Talker]] = defaultdict(list)
    for talker in talkers:
        found = set_aside(talker) if is_adult(talker) else None
        if found is not None:
            of_corpus[talker.corpus].append(found)
    random = np.random.default_rng(0)
    shuffled = [[those[i] for i in random.permutation(len(those))] for _, those in sorted(of_corpus.items())]
    return [talker for turn in zip_longest(*shuffled) for talker in turn if talker is not None]
