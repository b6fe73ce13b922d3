"""``edge-pse profiles``: the voices on this device."""

from __future__ import annotations

from pathlib import Path

import click

from edge_pse import Profile, ProfileStore
from edge_pse.cli import output
from edge_pse.enrollment import trust
from edge_pse.enrollment.verification import FAIR_TRUST, GOOD_TRUST
from edge_pse.errors import ProfileError
from edge_pse.profiles import Recording
from edge_pse.text import shown


@click.group()
def profiles() -> None:
    """List, show, delete, export or import voice profiles."""


@profiles.command("list")
def list_() -> None:
    """All profiles, and what each was made of."""
    store = ProfileStore()
    names = store.list()
    if not names:
        click.echo(f"No profiles in {shown(store.root)}. To make one: edge-pse enroll NAME")
        return
    table = output.table("profile", "model", "speech", "above noise", "trust", "recordings", "enrolled")
    for name in names:
        try:
            profile = store.load(name)
        except ProfileError:
            table.add_row(name, f"can't be read: edge-pse profiles show {name}")
            continue
        table.add_row(
            name,
            profile.model_id,
            f"{profile.speech_seconds:.1f} s",
            f"{profile.snr_db:.0f} dB",
            _share(trust(profile)),
            str(len(profile.recordings)),
            profile.created,
        )
    output.show(table)


@profiles.command()
@click.argument("name")
def show(name: str) -> None:
    """What is known about one profile."""
    store = ProfileStore()
    profile = store.load(name)
    click.echo(f"profile      {profile.name}")
    click.echo(f"model        {profile.model_id}")
    click.echo(
        f"made of      {profile.speech_seconds:.1f} s of speech, {profile.snr_db:.0f} dB above the noise"
    )
    click.echo(f"enrolled     {profile.created}")
    click.echo(f"trust        {_share(trust(profile))}")
    click.echo(f"kept in      {shown(store.root)}")
    click.echo(f"holds        2 x {profile.embedding.size} numbers of each recording, no audio")
    for number, recording in enumerate(profile.recordings, start=1):
        click.echo(f"recording {number:<2} {describe(recording)}, {recording.created}")


def describe(recording: Recording) -> str:
    """What a recording is, as a part of a sentence."""
    through = f", through {recording.microphone}" if recording.microphone else ""
    return f"{recording.speech_seconds:.1f} s of speech, {recording.snr_db:.0f} dB above the noise{through}"


def describe_trust(profile: Profile) -> str:
    """How far a profile can be trusted, and what to do if that is not far."""
    share = trust(profile)
    if share is None:
        return "How far it can be trusted is not known: a recording in it is too short to say."
    grade, advice = "good", ""
    if share < GOOD_TRUST:
        grade = "fair" if share >= FAIR_TRUST else "poor"
        advice = f" More speech helps: edge-pse enroll {profile.name} --add"
    promise = f"Profiles like it told their voice from {share:.0%} of others."
    return f"Trust: {grade}. {promise}{advice}"


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.0%}"


@profiles.command()
@click.argument("name")
def delete(name: str) -> None:
    """Delete a profile for good."""
    ProfileStore().delete(name)
    click.echo(f"Deleted {name}.")


@profiles.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def export(name: str, file: Path) -> None:
    """Write a profile to FILE, to take it to another device."""
    ProfileStore().export(name, file)
    click.echo(
        f"Wrote {shown(file)}. Whoever has it can pick that voice out of a recording: pass it on with care."
    )


@profiles.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Take it in under another name.")
def import_(file: Path, name: str | None) -> None:
    """Take in a profile that was exported to FILE."""
    profile = ProfileStore().import_(file, name)
    click.echo(f"Imported {profile.name}, made with {profile.model_id}.")
