"""What a model costs on this machine: time a frame, memory, time to load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_pse.contract import Contract
from edge_pse.enhancer import Enhancer
from edge_pse.model import Model
from edge_pse.spectral import Analysis, Samples

_WARM_UP_FRAMES = 100  # the first ones fill caches and buffers
_STATUS = Path("/proc/self/status")  # Linux alone tells what is resident now, rather than at its peak


@dataclass(frozen=True)
class FrameTimes:
    """How long one frame took, in milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float

    @classmethod
    def of(cls, run_frame: Callable[[Samples], object], frames: Iterator[Samples]) -> FrameTimes:
        """Time a function on each of the frames, the first ``_WARM_UP_FRAMES`` of them not counted."""
        times = []
        for frame in frames:
            started = time.perf_counter()
            run_frame(frame)
            times.append(1000 * (time.perf_counter() - started))
        counted = np.array(times[_WARM_UP_FRAMES:])
        p50, p99 = np.percentile(counted, [50, 99])
        return cls(float(p50), float(p99), float(counted.max()), float(counted.mean()))


@dataclass(frozen=True)
class Benchmark:
    """One model on one runtime."""

    model: str
    """Name of the model file."""
    backend: str
    threads: int
    frames: int
    frame_ms: float
    """Length of a frame: the time there is for it."""
    enhancer: FrameTimes
    """The whole way, from samples to samples."""
    network: FrameTimes
    """The step of the network alone."""
    real_time_share: float
    """Mean time of the whole way over the length of a frame."""
    load_ms: float
    """From the name of the model to one that is ready, the loading of its runtime included."""
    resident_mb: float | None
    """Memory of this process afterwards, in millions of bytes; None where the system does not tell."""
    latency_ms: float
    """From a sound to its enhanced sound, without the time of the computation."""


def measure(
    model_name: str | Path, backend: str | Sequence[str] = "auto", seconds: float = 10.0, threads: int = 1
) -> Benchmark:
    """Run ``seconds`` of speech-like sound through a model, frame by frame, after a second to warm up.

    For memory and load time to mean something, call it once in a process. Arguments and errors as for
    ``Model.load``.
    """
    started = time.perf_counter()
    model = Model.load(model_name, backend, threads)
    load_ms = 1000 * (time.perf_counter() - started)
    contract = model.contract
    frame_ms = 1000 * contract.hop_samples / contract.sample_rate_hz
    frames = max(1, round(1000 * seconds / frame_ms))
    enhancer = Enhancer(model)
    whole = FrameTimes.of(enhancer.process, speech_like(frames, contract))
    return Benchmark(
        model=model.path.name,
        backend=model.backend.name,
        threads=threads,
        frames=frames,
        frame_ms=frame_ms,
        enhancer=whole,
        network=_network_times(model, frames),
        real_time_share=whole.mean_ms / frame_ms,
        load_ms=load_ms,
        resident_mb=_resident_mb(),
        latency_ms=contract.latency_ms,
    )


def _network_times(model: Model, frames: int) -> FrameTimes:
    contract = model.contract
    analysis = Analysis(contract.window_samples, contract.first_bin)
    nobody = np.zeros((1, contract.profile_size), np.float32)
    states = contract.initial_states()

    def step(spectrum: Samples) -> None:
        nonlocal states
        _, _, states = model.backend.step(spectrum, nobody, states)

    return FrameTimes.of(step, (analysis(hop)[0] for hop in speech_like(frames, contract)))


def speech_like(frames: int, contract: Contract) -> Iterator[Samples]:
    """Frames to warm up with and to count: a gliding voice, four syllables a second, and faint noise.

    Between the syllables it fades towards silence, because small numbers can be the slow ones.
    """
    noise = np.random.default_rng(0)
    for frame in range(_WARM_UP_FRAMES + frames):
        start = frame * contract.hop_samples
        seconds = np.arange(start, start + contract.hop_samples) / contract.sample_rate_hz
        loudness = 0.1 * np.maximum(np.sin(2 * np.pi * 4 * seconds), 0) ** 2
        phase = 2 * np.pi * (120 * seconds + 8 * np.sin(2 * np.pi * 0.5 * seconds))
        voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 21))
        yield (loudness * voice + 1e-4 * noise.standard_normal(seconds.size)).astype(np.float32)


def _resident_mb() -> float | None:
    try:
        lines = dict(line.split(":", 1) for line in _STATUS.read_text(errors="replace").splitlines())
        return int(lines["VmRSS"].split()[0]) * 1024 / 1e6
    except (OSError, KeyError, ValueError):  # no /proc, or one that says less
        return None
