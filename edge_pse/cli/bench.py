"""``edge-pse bench``: what the network costs on this machine."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path

import click

from edge_pse import targets
from edge_pse.backends import RUNTIMES
from edge_pse.benchmark import Benchmark, measure
from edge_pse.cli import options, output
from edge_pse.cli.number_range import NumberRange
from edge_pse.errors import ModelError
from edge_pse.model import MOST_THREADS, available_models


@click.command()
@click.option("--seconds", type=NumberRange(0.1, 3600), default=10.0, show_default=True, help="Of audio.")
@click.option("--all", "all_models", is_flag=True, help="Every model, on every installed runtime for it.")
@click.option(
    "--threads",
    type=click.IntRange(1, MOST_THREADS),
    show_default=options.OF_TARGET,
    help="For the work on one frame.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures, for programs.")
@options.target
@options.model_of_target
@options.backend_of_target
def bench(
    seconds: float,
    all_models: bool,
    threads: int | None,
    as_json: bool,
    target: str,
    model_name: str | None,
    backend: str | None,
) -> None:
    """Measure what a model costs on this machine.

    Times are those of one frame.
    Close other programs first: they make p99 and max longer.
    """
    if all_models and (model_name or backend):
        raise click.UsageError("--all measures each model on each runtime: leave out --model and --backend.")
    settings = targets.choose(target).settings.override(model=model_name, backend=backend, threads=threads)
    if all_models:
        results = [_measure_alone(path, runtime, seconds, settings.threads) for path, runtime in _all_pairs()]
    else:
        results = [measure(settings.model, settings.backend, seconds, settings.threads)]
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=1))
    else:
        _show(results)


def _all_pairs() -> list[tuple[Path, str]]:
    return [
        (path, name)
        for path in available_models()
        for name, runtime in RUNTIMES.items()
        if runtime.suffix == path.suffix and runtime.installed_version() is not None
    ]


def _measure_alone(path: Path, backend: str, seconds: float, threads: int) -> Benchmark:
    """Measure in a new process: in this one the runtimes of earlier models would count as its memory."""
    # Here, because every command loads this module, and these take as long as many a hop.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            return process.submit(measure, path, backend, seconds, threads).result()
    except BrokenProcessPool:
        raise ModelError(
            f"Model {path} ended the process of {backend} that ran it: copy it again, or leave it out."
        ) from None


def _show(results: list[Benchmark]) -> None:
    frames, frame_ms, threads = results[0].frames, results[0].frame_ms, results[0].threads
    on = "one thread" if threads == 1 else f"{threads} threads"
    click.echo(f"{frames} frames of {frame_ms:.0f} ms, {on}, {platform.machine()}\n")
    table = output.table("", *(result.model for result in results))
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {
        "runtime": [result.backend for result in results],
        "frame, p50": [f"{result.enhancer.p50_ms:.3f} ms" for result in results],
        "frame, p99": [f"{result.enhancer.p99_ms:.3f} ms" for result in results],
        "frame, max": [f"{result.enhancer.max_ms:.3f} ms" for result in results],
        "network alone, p50": [f"{result.network.p50_ms:.3f} ms" for result in results],
        "network alone, p99": [f"{result.network.p99_ms:.3f} ms" for result in results],
        "network alone, max": [f"{result.network.max_ms:.3f} ms" for result in results],
        "share of real time": [f"{result.real_time_share:.1%}" for result in results],
        "latency": [f"{result.latency_ms:.0f} ms" for result in results],
        "resident memory": [_megabytes(result.resident_mb) for result in results],
        "time to load": [f"{result.load_ms:.0f} ms" for result in results],
    }
    for label, values in rows.items():
        table.add_row(label, *values)
    output.show(table)


def _megabytes(size: float | None) -> str:
    return "unknown" if size is None else f"{size:.0f} MB"
