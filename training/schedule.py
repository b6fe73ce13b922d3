"""The stages of a run, read from TOML: what each contains, and for how long. Those of what ships: training/recipes."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.losses import LossWeights
from training.network import NetworkConfig
from training.simulation.echo import EchoSettings
from training.simulation.scenes import SceneSettings

RECIPES = Path(__file__).with_name("recipes")
_FINAL_LEARNING_RATE = 0.03  # of the stage's, reached by a cosine

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    ``teacher_forced_share`` of the outputs are conditioned on the teacher's vector in place of the network's own
    embedding, which is regressed onto that vector with ``teacher_weight``; both are curves over the stage's progress.
    ``train_only``: parts of the network or single parameters, by their names in it, that learn; the others stay as they
    are, batch-norm statistics included. Empty: all. ``norm_statistics``: whether those statistics follow what is heard
    where a part learns. ``warmup_steps``: in which the learning rate rises. ``rates``: parts that learn faster or
    slower than the others, by so much. The losses' weights are those of ``training.losses.LossWeights``.
    """

    name: str
    steps: int
    learning_rate: float
    teacher_forced_share: Curve = ((0.0, 0.0),)
    teacher_weight: Curve = ((0.0, 0.0),)
    identification_weight: float = LossWeights.identification
    spectral_weight: float = LossWeights.spectral
    ratio_weight: float = LossWeights.ratio
    disturbance_weight: float = LossWeights.disturbance
    over_suppression: float = LossWeights.over_suppression
    faded_bands_weight: float = LossWeights.faded_bands
    scale_invariance: float = LossWeights.scale_invariance
    absent_weight: float = LossWeights.absent
    delay_weight: float = LossWeights.delay
    distillation_weight: float = LossWeights.distillation
    train_only: tuple[str, ...] = ()
    norm_statistics: bool = True
    warmup_steps: int = 60
    rates: Mapping[str, float] = field(default_factory=dict)
    scenes: SceneSettings = field(default_factory=SceneSettings)

    def needs_teacher(self) -> bool:
        """Whether vectors from outside are needed at any point."""
        return any(value > 0 for _, value in (*self.teacher_forced_share, *self.teacher_weight))

    def loss_weights(self, progress: float) -> LossWeights:
        """Those at ``progress`` 0..1 through the stage."""
        return LossWeights(
            spectral=self.spectral_weight,
            ratio=self.ratio_weight,
            disturbance=self.disturbance_weight,
            over_suppression=self.over_suppression,
            faded_bands=self.faded_bands_weight,
            scale_invariance=self.scale_invariance,
            absent=self.absent_weight,
            identification=self.identification_weight,
            delay=self.delay_weight,
            distillation=self.distillation_weight,
            teacher=value_at(self.teacher_weight, progress),
        )

    def teaches(self, name: str) -> bool:
        """Whether a part or a parameter of the network learns, by its name in it."""
        return not self.train_only or any(f"{name}.".startswith(f"{part}.") for part in self.train_only)

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine down to _FINAL_LEARNING_RATE."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1)))
        decayed = _FINAL_LEARNING_RATE + (1 - _FINAL_LEARNING_RATE) * cosine
        return self.learning_rate * decayed * min(1, (step + 1) / self.warmup_steps)


def value_at(curve: Curve, progress: float) -> float:
    """A piecewise-linear curve's value at ``progress`` 0..1."""
    return float(np.interp(progress, [x for x, _ in curve], [y for _, y in curve]))


def load_schedule(path: Path) -> list[Stage]:
    """Stages in order. Raises ValueError, naming the stage, on an unknown key or on what no scene can be made of."""
    stages = []
    for entry in tomllib.loads(path.read_text())["stage"]:
        scenes = {key: _frozen(value) for key, value in entry.pop("scenes", {}).items()}
        try:
            if "echo" in scenes:
                echo = {key: _frozen(value) for key, value in scenes["echo"].items()}
                scenes["echo"] = EchoSettings(**echo)
            settings = SceneSettings(**scenes)
            stages.append(Stage(**{key: _frozen(value) for key, value in entry.items()}, scenes=settings))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, stage {entry.get('name')}: {error}") from error
    return stages


def default_stages(config: NetworkConfig) -> list[Stage]:
    """Stages from the beginning, for a kind of network: with a teacher, or with a larger network's profiles; with a far
    end, those of its branch after them.
    """
    recipes = ["pvqe-s" if config.profile_size is None else "pvqe-xs"]
    if config.far_channels is not None:
        recipes.append("pvqe-s-far")
    return [stage for recipe in recipes for stage in load_schedule(RECIPES / recipe / "stages.toml")]


def choose_stages(stages: list[Stage], names: str) -> list[Stage]:
    """Those with these names, comma-separated; all, where there are none. Raises ValueError on an unknown name."""
    if not names:
        return stages
    unknown = set(names.split(",")) - {stage.name for stage in stages}
    if unknown:
        raise ValueError(
            f"there is no stage {', '.join(sorted(unknown))}: choose among {', '.join(s.name for s in stages)}."
        )
    return [stage for stage in stages if stage.name in names.split(",")]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
