"""The stages of a run, read from a TOML file: what each contains, and for how long."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.simulation.echo import EchoSettings
from training.simulation.scenes import SceneSettings

DEFAULT_SCHEDULE = Path(__file__).with_name("schedule.toml")
_WARMUP_STEPS = 60
_FINAL_LEARNING_RATE = 0.03  # of the stage's, reached by a cosine

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Stage:
    """One stage of a run. ``given_share`` of the outputs are conditioned on the teacher's vector; the embedding is
    regressed onto it with ``teacher_weight``; both are curves over the stage's progress. ``train_only``: parts of the
    network or single parameters, by their names in it, that learn; the others stay as they are, batch-norm statistics
    included. Empty: all. ``rates``: parts that learn faster or slower than the others, by so much. ``lighter``: for a
    network that takes a larger one's profiles from its first step; ``example_weight``: how much it counts how far its
    outputs are from that one's.
    """

    name: str
    steps: int
    learning_rate: float
    given_share: Curve = ((0.0, 0.0),)
    teacher_weight: Curve = ((0.0, 0.0),)
    identification_weight: float = 0.0
    spectral_weight: float = 3.0  # see training.step.Guidance
    over_suppression: float = 0.3
    scale_invariance: float = 0.0
    absent_weight: float = 0.1
    delay_weight: float = 0.0
    example_weight: float = 0.0
    train_only: tuple[str, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    lighter: bool = False
    scenes: SceneSettings = field(default_factory=SceneSettings)

    def needs_teacher(self) -> bool:
        """Whether vectors from outside are needed at any point."""
        return any(value > 0 for _, value in (*self.given_share, *self.teacher_weight))

    def teaches(self, name: str) -> bool:
        """Whether a part or a parameter of the network learns, by its name in it."""
        return not self.train_only or any(f"{name}.".startswith(f"{part}.") for part in self.train_only)

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine down to _FINAL_LEARNING_RATE."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1)))
        decayed = _FINAL_LEARNING_RATE + (1 - _FINAL_LEARNING_RATE) * cosine
        return self.learning_rate * decayed * min(1, (step + 1) / _WARMUP_STEPS)


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


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
