"""What each system costs, measured in turns so that a busy machine slows all of them alike.

Read the ratios; the absolute figures are those of this machine at this hour.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.results import SystemResult
from evaluation.systems.command import CommandSystem
from evaluation.systems.process import SystemProcess
from evaluation.systems.spec import SystemFailure

ROUNDS = 5
CLIP_SECONDS = 8.0


@dataclass(frozen=True)
class Cost:
    """The cost of one system. CPU figures are medians over the rounds, with the extremes."""

    system: str
    description: str
    streams: bool
    """False: it sees the whole clip at once, which is cheaper than the same work frame by frame."""
    cpu_per_second: float
    cpu_low: float
    cpu_high: float
    ratio: float
    """CPU time over that of the first system in the list, round by round; median."""
    latency_ms: float | None
    peak_rss_mb: float | None
    """Of the system's whole process, interpreter included; not known of a command."""
    size_mb: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_costs(results: list[SystemResult], mixture: np.ndarray) -> list[Cost]:
    """Run every model, peer and command on the same `mixture`, one thread each, in interleaved rounds.

    The first system that runs is the unit of the ratios. Systems that fail are left out; their rows say why.
    """
    engines: list[tuple[SystemResult, SystemProcess | CommandSystem]] = []
    for result in results:
        if (
            result.reason is None
            and result.spec.full_band
            and result.spec.kind in ("model", "peer", "command")
        ):
            try:
                engines.append((result, _open(result)))
            except SystemFailure:
                continue
    seconds: dict[str, list[float]] = {result.name: [] for result, _ in engines}
    memory: dict[str, float | None] = {}
    silence, enrollment = np.zeros_like(mixture), mixture
    for round_number in range(ROUNDS + 1):
        for result, engine in engines:
            try:
                output = engine.enhance(
                    mixture,
                    enrollment if result.spec.kind == "command" and result.info.uses_profile else None,
                    silence if result.info.needs_far_end else None,
                )
            except SystemFailure:
                continue
            memory[result.name] = output.peak_rss_mb
            if round_number > 0:  # the first round warms caches up
                seconds[result.name].append((output.cpu_seconds or 0.0) * SAMPLE_RATE_HZ / len(mixture))
    for _, engine in engines:
        engine.close()
    return _summarised(
        [result for result, _ in engines if len(seconds[result.name]) == ROUNDS], seconds, memory
    )


def _open(result: SystemResult) -> SystemProcess | CommandSystem:
    spec = result.spec
    return CommandSystem(spec.argument) if spec.kind == "command" else SystemProcess(spec)


def _summarised(
    results: list[SystemResult], seconds: dict[str, list[float]], memory: dict[str, float | None]
) -> list[Cost]:
    costs = []
    for result in results:
        own, unit = np.array(seconds[result.name]), np.array(seconds[results[0].name])
        costs.append(
            Cost(
                result.name,
                result.info.description,
                result.info.streams,
                float(np.median(own)),
                float(own.min()),
                float(own.max()),
                float(np.median(own / np.maximum(unit, 1e-9))),
                result.info.latency_ms,
                memory[result.name],
                None if result.info.size_bytes is None else result.info.size_bytes / 1e6,
            )
        )
    return costs
