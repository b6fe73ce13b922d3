"""``edge-pse enhance``: a file of audio in, an enhanced one out; each of them may be a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

import edge_pse
from edge_pse.audio.files import PIPE_FORMATS, ProgressCallback, enhance_file
from edge_pse.cli import options, output, pipes
from edge_pse.cli.terminal import Area, is_terminal
from edge_pse.text import shown

# Shorter files are done before a bar could be read.
_LONG_SECONDS = 10


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--output", "target", required=True, metavar="OUT", type=click.Path(path_type=Path))
@options.profiles
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="How much of the rest to take away; 0 is nothing.",
)
@click.option("--channel", type=click.IntRange(1), help="Of IN; without it, those with most speech.")
@click.option(
    "--pipe-format",
    type=click.Choice([form.lower() for form in PIPE_FORMATS]),
    help=f"Of standard output, where OUT is {pipes.PIPE}; without it, flac if IN is FLAC, and wav otherwise.",
)
@click.option("--keep-channels", is_flag=True, help="Enhance each channel for itself, and write all.")
@click.option(
    "--far-end",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What the loudspeaker played meanwhile, from the same moment on: its echo is cancelled.",
)
@options.general
@options.model
@options.backend
def enhance(
    source: Path,
    target: Path,
    names: tuple[str, ...],
    strength: float,
    channel: int | None,
    pipe_format: str | None,
    keep_channels: bool,
    far_end: Path | None,
    general: bool,
    model_name: str,
    backend: str,
) -> None:
    """Take noise, other voices and echo out of an audio file.

    OUT has the rate and length of IN, is aligned with it, and may be IN itself. The ending of its name
    chooses the format. It has one channel, unless --keep-channels is given: the mean of those that agree, or
    the one with most speech.

    IN may be -, standard input, and OUT may be -, standard output: WAV or FLAC of any length, enhanced as it comes.
    """
    if channel is not None and keep_channels:
        raise click.UsageError("Give only one of --channel and --keep-channels.")
    if pipe_format is not None and not _is_pipe(target):
        raise click.UsageError(f"--pipe-format is for -o {pipes.PIPE}; the ending of a name says the format.")
    into: Path | BinaryIO = target
    if _is_pipe(target):
        into = cast(BinaryIO, pipes.Output())
        pipes.end_on_signals()
    origin = cast(BinaryIO, pipes.Input()) if _is_pipe(source) else source
    profiles = options.load_profiles(names, general)
    model = edge_pse.Model.load(model_name, backend, far_end=far_end is not None)
    if far_end is not None and not model.contract.far_end:
        click.echo(output.no_far_end(model), err=True)
        far_end = None
    started = time.monotonic()
    with _bar("standard input" if _is_pipe(source) else shown(source.name)) as on_progress:
        done = enhance_file(
            origin,
            into,
            model,
            profiles,
            strength,
            keep_channels,
            on_progress,
            far_end,
            channel,
            pipe_format and pipe_format.upper(),
        )
    took = time.monotonic() - started
    for note in done.notes:
        click.echo(shown(note), err=True)
    if channel is None and done.selection is not None and done.selection.partial:
        click.echo(output.chosen_channels(done.selection, _is_pipe(source)), err=True)
    if _is_pipe(target):  # filters are silent
        return
    click.echo(
        f"Wrote {shown(target)}: {output.duration(done.seconds)} in {output.duration(took)}, "
        f"{done.seconds / took:.0f} times real time."
    )


def _is_pipe(path: Path) -> bool:
    return str(path) == pipes.PIPE


@contextmanager
def _bar(description: str) -> Iterator[ProgressCallback]:
    """A progress bar, for files that are long and people who watch."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console = partial(Console, stderr=True)
    bar = Progress(*columns, console=console(), auto_refresh=False)
    task = bar.add_task(description, visible=False)

    def advance(seconds_done: float, seconds: float | None) -> None:
        visible = (seconds or seconds_done) > _LONG_SECONDS
        bar.update(task, completed=seconds_done, total=seconds, visible=visible)

    if not is_terminal(sys.stderr):
        yield advance
        return
    with Area(bar.get_renderable, console, transient=True):
        yield advance
