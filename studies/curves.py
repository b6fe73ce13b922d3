"""Learning curves of a network over all of its runs: a file that grows with them, and its plot.

    python -m studies curves log FILE --run NAME --after HOURS RUN/log.jsonl       # what a run's log says, condensed
    python -m studies curves score FILE --run NAME --after HOURS --data DIR A.pt B.pt   # dev scores of its checkpoints
    python -m studies curves plot FILE -o docs/curves-NETWORK.png

``--after``: hours that had been presented when the run began.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from matplotlib.figure import Figure

from studies import options
from training.checkpoint import load_checkpoint
from training.dev import dev_scores

LOSSES = {"time": "minus SNR dB, absent targets' residual", "identification": "identification"}
SCORES = {
    "two_talkers_gain_right": "two talkers, gain",
    "same_sex_gain_right": "of it same sex",
    "gap_mean": "right minus wrong profile",
    "noise_gain_right": "noise at 5 dB, gain",
    "interferer_suppression_mean": "only others, suppression",
    "echo_erle_real": "ERLE, recorded",
    "echo_erle_synthetic": "ERLE, simulated",
}
"""Of `training.dev`, and how they are called in the plot; those a network does not have are left out."""
_PARTS = ("spectral", "time", "identification", "teacher", "distillation", "delay")
_ENTRIES_A_POINT = 5

Row = dict[str, Any]


def read(file: Path) -> list[Row]:
    """Rows of a file of curves, or of a run's log; none where there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def add(file: Path, rows: Iterable[Row]) -> None:
    """Put rows in the place of those of the same run, kind and step, ordered by hours; whole or not at all."""
    merged = {(row["run"], "dev" in row, row["step"]): row for row in (*read(file), *rows)}
    ordered = sorted(merged.values(), key=lambda row: row["hours"])
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in ordered))
    partial.replace(file)


def condensed(entries: Sequence[Row], run: str, after_hours: float) -> list[Row]:
    """A run's log with the mean of every few entries in their place, and its dev scores."""
    losses = [entry for entry in entries if "loss" in entry]
    rows: list[Row] = [
        {
            "run": run,
            "step": entry["step"],
            "hours": round(after_hours + entry["hours"], 2),
            "dev": entry["dev"],
        }
        for entry in entries
        if "dev" in entry
    ]
    for start in range(0, len(losses), _ENTRIES_A_POINT):
        some = losses[start : start + _ENTRIES_A_POINT]
        means = {
            part: round(float(np.mean([e[part] for e in some])), 4) for part in _PARTS if part in some[0]
        }
        last = some[-1]
        hours = round(after_hours + last["hours"], 2)
        rows.append({"run": run, "stage": last["stage"], "step": last["step"], "hours": hours, **means})
    return rows


def drawn(rows: Sequence[Row]) -> bytes:
    """Losses and dev scores over the hours presented, as a PNG."""
    parts = [part for part in LOSSES if any(part in row for row in rows)]
    scored = [row for row in rows if "dev" in row]
    figure = Figure(figsize=(4.4 * (len(parts) + 1), 3.6), layout="constrained")
    axes = figure.subplots(1, len(parts) + 1, squeeze=False)[0]
    for axis, part in zip(axes, parts, strict=False):
        for run in dict.fromkeys(row["run"] for row in rows if part in row):
            points = [(row["hours"], row[part]) for row in rows if row["run"] == run and part in row]
            axis.plot(*zip(*points, strict=True), lw=1.2, label=run)
        axis.set(xlabel="hours presented", ylabel=f"loss: {LOSSES[part]}")
        axis.legend(fontsize=7)
    for name, label in SCORES.items():
        points = [(row["hours"], row["dev"][name]) for row in scored if name in row["dev"]]
        if points:
            axes[-1].plot(*zip(*points, strict=True), "o-", ms=3, lw=1.2, label=label)
    axes[-1].set(xlabel="hours presented", ylabel="dev scores (quick set), dB")
    if scored:
        axes[-1].legend(fontsize=7)
    for axis in axes:
        axis.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


@click.group()
def main() -> None:
    """Keep and plot learning curves."""


_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
_RUN = click.option("--run", required=True, help="Name of the run, as in docs/history.md.")
_AFTER = click.option("--after", "after_hours", default=0.0, help="Hours presented before the run.")


@main.command()
@_FILE
@_RUN
@_AFTER
@click.argument("log_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def log(file: Path, run: str, after_hours: float, log_file: Path) -> None:
    """Add what a run's log says."""
    add(file, condensed(read(log_file), run, after_hours))


@main.command()
@_FILE
@_RUN
@_AFTER
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--profile-network", type=click.Path(exists=True, path_type=Path), help="Makes the profiles.")
@options.data
def score(
    file: Path,
    run: str,
    after_hours: float,
    checkpoints: tuple[Path, ...],
    profile_network: Path | None,
    root: Path,
) -> None:
    """Add the dev scores of a run's checkpoints."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    larger = load_checkpoint(profile_network)[0] if profile_network else None
    for checkpoint in checkpoints:
        network, history = load_checkpoint(checkpoint)
        hours = round(after_hours + history.get("hours_presented", 0.0), 2)
        scores = dev_scores(network, root, larger)
        add(file, [{"run": run, "step": history.get("steps", 0), "hours": hours, "dev": scores}])


@main.command()
@_FILE
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def plot(file: Path, output: Path) -> None:
    """Plot all of it."""
    rows = read(file)
    if not rows:
        raise click.ClickException(f"{file} has no curves: add some with the log and score commands.")
    output.write_bytes(drawn(rows))
