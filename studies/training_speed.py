"""How fast a step of training is here, part by part: ``python -m studies training-speed --network pvqe-s``.

The scenes are those of a stage of the schedule, made from noise instead of recordings: what they sound like takes no
time. The first steps, which pay for the memory, are not counted; nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from evaluation.report.markdown import table
from training import options
from training.network import CONFIGS, SAMPLE_RATE_HZ, Network
from training.schedule import RECIPES, Stage, load_schedule
from training.simulation.corpus import Bank, Track
from training.simulation.rooms import POSITIONS, RESPONSE_SAMPLES, Rooms
from training.simulation.scenes import SceneSimulator
from training.train import Trainer

_VOICES, _NOISES, _ROOMS, _TRACK_S = 64, 32, 16, 60
_FIRST_STEPS = 4
PARTS = ("data", "encoder", "temporal", "decoder", "losses", "backward", "optimizer")


def made_up_scenes(device: torch.device, seed: int = 0) -> SceneSimulator:
    """A simulator of scenes whose recordings are white noise."""
    random = np.random.default_rng(seed)

    def bank(count: int) -> Bank:
        length = _TRACK_S * SAMPLE_RATE_HZ
        samples = torch.from_numpy(random.integers(-8000, 8000, count * length, dtype=np.int16))
        tracks = [Track(f"{i}@1.0", i * length, length, 0.1, (0, length // 2)) for i in range(count)]
        return Bank(samples.to(device), tracks)

    decay = np.exp(-np.arange(RESPONSE_SAMPLES) / (0.1 * SAMPLE_RATE_HZ))
    responses = random.normal(size=(_ROOMS, POSITIONS, RESPONSE_SAMPLES)) * decay
    return SceneSimulator(
        bank(_VOICES), bank(_NOISES), Rooms(torch.from_numpy(responses.astype(np.float32)).to(device)), random
    )


def measure(trainer: Trainer, stage: Stage, steps: int) -> tuple[dict[str, float], float]:
    """Seconds of each of PARTS over ``steps`` steps of a stage, and seconds of audio that they presented."""
    spent = dict.fromkeys(PARTS, 0.0)
    wait = torch.cuda.synchronize if trainer.device.type == "cuda" else lambda: None

    def timed(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed_call(*arguments: Any) -> Any:
            wait()
            began = time.perf_counter()
            result = call(*arguments)
            wait()
            spent[part] += time.perf_counter() - began
            return result

        return timed_call

    network: Any = trainer.network
    network.encode = timed("encoder", network.encode)
    network.temporal = timed("temporal", network.temporal)
    network.decode = timed("decoder", network.decode)
    before = trainer.seconds
    trainer.clock.restart()
    for _ in range(steps):
        trainer.step(stage)
    phases = trainer.clock.spent()
    inside = spent["encoder"] + spent["temporal"] + spent["decoder"]
    spent |= {part: phases[part] for part in ("data", "backward", "optimizer")}
    spent["losses"] = phases["forward"] - inside
    return spent, trainer.seconds - before


@click.command()
@click.option("--network", "name", type=click.Choice(sorted(CONFIGS)), default="pvqe-s", show_default=True)
@click.option("--stage", "stage_name", default="teacher-free", show_default=True, help="Of the schedule.")
@click.option(
    "--schedule",
    type=click.Path(path_type=Path),
    default=RECIPES / "pvqe-s/stages.toml",
    help="Stages, as TOML.",
)
@click.option("--device", default="cpu", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Fuse operations, as the run will.")
@click.option("--threads", default=1, show_default=True)
@click.option("--steps", default=10, show_default=True)
def main(
    name: str, stage_name: str, schedule: Path, device: str, compiled: bool, threads: int, steps: int
) -> None:
    """Seconds of audio presented a second, by part of a step."""
    where = options.start(threads, 0, device)
    stages = {stage.name: stage for stage in load_schedule(schedule)}
    if stage_name not in stages:
        raise click.UsageError(f"There is no stage {stage_name!r}: choose one of {', '.join(stages)}.")
    # A teacher costs next to nothing, and there is none for voices that are made up.
    stage = replace(stages[stage_name], teacher_forced_share=((0.0, 0.0),), teacher_weight=((0.0, 0.0),))
    trainer = Trainer(Network(CONFIGS[name]).to(where), [stage], made_up_scenes(where), None, seed=0)
    if compiled:
        trainer.compile()
    trainer.embed_voices()
    for _ in range(_FIRST_STEPS):
        trainer.step(stage)
    spent, seconds = measure(trainer, stage, steps)
    total = sum(spent.values())
    rows = [
        [part, f"{1000 * value / steps:.0f}", f"{value / total:.0%}", f"{seconds / value:.0f}"]
        for part, value in [*spent.items(), ("all", total)]
    ]
    precision = "bf16" if trainer.bfloat16 else "fp32"
    click.echo(table(["part", "ms a step", "share", "x real time"], rows))
    click.echo(f"\n{name}, stage {stage_name}, {device}, {threads} threads, {precision}")
