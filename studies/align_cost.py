"""What a far end costs on this machine: ``python -m studies align-cost`` prints the time of a frame on ONNX Runtime.

By how far back the network can look for the echo, beside the network without a far end. Weights are random: they do not
matter to the time.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from edge_pse.model import Model
from evaluation.report.markdown import table
from export.onnx import write_onnx
from training.network import CONFIGS, HOP_SAMPLES, SAMPLE_RATE_HZ, Network

ALIGN_FRAMES = (100, 50, 32)
ROUNDS, STEPS = 40, 50


def measure(models: list[Model]) -> list[float]:
    """Median milliseconds a frame of each, in turns, so that a busy machine slows all of them alike."""
    random = np.random.default_rng(0)
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(ROUNDS):
        for model, times in zip(models, seconds, strict=True):
            states = model.contract.initial_states()
            spectrum, far = random.standard_normal((2, 1, 2, 1, model.contract.bins)).astype(np.float32)
            profile = np.zeros((1, model.contract.profile_size), np.float32)
            for _ in range(STEPS):
                start = time.perf_counter()
                _, _, states = model.backend.step(
                    spectrum, profile, states, far if model.contract.far_end else None
                )
                times.append(time.perf_counter() - start)
    return [1000 * float(np.median(times)) for times in seconds]


@click.command()
@click.option("--network", "name", default="pvqe-s", show_default=True, help="One that has a -far variant.")
def main(name: str) -> None:
    """Print the median time of a frame, by the frames of history."""
    configs = [CONFIGS[name], *(replace(CONFIGS[f"{name}-far"], align_frames=n) for n in ALIGN_FRAMES)]
    models = []
    with tempfile.TemporaryDirectory() as folder:
        for number, config in enumerate(configs):
            path = Path(folder) / f"{number}.onnx"
            write_onnx(Network(config).eval(), path)
            models.append(Model.load(path))
    frame_ms = 1000 * HOP_SAMPLES / SAMPLE_RATE_HZ
    rows = []
    for config, model, ms in zip(configs, models, measure(models), strict=True):
        reach = f"{frame_ms * config.align_frames:.0f} ms" if model.contract.far_end else "no far end"
        floats = sum(math.prod(state.shape) for state in model.contract.states)
        rows.append([config.name, reach, f"{ms:.3f}", f"{4 * floats / 1000:.0f}"])
    click.echo(table(["network", "looks back", "ms a frame", "state, kB"], rows))
