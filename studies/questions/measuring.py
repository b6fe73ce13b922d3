"""A model on scenes that differ in one thing: what its outputs are worth, clip by clip, to be compared clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.metrics.statistics import summarise
from evaluation.scoring import score
from evaluation.sets.builder import SetBuilder, is_adult
from evaluation.sets.corpus import NoiseSource, Talker, read_noises, read_talkers
from evaluation.sets.render import Clip, render
from evaluation.sets.scene import ProfileKind, Scene
from evaluation.summary import METRICS, formatted
from evaluation.systems.model import ModelSystem
from studies import options

SIR_DB, SNR_DB = 0.0, 20.0
"""Of all mixtures, if nothing else is said: as loud as each other, with light noise."""
SEXES = ("same", "cross")
GAIN_LABEL = "SI-SDR gain, dB"

Conditions = Mapping[str, Sequence[Scene]]
"""By what was changed: scenes that are otherwise equal, number by number."""
Also = Callable[[Clip, np.ndarray], dict[str, float]]
"""More metrics of an output than the evaluation has."""


class Measured:
    """The metrics of all outputs of some conditions."""

    def __init__(self) -> None:
        self._metrics: dict[tuple[str, ProfileKind], list[dict[str, float]]] = {}

    def add(self, condition: str, profile: ProfileKind, metrics: dict[str, float]) -> None:
        """The next clip of a condition."""
        self._metrics.setdefault((condition, profile), []).append(metrics)

    def values(self, condition: str, metric: str, profile: ProfileKind = "right") -> np.ndarray:
        """(clip,), NaN where the metric is not defined."""
        return np.array([metrics.get(metric, np.nan) for metrics in self._metrics[condition, profile]])

    def gap(self, condition: str) -> np.ndarray:
        """SI-SDR with the right profile minus that with the wrong one, dB, (clip,)."""
        return self.values(condition, "si_sdr") - self.values(condition, "si_sdr", "wrong")

    def cell(
        self, condition: str, metric: str, profile: ProfileKind = "right", minus: str | None = None
    ) -> str:
        """Mean and interval of a metric or, with ``minus``, of what it has more than in another condition."""
        values = self.values(condition, metric, profile)
        if minus is not None:
            values = values - self.values(minus, metric, profile)
        return cell(values, metric)


def cell(values: np.ndarray, metric: str = "si_sdr") -> str:
    """Mean and interval of values of a metric (default: of any in dB), or '-' where nothing is defined."""
    return formatted(summarise(values), METRICS[metric])


def command(name: str, *more: str) -> str:
    """What asks a question again."""
    return " ".join(["python -m studies questions", name, *more, "--data DIR --out docs"])


class Studio:
    """The dev data, and a model that is asked about it."""

    def __init__(self, root: Path, model: str, backend: str = "auto") -> None:
        self.root = root
        self.system = ModelSystem(model, backend)
        self.talkers: list[Talker] = read_talkers(root)
        self.noises: list[NoiseSource] = read_noises(root)

    def builder(self, name: str, talkers: list[Talker] | None = None) -> SetBuilder:
        """Draws the scenes of a question from all talkers, or from some."""
        builder = SetBuilder(f"questions-{name}", self.root, talkers or self.talkers, self.noises)
        builder.set_name = "two-talkers"
        return builder

    def measure(self, conditions: Conditions, also: Also = lambda clip, output: {}) -> Measured:
        """Run the model on every scene with each of its profiles."""
        measured = Measured()
        todo = [(condition, scene) for condition, scenes in conditions.items() for scene in scenes]
        for condition, scene in options.progress(todo, "scenes"):
            clip = render(scene, self.root)
            for profile in scene.profiles:
                output = self.system.enhance(clip.mixture, clip.enrollment(profile), None)
                metrics = score(clip, output, "signal").metrics | also(clip, output)
                measured.add(condition, profile, metrics)
        return measured


def two_talkers(
    build: SetBuilder, sexes: str, profiles: tuple[ProfileKind, ...] = ("right", "wrong"), others: int = 1
) -> Scene:
    """A target and others over it to the end of the clip, in light noise, dry; gains still to be set."""
    target = build.next_talker("target", is_adult)
    chosen: list[Talker] = []
    for _ in range(others):
        chosen.append(build.other_talker(target, *chosen, sex=target.sex, like=sexes == "same"))
    scene = build.scene({"sexes": sexes}, profiles)
    return build.talkers_scene(scene, target, chosen, noisy=True, room=False)
