"""The dev part of the data: who speaks in it, with which recordings, and which noises and rooms there are."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.metrics.signal import HOP_SAMPLES, SAMPLE_RATE_HZ, active_frames
from evaluation.sets.render import read_segment
from evaluation.sets.scene import Segment

CHILD_AGE_YEARS = 12
ENROLLMENT_POOL_SECONDS = 21.0
"""Longest enrollment that is tested, 20 s, and a little more."""
TRIM_MARGIN_SECONDS = 0.05


@dataclass(frozen=True)
class Talker:
    """A dev speaker. Enrollment recordings are never used in mixtures."""

    speaker: str
    corpus: str
    sex: str | None
    age: int | None
    mixing: tuple[Segment, ...]
    enrollment: tuple[Segment, ...]

    @property
    def is_child(self) -> bool:
        return self.age is not None and self.age <= CHILD_AGE_YEARS


@dataclass(frozen=True)
class NoiseSource:
    """A dev noise recording; `babble` says that voices may be audible in it."""

    segment: Segment
    label: str
    babble: bool


def read_manifest(root: Path, kind: str) -> list[dict[str, Any]]:
    """The dev rows of a manifest of the data root, e.g. 'speech', in the order of the file."""
    rows = [json.loads(line) for line in (root / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["split"] == "dev"]


def _trimmed(root: Path, row: dict[str, Any]) -> Segment:
    """The recording without the silence at its two ends."""
    samples = read_segment(root, Segment(row["path"], 0.0, row["seconds"] + 1.0))
    active = np.flatnonzero(active_frames(samples))
    frame = HOP_SAMPLES / SAMPLE_RATE_HZ
    start = max(active[0] * frame - TRIM_MARGIN_SECONDS, 0.0)
    end = min((active[-1] + 1) * frame + TRIM_MARGIN_SECONDS, len(samples) / SAMPLE_RATE_HZ)
    return Segment(row["path"], round(start, 2), round(end - start, 2))


def _split_recordings(segments: list[Segment]) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """(mixing, enrollment): the last recordings are for enrollment, at most half of the speech."""
    wanted = min(ENROLLMENT_POOL_SECONDS, sum(segment.seconds for segment in segments) / 2)
    cut = len(segments)
    pooled = 0.0
    while cut > 1 and pooled < wanted:
        cut -= 1
        pooled += segments[cut].seconds
    return tuple(segments[:cut]), tuple(segments[cut:])


def read_talkers(root: Path) -> list[Talker]:
    """The dev speakers, sorted by corpus and name."""
    recordings: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in read_manifest(root, "speech"):
        recordings[row["corpus"], row["speaker"]].append(row)
    talkers = []
    for (corpus, speaker), rows in sorted(recordings.items()):
        rows.sort(key=lambda row: row["path"])
        mixing, enrollment = _split_recordings([_trimmed(root, row) for row in rows])
        talkers.append(Talker(speaker, corpus, rows[0].get("sex"), rows[0].get("age"), mixing, enrollment))
    return talkers


def read_noises(root: Path) -> list[NoiseSource]:
    """The dev noises, sorted by path."""
    rows = sorted(read_manifest(root, "noise"), key=lambda row: row["path"])
    return [NoiseSource(_trimmed(root, row), row["label"], row["speech"] != "no") for row in rows]


def read_full_band(root: Path) -> tuple[list[Talker], list[NoiseSource]]:
    """The dev talkers and noises at 48 kHz, sorted by path. All recordings of a talker are in `Talker.mixing`: they are
    few, so a scene enrolls from those that are not in it.
    """
    rows = sorted(read_manifest(root, "fullband"), key=lambda row: row["path"])
    clips: dict[tuple[str, str], list[Segment]] = defaultdict(list)
    for row in rows:
        if row["role"] == "speech":
            clips[row["corpus"], row["speaker"]].append(_trimmed(root, row))
    noises = [NoiseSource(_trimmed(root, row), "recorded", False) for row in rows if row["role"] == "noise"]
    return [
        Talker(speaker, corpus, None, None, tuple(of), ()) for (corpus, speaker), of in clips.items()
    ], noises


def take(segments: tuple[Segment, ...], seconds: float, first: int = 0) -> tuple[Segment, ...]:
    """Consecutive segments from number `first` on (around the end), cut to `seconds` in all."""
    taken: list[Segment] = []
    missing = seconds
    for index in range(len(segments)):
        segment = segments[(first + index) % len(segments)]
        cut = min(segment.seconds, round(missing, 2))
        taken.append(Segment(segment.path, segment.start, cut))
        missing -= cut
        if missing < 0.01:
            break
    return tuple(taken)
