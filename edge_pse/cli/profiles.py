"""``edge-pse profiles``: the voices on this device."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import click

from edge_pse import Profile, ProfileStore
from edge_pse.cli import output, pipes
from edge_pse.cli.named_path import NamedPath
from edge_pse.enrollment import trust
from edge_pse.enrollment.verification import FAIR_TRUST, GOOD_TRUST
from edge_pse.errors import EdgePseWarning, ModelError, ProfileError
from edge_pse.model import available_models
from edge_pse.model_file import read_description
from edge_pse.personal_model import why_unfit
from edge_pse.profiles import PersonalNetwork, Recording
from edge_pse.text import shown


@click.group()
def profiles() -> None:
    """List, show, delete, export or import voice profiles."""


@profiles.command("list")
def list_() -> None:
    """All profiles, and what each was made of."""
    store = ProfileStore()
    names = store.list()
    for name in store.left_over():
        click.echo(
            f"Personal weights of {name} are there without a profile, and still hold the voice: edge-pse profiles "
            f"delete {name}",
            err=True,
        )
    if not names:
        click.echo(f"No profiles in {shown(store.root)}. To make one: edge-pse enroll NAME")
        return
    table = output.table(
        "profile", "model", "personal", "speech", "above noise", "trust", "recordings", "enrolled"
    )
    for name in names:
        try:
            profile = store.load(name)
        except ProfileError:
            table.add_row(name, f"can't be read: edge-pse profiles show {name}")
            continue
        table.add_row(
            name,
            profile.model_id,
            personal_networks(profile),
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
    _show_personal(profile)
    for number, recording in enumerate(profile.recordings, start=1):
        click.echo(f"recording {number:<2} {describe(recording)}, {recording.created}")


def _show_personal(profile: Profile) -> None:
    if profile.personal is None:
        click.echo(
            f"personal     no; to have the network learn this voice: edge-pse personalise {profile.name}"
        )
        return
    for name, network in profile.personal.networks.items():
        recordings = f"{network.against} recording{'s' * (network.against > 1)}"
        against = f", against {recordings} of others" if network.against else ""
        click.echo(
            f"personal     {name}, learnt from {network.reading_seconds:.0f} s in {network.minutes:.1f} min"
            f"{against}, {network.created}"
        )
        reason = _why_unfit(profile, name, network)
        if reason:
            click.echo(f"not used     {reason} Run `edge-pse personalise {profile.name}` again.")
        for sentence in network.sentences:
            click.echo(f"gained       {sentence}")
    others = sorted(
        {path.name.partition(".")[0] for path in available_models()} - {*profile.personal.networks}
    )
    if others:
        click.echo(f"general      {', '.join(others)}")


def personal_networks(profile: Profile) -> str:
    """Which networks have learnt the voice of a profile; those whose weights no longer fit are called old."""
    if profile.personal is None:
        return "no"
    return ", ".join(
        f"{name} (old)" if _why_unfit(profile, name, network) else name
        for name, network in profile.personal.networks.items()
    )


def learnt_by(store: ProfileStore, name: str, fitting: bool = False) -> list[str]:
    """Names of the networks whose personal weights lie beside a profile; none where they can't be read.

    ``fitting``: only of weights that are of the profile as it is now.
    """
    with warnings.catch_warnings(), suppress(ProfileError):
        warnings.simplefilter("ignore", EdgePseWarning)
        profile = store.load(name)
        if profile.personal is not None and (profile.personal.fits(profile) or not fitting):
            return [*profile.personal.networks]
    return []


def announce_loss(name: str, networks: Iterable[str]) -> None:
    """Say which personal weights a change of a profile will cost, before anything is done."""
    if listed := ", ".join(networks):
        click.echo(
            f"{name} has personal weights ({listed}), of the voice as it is enrolled now. They will be lost with this "
            f"change, and edge-pse personalise {name} has to make new ones."
        )


def say_lost(name: str, networks: Iterable[str]) -> None:
    """Say which networks have to learn a voice again, now that its profile is another one."""
    for network in networks:
        click.echo(
            f"The profile has changed, so {network} has to learn it again: edge-pse personalise {name} --model "
            f"{network}"
        )


def _why_unfit(profile: Profile, name: str, network: PersonalNetwork) -> str:
    """Why no installed file of a network can run with what it has learnt, a sentence; empty if one can."""
    reason = f"{name} is not installed."
    for path in available_models():
        if path.name.partition(".")[0] != name:
            continue
        with suppress(ModelError):  # a damaged file is no reason to be silent on a profile
            reason = why_unfit(path.name, read_description(path)["sha256"], profile, network)
            if not reason:
                return ""
    return reason[0].upper() + reason[1:]


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
    """Delete a profile and its personal weights for good."""
    store = ProfileStore()
    learnt = ", ".join(learnt_by(store, name))
    elsewhere: list[Path] = []
    with suppress(OSError):  # of a folder that is closed: what deletes says so
        elsewhere = [Path(os.path.realpath(path)) for path in store.files(name) if path.is_symlink()]
    store.delete(name)
    click.echo(f"Deleted {name}{f' and its personal weights ({learnt})' if learnt else ''}.")
    for path in elsewhere:
        if path.exists():  # it may be another profile, or a backup
            click.echo(f"That was a link: {shown(path)} still holds the voice, and is yours to delete.")


@profiles.command()
@click.argument("name")
@click.argument("file", type=NamedPath())
@click.option("--general", is_flag=True, help="Leave personal weights out.")
def export(name: str, file: Path, general: bool) -> None:
    """Write a profile to FILE, with its personal weights, to take it to another device."""
    _check_no_pipe(file)
    store = ProfileStore()
    store.export(name, file, general)
    click.echo(
        f"Wrote {shown(file)}. Whoever has it can pick that voice out of a recording: pass it on with care."
    )
    learnt = ", ".join(learnt_by(store, name))
    if learnt and not general and not learnt_by(store, name, fitting=True):
        click.echo(
            f"Its personal weights ({learnt}) are not in it: the profile has changed since they were learnt. Run "
            f"`edge-pse personalise {name}` again, and export it then."
        )


@profiles.command("import")
@click.argument("file", type=NamedPath())
@click.option("--name", help="Take it in under another name.")
def import_(file: Path, name: str | None) -> None:
    """Take in a profile that was exported to FILE."""
    _check_no_pipe(file)
    profile = ProfileStore().import_(file, name)
    learnt = "" if profile.personal is None else f", with personal weights of {personal_networks(profile)}"
    click.echo(f"Imported {profile.name}, made with {profile.model_id}{learnt}.")


def _check_no_pipe(file: Path) -> None:
    """UsageError for what stands for a pipe elsewhere: a voice is not to be left in a file of that name."""
    if str(file) == pipes.PIPE:
        raise click.UsageError(
            f"A profile goes to a file and comes from one: {pipes.PIPE} is no name for it."
        )
