"""Dev scores in a minute, for training: what a model makes of each task in, a dictionary of numbers out.

>>> quick = QuickSet.load(data)
>>> scores = quick.scores([my_model(task) for task in quick.tasks])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from evaluation.data import data_root
from evaluation.metrics.alignment import advance, estimate_delay
from evaluation.metrics.perceptual import Unscorable, pesq_wb
from evaluation.metrics.signal import (
    is_wrong_talker,
    level_change_db,
    over_suppression,
    si_sdr,
    suppression_db,
)
from evaluation.sets import SETS_FOLDER
from evaluation.sets.render import Clip, render
from evaluation.sets.scene import PROFILE_KINDS, ProfileKind, read_scenes

SCENES = SETS_FOLDER / "quick.jsonl"


@dataclass(frozen=True)
class QuickTask:
    """One output that the scores need."""

    clip: Clip
    profile: ProfileKind

    @property
    def noisy(self) -> np.ndarray:
        """The input, (samples,) float32 at 16 kHz; all quick clips have the same length."""
        return self.clip.mixture

    @property
    def enrollment(self) -> np.ndarray | None:
        """Enrollment audio, (samples,) float32 at 16 kHz, 7..10 s; None for no profile."""
        return self.clip.enrollment(self.profile)

    @property
    def enrolled_speaker(self) -> str | None:
        """Who enrols. Equal names mean equal audio, so an embedding need be computed once."""
        scene = self.clip.scene
        enrollment = {"right": scene.right, "wrong": scene.wrong, "none": None}[self.profile]
        return enrollment.speaker if enrollment else None


@dataclass(frozen=True)
class QuickSet:
    """The rendered quick scenes."""

    clips: tuple[Clip, ...]

    @classmethod
    def load(cls, data: Path | None = None) -> QuickSet:
        """Render the quick scenes from the data folder (default: $EDGE_PSE_DATA); a few seconds."""
        root = data_root(data)
        return cls(tuple(render(scene, root) for scene in read_scenes(SCENES)))

    @cached_property
    def tasks(self) -> tuple[QuickTask, ...]:
        """The outputs to compute, in the order that `scores` expects them."""
        return tuple(QuickTask(clip, profile) for clip in self.clips for profile in clip.scene.profiles)

    def scores(self, outputs: Sequence[np.ndarray]) -> dict[str, float]:
        """Dev scores of the outputs of `tasks`; dB unless the name says otherwise. PESQ is NaN without its package.

        One delay for the whole system is measured on the clean clips and taken out. Raises ValueError when an
        output is missing. A score whose clips are all undefined is NaN.
        """
        if len(outputs) != len(self.tasks):
            raise ValueError(f"{len(outputs)} outputs for {len(self.tasks)} tasks.")
        delay = self._delay(outputs)
        aligned: dict[tuple[str, ProfileKind], np.ndarray] = {
            (task.clip.scene.name, task.profile): advance(output, delay, len(task.noisy))
            for task, output in zip(self.tasks, outputs, strict=True)
        }
        return {
            **self._two_talkers(aligned),
            **self._noise(aligned),
            **self._interferer_only(aligned),
            **self._clean(aligned),
            "delay_samples": delay,
        }

    def _delay(self, outputs: Sequence[np.ndarray]) -> float:
        delays = [
            estimate_delay(task.noisy, output)
            for task, output in zip(self.tasks, outputs, strict=True)
            if task.clip.scene.set == "clean"
        ]
        return float(np.median(delays)) if delays else 0.0

    def _of(self, set_name: str) -> list[Clip]:
        return [clip for clip in self.clips if clip.scene.set == set_name]

    def _two_talkers(self, outputs: dict[tuple[str, ProfileKind], np.ndarray]) -> dict[str, float]:
        clips = self._of("two-talkers")
        gains = {
            profile: np.array([_gain(clip, outputs[clip.scene.name, profile]) for clip in clips])
            for profile in PROFILE_KINDS
        }
        gap = gains["right"] - gains["wrong"]
        same = np.array([clip.scene.tags["sexes"] == "same" for clip in clips], bool)
        wrong = [
            is_wrong_talker(clip.reference, clip.interference, outputs[clip.scene.name, "right"])
            for clip in clips
            if clip.reference is not None and clip.interference is not None
        ]
        return {
            "two_talkers_gain_right": _mean(gains["right"]),
            "two_talkers_gain_wrong": _mean(gains["wrong"]),
            "two_talkers_gain_none": _mean(gains["none"]),
            "gap_mean": _mean(gap),
            "gap_median": float(np.nanmedian(gap)) if np.isfinite(gap).any() else float("nan"),
            "same_sex_gain_right": _mean(gains["right"][same]),
            "cross_sex_gain_right": _mean(gains["right"][~same]),
            "same_sex_gap_mean": _mean(gap[same]),
            "wrong_talker_rate": _mean(wrong),
        }

    def _noise(self, outputs: dict[tuple[str, ProfileKind], np.ndarray]) -> dict[str, float]:
        clips = self._of("noise")
        return {
            "noise_gain_right": _mean([_gain(clip, outputs[clip.scene.name, "right"]) for clip in clips]),
            "noise_gain_none": _mean([_gain(clip, outputs[clip.scene.name, "none"]) for clip in clips]),
            "noise_pesq_right": _mean([_pesq(clip, outputs[clip.scene.name, "right"]) for clip in clips]),
        }

    def _interferer_only(self, outputs: dict[tuple[str, ProfileKind], np.ndarray]) -> dict[str, float]:
        values = [
            suppression_db(clip.mixture, outputs[clip.scene.name, "right"])
            for clip in self._of("interferer-only")
        ]
        return {
            "interferer_suppression_mean": _mean(values),
            "interferer_suppression_median": float(np.median(values)) if values else float("nan"),
        }

    def _clean(self, outputs: dict[tuple[str, ProfileKind], np.ndarray]) -> dict[str, float]:
        pairs = [(clip.reference, outputs[clip.scene.name, "right"]) for clip in self._of("clean")]
        known = [(reference, output) for reference, output in pairs if reference is not None]
        return {
            "clean_tsos": _mean([over_suppression(*pair).share for pair in known]),
            "clean_tsos_active": _mean([over_suppression(*pair).active_share for pair in known]),
            "clean_level_db": _mean([level_change_db(*pair) for pair in known]),
        }


def _gain(clip: Clip, output: np.ndarray) -> float:
    if clip.reference is None:
        return float("nan")
    return si_sdr(clip.reference, output) - si_sdr(clip.reference, clip.mixture)


def _pesq(clip: Clip, output: np.ndarray) -> float:
    if clip.reference is None:
        return float("nan")
    try:
        return pesq_wb(clip.reference, output)
    except Unscorable:  # also where its package is missing: training does without
        return float("nan")


def _mean(values: Sequence[float] | np.ndarray) -> float:
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return float(finite.mean()) if len(finite) else float("nan")
