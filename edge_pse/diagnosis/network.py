"""The network: whether something runs it here, and runs it in time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence

from edge_pse import targets
from edge_pse.backends import RUNTIMES
from edge_pse.benchmark import FrameTimes, speech_like
from edge_pse.diagnosis.finding import Finding, fail, ok, warn
from edge_pse.enhancer import Enhancer
from edge_pse.errors import ModelError
from edge_pse.model import Model
from edge_pse.spectral import Samples
from edge_pse.targets import Settings, Target

_FRAMES = 300
_EASY_SHARE = 0.5
"""A network that takes more of its time than this leaves little for the rest of the machine."""
_LIGHTEST = "pvqe-xs"
"""The network that takes least time; it takes less away, too."""


def runtimes(target: Target | None = None) -> Finding:
    """Which inference runtimes are installed, and whether the best one for this machine is."""
    target = target or targets.choose()
    installed = {name: version for name in RUNTIMES if (version := RUNTIMES[name].installed_version())}
    if not installed:
        bits = " and use a system of 64 bits" if sys.maxsize < 2**32 else ""
        return fail("No inference runtime is installed.", _install(target.settings.backend[0]) + bits)
    listed = ", ".join(f"{name} {version}" for name, version in installed.items())
    best = target.settings.backend[0]
    if target.boards and best not in installed:
        return warn(f"{listed}; {best}, the fastest one, is missing.", _install(best))
    return ok(f"{listed}.")


def in_time(settings: Settings | None = None) -> Finding:
    """Whether the network takes less than a hop for a hop, at the pace of live sound.

    At that pace, because a processor that is idle in between lowers its clock, and a busy one is not free at once.
    """
    settings = settings or targets.choose().settings
    try:
        model = settings.load_model()
    except ModelError as error:
        return fail(str(error), "edge-pse info shows what is installed.")
    contract = model.contract
    hop_s = contract.hop_samples / contract.sample_rate_hz
    frames = _paced(speech_like(_FRAMES, contract), hop_s)
    times = FrameTimes.of(Enhancer(model).process, frames)
    what = f"{model.path.name} on {model.backend.name}"
    return verdict(times, 1000 * hop_s, what, faster_than(model))


def faster_than(model: Model) -> list[str]:
    """What to do, where it is known, that makes a hop cheaper than with this model in this runtime."""
    steps = []
    if model.backend.name != next(iter(RUNTIMES)):
        steps.append(_install(next(iter(RUNTIMES))))
    if model.contract.network != _LIGHTEST:
        steps.append(f"edge-pse run --model {_LIGHTEST}.int8")
    return steps


def verdict(times: FrameTimes, hop_ms: float, what: str, faster: Sequence[str] = ()) -> Finding:
    """What the times of many hops mean for live sound; ``faster``: see ``faster_than``."""
    sentence = f"{what}: 99 % of the hops of {hop_ms:.0f} ms take less than {times.p99_ms:.1f} ms"
    median = f"half of them less than {times.p50_ms:.1f} ms"
    if times.p99_ms <= _EASY_SHARE * hop_ms:
        return ok(f"{sentence}, {median}.")
    if times.p50_ms <= _EASY_SHARE * hop_ms:
        cause = f"{sentence}, though {median}: other programs are in the way{_load()}."
        advice = "End other programs, or take a larger buffer: edge-pse run --latency 100"
    else:
        cause = f"{sentence}, {median}: this machine is slow for it."
        # The first of these begins the sentence as a command, as those of the other findings do.
        advice = "; ".join([*faster, "end other programs", "cool the machine"])
        advice += ". edge-pse bench --all shows what is fastest."
    return (warn if times.p99_ms <= hop_ms else fail)(cause, advice)


def _load() -> str:
    """The load of the machine, in brackets; empty where nobody tells it."""
    try:
        return f" (load {os.getloadavg()[0]:.1f})"
    except (AttributeError, OSError):
        return ""


def _install(runtime: str) -> str:
    """The command that installs a runtime where this program runs."""
    return f"{sys.executable} -m pip install {RUNTIMES[runtime].distribution}"


def _paced(frames: Iterator[Samples], hop_s: float) -> Iterator[Samples]:
    """Each frame at its time, and never two at once to catch up."""
    due = time.monotonic()
    for frame in frames:
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due, time.monotonic()) + hop_s
        yield frame
