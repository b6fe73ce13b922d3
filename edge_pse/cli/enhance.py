"""``edge-pse enhance``: files of audio in, enhanced ones out; instead of one file there may be a pipe."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO, cast

import click

import edge_pse
from edge_pse.audio.files import PIPE_FORMATS, Manner, available_cores, enhance_file, is_sound
from edge_pse.cli import notices, options, output, pipes
from edge_pse.cli.enhance_many import enhance_into
from edge_pse.cli.named_path import NamedPath
from edge_pse.cli.number_range import NumberRange
from edge_pse.cli.progress import progress_bar
from edge_pse.errors import AudioError
from edge_pse.paths import is_folder
from edge_pse.text import shown

# Shorter files are done before a bar could be read.
_LONG_SECONDS = 10


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, required=True, type=NamedPath())
@click.option("-o", "--output", "name_of_target", required=True, metavar="OUT", type=NamedPath(path_type=str))
@options.profiles
@click.option(
    "--strength",
    type=NumberRange(0, 1),
    default=1.0,
    show_default=True,
    help="How much of the rest to take away; 0 is nothing.",
)
@options.band
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
    type=NamedPath(),
    help="What the loudspeaker played meanwhile, from the same moment on: its echo is cancelled.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="How many files at a time, where OUT is a folder; without it, as many as there are cores.",
)
@click.option("--overwrite", is_flag=True, help="Make anew what is in the folder OUT already.")
@options.general
@options.model
@options.backend
def enhance(
    sources: tuple[Path, ...],
    name_of_target: str,
    names: tuple[str, ...],
    strength: float,
    full_band: bool,
    channel: int | None,
    pipe_format: str | None,
    keep_channels: bool,
    far_end: Path | None,
    jobs: int | None,
    overwrite: bool,
    general: bool,
    model_name: str,
    backend: str,
) -> None:
    """Take noise, other voices and echo out of audio files.

    OUT has the rate, length and band of IN, is aligned with it, and may be IN itself. The ending of its name
    chooses the format. It has one channel, unless --keep-channels is given: the mean of those that agree, or
    the one with most speech.

    IN may be -, standard input, and OUT may be -, standard output: WAV or FLAC of any length, enhanced as it comes.

    With several IN, or one that is a folder, OUT is a folder, too: each file goes there under its own name, and what a
    folder holds goes into the same folders below. What is there already is left, so that a run that was ended goes on.
    """
    if channel is not None and keep_channels:
        raise click.UsageError("Give only one of --channel and --keep-channels.")
    target = Path(name_of_target)
    if len(sources) > 1 or any(map(is_folder, (sources[0], target))) or _names_folder(name_of_target):
        for given, option in ((far_end, "--far-end"), (pipe_format, "--pipe-format")):
            if given is not None:
                raise click.UsageError(f"{option} is for one IN and one OUT that are no folders.")
        if any(map(_is_pipe, (*sources, target))):
            raise click.UsageError(f"{pipes.PIPE} stands alone: name one IN and one OUT, no folders.")
        if is_sound(target) and not is_folder(target) and not _names_folder(name_of_target):
            many = f"{shown(sources[0])} is a folder" if len(sources) == 1 else "There are several files"
            raise AudioError(
                f"{many}, and {shown(target)} is the name of a file: name a folder for what comes of it, or end it in "
                "a slash."
            )
        profiles = options.load_profiles(names, general)
        manner = Manner(model_name, backend, profiles, strength, keep_channels, channel, full_band)
        enhance_into(target, sources, manner, jobs or available_cores(), overwrite)
        return
    if jobs is not None or overwrite:
        raise click.UsageError(
            "--jobs and --overwrite are for an OUT that is a folder: end its name in a slash."
        )
    source = sources[0]
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
        click.echo(notices.no_far_end(model), err=True)
        far_end = None
    started = time.monotonic()
    shown_name = "standard input" if _is_pipe(source) else shown(source.name)
    with progress_bar() as draw:
        done = enhance_file(
            origin,
            into,
            model,
            profiles,
            strength,
            keep_channels,
            lambda seconds, there: draw(shown_name, seconds, there, (there or seconds) > _LONG_SECONDS),
            far_end,
            channel,
            pipe_format and pipe_format.upper(),
            full_band,
        )
    took = time.monotonic() - started
    for note in done.notes:
        click.echo(shown(note), err=True)
    if channel is None and done.selection is not None and done.selection.partial:
        click.echo(notices.chosen_channels(done.selection, _is_pipe(source)), err=True)
    if _is_pipe(target):  # filters are silent
        return
    click.echo(
        f"Wrote {shown(target)}: {output.duration(done.seconds)} in {output.duration(took)}, "
        f"{done.seconds / took:.0f} times real time."
    )


def _is_pipe(path: Path) -> bool:
    return str(path) == pipes.PIPE


def _names_folder(name: str) -> bool:
    return name.endswith((os.sep, os.altsep or os.sep))
