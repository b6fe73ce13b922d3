"""One model on one runtime, in a process of its own: runtimes need different Pythons, and memory is per
process.

``python -m quantization.worker run FILE BACKEND JOB RESULT`` reads and writes ``.npz`` files;
``python -m quantization.worker time BACKEND FILE...`` prints JSON. Needs nothing but the device library.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edge_pse.enrollment import embed
from edge_pse.model import Model
from quantization.calibration import spectra
from quantization.quality import enhance

NO_PROFILE = -1
ROUNDS, STEPS = 40, 50


def run(path: Path, backend: str, job: Path, result: Path) -> None:
    """Enroll and enhance.

    The job holds recordings to enroll ``enrollment_0`` ..., mixtures ``noisy_0`` ..., for each of those the index of
    its enrollment in ``profiles`` (NO_PROFILE for none), and where there is a far end ``far_end_0`` ..., which models
    without one are not given. ``embeddings``, where given, are used in place of the model's own. The result holds
    ``embeddings`` (enrollments, embedding size), ``enhanced_0`` ..., and ``peak_memory_mb``.
    """
    content = np.load(job)
    model = Model.load(path, backend)
    if "embeddings" in content:
        embeddings = content["embeddings"]
    else:
        profile_network = model.profile_network()
        embeddings = np.stack(
            [embed(recording, profile_network) for recording in _numbered(content, "enrollment")]
        )
    enhanced = []
    for number, profile in enumerate(content["profiles"]):
        far_end = content.get(f"far_end_{number}") if model.contract.far_end else None
        embedding = None if profile == NO_PROFILE else embeddings[profile]
        enhanced.append(enhance(model, content[f"noisy_{number}"], embedding, far_end))
    outputs = {f"enhanced_{number}": samples for number, samples in enumerate(enhanced)}
    write_arrays(result, {"embeddings": embeddings, "peak_memory_mb": np.array(_peak_memory_mb()), **outputs})


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write a job or a result."""
    np.savez(path, **arrays)


def measure_times(paths: list[Path], backend: str) -> dict[str, dict[str, float]]:
    """Milliseconds a frame of each model, in turns, so that a busy machine slows all of them alike."""
    models = [Model.load(path, backend) for path in paths]
    frames = [next(spectra(model, _noise(model.contract.hop_samples))) for model in models]
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(ROUNDS):
        for model, frame, times in zip(models, frames, seconds, strict=True):
            states = model.contract.initial_states()
            profile = np.ones((1, model.contract.profile_size), np.float32)
            for _ in range(STEPS):
                start = time.perf_counter()
                _, _, states = model.backend.step(frame, profile, states)
                times.append(time.perf_counter() - start)
    return {
        str(path): {f"p{share}": float(np.percentile(times, share)) * 1000 for share in (50, 99)}
        for path, times in zip(paths, seconds, strict=True)
    }


def _peak_memory_mb() -> float:
    """Of this program alone: what getrusage says begins with the process that started it. NaN without /proc."""
    file = Path("/proc/self/status")
    if not file.exists():
        return float("nan")
    status = file.read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def _numbered(content: np.lib.npyio.NpzFile, name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}_") for key in content)
    return [content[f"{name}_{number}"] for number in range(count)]


def main(arguments: list[str]) -> None:
    """See the module."""
    if arguments[0] == "run":
        model, backend, job, result = arguments[1:]
        run(Path(model), backend, Path(job), Path(result))
    else:
        backend, *models = arguments[1:]
        print(json.dumps(measure_times([Path(model) for model in models], backend)))


if __name__ == "__main__":
    main(sys.argv[1:])
