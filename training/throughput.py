"""How large the steps of a stage should be on this device, and whether to compile: measured in a few seconds each.

Larger steps present more audio a second, and fewer steps are made. What a step is worth grows with its size B, but
ever less, as B / (B + S) (McCandlish et al., arXiv 1812.06162), where S, the gradient's noise scale, is the size at
which its mean and its scatter are alike. So the setting is taken that makes most **progress** a second: steps a
second times B / (B + S). The learning rate goes with the square root of B, as Adam's should (Malladi et al., arXiv
2205.10287).
"""

from __future__ import annotations

import copy
import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from training.schedule import Stage
from training.train import Trainer

_MOST_STEPS = 20
_USABLE_MEMORY = 0.9  # of a GPU's: scenes differ, and memory is never without gaps


@dataclass(frozen=True)
class Setting:
    """How large the steps are, and whether their operations are fused."""

    speaker_groups: int
    compiled: bool = False

    def stage(self, stage: Stage) -> Stage:
        """A stage with steps of this size, and a learning rate to match."""
        rate = stage.learning_rate * math.sqrt(self.speaker_groups / stage.scenes.speaker_groups)
        return replace(
            stage, learning_rate=rate, scenes=replace(stage.scenes, speaker_groups=self.speaker_groups)
        )

    def __str__(self) -> str:
        return f"{self.speaker_groups} speaker groups{', compiled' * self.compiled}"


@dataclass(frozen=True)
class Trial:
    """What came of a setting."""

    setting: Setting
    seconds_a_step: float = 0.0
    times_real_time: float = 0.0  # seconds of audio presented a second
    memory_gib: float = 0.0  # of a GPU
    first_step_s: float = 0.0  # with memory and compilation
    shares: dict[str, float] = field(default_factory=dict)  # of a step's time, by part
    failure: str = ""  # why it can't be used

    def progress(self, noise_scale: float) -> float:
        """A second; ``noise_scale`` in speaker groups. 0 where the setting can't be used."""
        if self.failure:
            return 0.0
        groups = self.setting.speaker_groups
        return groups / (groups + noise_scale) / self.seconds_a_step

    def __str__(self) -> str:
        if self.failure:
            return f"{self.setting}: left out ({self.failure})"
        memory = f", {self.memory_gib:.0f} GiB" if self.memory_gib else ""
        return (
            f"{self.setting}: {1000 * self.seconds_a_step:.0f} ms a step, {self.times_real_time:.0f} x real time"
            f"{memory}, {self.first_step_s:.0f} s for the first step"
        )


def measure(
    make: Callable[[Setting], Trainer], sizes: Sequence[int], noise_scale: float, seconds: float,
    report: Callable[[Trial], None],
) -> tuple[Trainer, Trial]:  # fmt: skip
    """Try speaker groups of ``sizes`` for about ``seconds`` each, then, on a GPU, the best of them compiled.

    ``make`` gives a trainer with its one stage set so. The trainer of the best setting, as it was before it was tried,
    and what came of that. Each trial is given to ``report``. A size that fails, for want of memory mostly, is left out,
    and so are the larger ones. Raises ValueError when none can be used.
    """
    trials: list[Trial] = []
    kept: Trainer | None = None
    best: Trial | None = None

    def take(setting: Setting) -> bool:
        nonlocal kept, best
        trainer, trial = _tried(make, setting, seconds)
        report(trial)
        trials.append(trial)
        if trial.progress(noise_scale) > (best.progress(noise_scale) if best else 0):
            kept, best = trainer, trial
        del trainer
        release_memory()
        return not trial.failure

    for size in sorted(sizes):
        if not take(Setting(size)):
            break
    if kept is None or best is None:
        raise ValueError(f"No setting can be used here: {'; '.join(map(str, trials))}.")
    if kept.device.type == "cuda":
        take(replace(best.setting, compiled=True))
    return kept, best


def out_of_memory(error: BaseException) -> bool:
    """Whether that is what an error says, of whatever part of PyTorch it is."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "allocate memory" in text or "alloc_failed" in text
    )


def _tried(
    make: Callable[[Setting], Trainer], setting: Setting, seconds: float
) -> tuple[Trainer | None, Trial]:
    try:
        trainer = make(setting)
        return trainer, _timed(trainer, setting, seconds)
    except (RuntimeError, MemoryError) as error:
        if not (setting.compiled or out_of_memory(error)):
            raise
        return None, Trial(setting, failure=(str(error).strip() or type(error).__name__).splitlines()[0])


def _timed(trainer: Trainer, setting: Setting, seconds: float) -> Trial:
    before = copy.deepcopy(trainer.state_dict())
    stage = trainer.stages[0]
    cuda = trainer.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    _time_steps(trainer, stage, 1)
    first_step_s = time.perf_counter() - begun
    step_s = sum(_time_steps(trainer, stage, 1).values())
    count = min(max(round(seconds / step_s), 1), _MOST_STEPS)
    presented = trainer.seconds
    spent = _time_steps(trainer, stage, count)
    total, presented = sum(spent.values()), trainer.seconds - presented
    memory = torch.cuda.max_memory_reserved() if cuda else 0
    trainer.load_state_dict(before)
    failure = ""
    if cuda and memory > _USABLE_MEMORY * torch.cuda.get_device_properties(trainer.device).total_memory:
        failure = f"{memory / 2**30:.0f} GiB leave too little memory"
    return Trial(
        setting,
        seconds_a_step=total / count,
        times_real_time=presented / total,
        memory_gib=memory / 2**30,
        first_step_s=first_step_s,
        shares={part: round(part_s / total, 3) for part, part_s in spent.items()},
        failure=failure,
    )


def _time_steps(trainer: Trainer, stage: Stage, count: int) -> dict[str, float]:
    """Seconds by part that some steps take."""
    trainer.clock.restart()
    for _ in range(count):
        trainer.step(stage)
    return trainer.clock.spent()


def release_memory() -> None:
    """Give back what a trainer that is gone has held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
