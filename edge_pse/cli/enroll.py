"""``edge-pse enroll``: a voice, from recordings to a profile."""

from __future__ import annotations

from pathlib import Path

import click

import edge_pse
from edge_pse.audio.files import read_recordings
from edge_pse.cli import options
from edge_pse.errors import ProfileError

# Ten seconds are plenty; whoever gives more than this gave the wrong file.
_MAX_SECONDS = 600


@click.command()
@click.argument("name")
@click.argument("more_files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option(
    "--from", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="A recording."
)
@click.option("--replace", is_flag=True, help="Enroll again under a name that is taken.")
@options.model
@options.backend
def enroll(
    name: str,
    more_files: tuple[Path, ...],
    files: tuple[Path, ...],
    replace: bool,
    model: str,
    backend: str,
) -> None:
    """Make a voice profile from recordings.

    edge-pse enroll NAME --from FILE [FILE]...

    Ten seconds of one voice alone, speaking as usual, best through the microphone that will be used later.
    The profile stays on this device and holds no audio.
    """
    recordings = (*files, *more_files)
    if not recordings:
        raise click.UsageError(f"Give a recording of the voice: edge-pse enroll {name} --from FILE")
    store = edge_pse.ProfileStore()
    if name in store.list() and not replace:
        raise ProfileError(
            f"There is a profile {name!r} already: add --replace to enroll again, or choose another name."
        )
    audio, sample_rate_hz = read_recordings(recordings, _MAX_SECONDS)
    profile = edge_pse.enroll(audio, sample_rate_hz, edge_pse.Bundle.load(model, backend), name)
    store.save(profile)
    click.echo(
        f"Enrolled {name}: {profile.speech_seconds:.1f} s of speech, {profile.snr_db:.0f} dB above the noise."
    )
    click.echo(f"To keep only this voice: edge-pse enhance IN -o OUT --profile {name}")
