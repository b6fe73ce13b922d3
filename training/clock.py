"""Where the time of a step goes, without holding a GPU up."""

from __future__ import annotations

import time

import torch


class StepClock:
    """Seconds by part of a step. On a GPU it is the GPU's time: marks are left in its queue of work, and read later."""

    def __init__(self, device: torch.device):
        self._on_gpu = device.type == "cuda"
        self.restart()

    def restart(self) -> None:
        """Forget what was; the next part begins now."""
        self._marks: list[tuple[str, float | torch.cuda.Event]] = []
        self.lap("")

    def lap(self, part: str) -> None:
        """What was done since the last lap belongs to ``part``."""
        if not self._on_gpu:
            self._marks.append((part, time.perf_counter()))
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append((part, event))

    def spent(self) -> dict[str, float]:
        """Seconds since the restart, by part, in order of appearance; waits for the GPU."""
        if self._on_gpu:
            torch.cuda.synchronize()
        seconds: dict[str, float] = {}
        for (_, begun), (part, ended) in zip(self._marks, self._marks[1:], strict=False):
            seconds[part] = seconds.get(part, 0.0) + _between(begun, ended)
        return seconds


def _between(begun: float | torch.cuda.Event, ended: float | torch.cuda.Event) -> float:
    if isinstance(begun, float) or isinstance(ended, float):
        assert isinstance(begun, float) and isinstance(ended, float)
        return ended - begun
    return begun.elapsed_time(ended) / 1000
