"""``edge-pse personalise``: a network goes on learning one voice, from a minute of reading or from recordings."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import click

from edge_pse.audio.files import read_recordings
from edge_pse.audio.files.reading import is_same_file
from edge_pse.cli import options
from edge_pse.cli.enroll_microphone import Wishes, record
from edge_pse.cli.named_path import NamedPath
from edge_pse.cli.number_range import NumberRange
from edge_pse.cli.personalise_screen import view
from edge_pse.cli.profiles import announce_loss, describe, describe_trust, learnt_by, say_lost
from edge_pse.cli.stopping import stop_on_signals
from edge_pse.errors import ProfileError
from edge_pse.model import DEFAULT_MODEL, MOST_THREADS, Model
from edge_pse.personalisation import learner, voice
from edge_pse.personalisation.learner import Learnt
from edge_pse.personalisation.voice import (
    DEFAULT_MINUTES,
    FEWEST_MINUTES,
    MOST_MINUTES,
    MOST_SECONDS,
    Reading,
)
from edge_pse.profiles import Profile, ProfileStore
from edge_pse.reading import languages
from edge_pse.samples import at_rate
from edge_pse.spectral import Samples
from edge_pse.text import shown

_ROOM_BYTES = 64 << 20
"""Personal weights of all networks, and those that they take the place of."""


@click.command()
@click.argument("name")
@click.argument("more_files", nargs=-1, type=NamedPath(), metavar="[FILE]...")
@click.option("--from", "files", multiple=True, type=NamedPath(), metavar="FILE", help="A recording.")
@click.option(
    "--channel", type=click.IntRange(1), help="Of the recordings; without it, that with most speech."
)
@click.option(
    "--input", "source", metavar="DEVICE", help="Microphone: a name or part of it, a number, an ALSA PCM."
)
@click.option(
    "--seconds",
    type=NumberRange(15, 300),
    default=60.0,
    show_default=True,
    help="Of speech, from the microphone.",
)
@click.option("--language", type=click.Choice(languages()), help="Of the text to read; else the system's.")
@click.option(
    "--minutes",
    type=NumberRange(FEWEST_MINUTES, MOST_MINUTES),
    default=DEFAULT_MINUTES,
    show_default=True,
    help="Of learning, from the end of the reading.",
)
@click.option(
    "--against",
    multiple=True,
    type=NamedPath(),
    metavar="FILE",
    help="A recording of somebody to leave out above all; may be given again.",
)
@click.option("--add", is_flag=True, help="Go on from the last time, with more reading.")
@click.option("--replace", is_flag=True, help="Begin anew under a name that is taken.")
@click.option(
    "--model",
    "network",
    type=click.Choice(voice.networks()),
    default=DEFAULT_MODEL,
    show_default=True,
    help="The network that learns; each learns for itself.",
)
@click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), help="Of the processor; up to four without it."
)
def personalise(
    name: str,
    more_files: tuple[Path, ...],
    files: tuple[Path, ...],
    channel: int | None,
    source: str | None,
    seconds: float,
    language: str | None,
    minutes: float,
    against: tuple[Path, ...],
    add: bool,
    replace: bool,
    network: str,
    threads: int | None,
) -> None:
    """Let the network learn a voice, from a minute of reading or from recordings.

    edge-pse personalise NAME [--from FILE [FILE]...]

    A voice that is not known is enrolled; one that is known must be the same. Learning goes on for some minutes at low
    priority, and what is learnt is kept beside the profile if it is better, and nowhere worse, on a part of the reading
    that it did not learn from. The sound is not kept.
    """
    paths = (*files, *more_files)
    if add and replace:
        raise click.UsageError("Give only one of --add and --replace.")
    if paths and (source or language or options.given("seconds")):
        raise click.UsageError("--input, --seconds and --language are for the microphone, not for files.")
    if channel is not None and not paths:
        raise click.UsageError(
            "--channel is for files: of a microphone the channel with most speech is taken."
        )
    for path in against:
        if any(is_same_file(path, other) for other in paths):
            raise click.UsageError(
                f"{shown(path)} is of the voice to keep: give --against a recording of somebody else."
            )
    folder = learner.find()
    store = ProfileStore()
    replace = replace and name in store
    known = store.load(name) if add or (name in store and not replace) else None
    model = voice.load_network(network)
    if known is not None:
        _check_known(known, model, add)
    _check_room(store)
    replaced = learnt_by(store, name) if replace else []
    announce_loss(name, replaced)
    others = _others(against, model)
    reading = (
        _read(paths, channel, model)
        if paths
        else _listen(Wishes(source, seconds, language, None, None), model)
    )
    began = time.monotonic()
    if known is None:
        profile = _enrolled(store, name, reading, model, replace)
    else:
        profile = _extended(known, reading, model, add)
    voice.warn_of_likeness(others, profile, model.profile_network())
    left = minutes - (time.monotonic() - began) / 60
    improved, learnt = _learn(profile, reading, model, left, others, threads, folder)
    improved = _keep(store, None if replace else known or profile, improved, model, bool(learnt.weights))
    _say_what_came(known, improved, model, learnt)
    before = known.personal.networks if known is not None and known.personal is not None else replaced
    after = improved.personal.networks if improved.personal is not None else ()
    if learnt.weights or replace:
        say_lost(name, sorted({*before} - {*after, network}))


def _check_known(known: Profile, model: Model, add: bool) -> None:
    """That there is something to do for a voice that is known; ProfileError otherwise."""
    known.check_model(model.profile_network().contract.profiles_of)
    if not add and voice.knows(known, model) and _fits(known):
        raise ProfileError(
            f"{model.contract.network} has learnt the voice of {known.name!r} already: add --add to go on from there "
            "with more reading, or --replace to begin anew."
        )


def _fits(profile: Profile) -> bool:
    """Whether a profile has personal weights, and of the voice as it is in the profile now."""
    return profile.personal is not None and profile.personal.fits(profile)


def _check_room(store: ProfileStore) -> None:
    """That what will be learnt can be kept; ProfileError before anybody has read anything."""
    place = next(place for place in (store.root, *store.root.absolute().parents) if place.exists())
    if shutil.disk_usage(place).free < _ROOM_BYTES:
        raise ProfileError(
            f"There is too little room in {store.root} for what will be learnt: make {_ROOM_BYTES >> 20} MB free."
        )


def _read(paths: Sequence[Path], channel: int | None, model: Model) -> Reading:
    samples, rate_hz = read_recordings(paths, MOST_SECONDS, channel, cut=True)
    return Reading.of([samples], rate_hz, model.profile_network())


def _listen(wishes: Wishes, model: Model) -> Reading:
    heard = record(model.profile_network(), wishes)
    return Reading(heard.recording, (at_rate(heard.samples, heard.rate_hz, model.contract.sample_rate_hz),))


def _others(paths: Sequence[Path], model: Model) -> Sequence[Samples]:
    """Recordings of others, to be left out; one that is named twice counts once."""
    rate_hz = model.contract.sample_rate_hz
    recordings: list[Samples] = []
    for number, path in enumerate(paths):
        if any(is_same_file(path, earlier) for earlier in paths[:number]):
            continue
        samples, rate_of_file = read_recordings([path], MOST_SECONDS, cut=True)
        recordings += voice.pieces_of([samples], rate_of_file, model, MOST_SECONDS)
    return voice.others_of(recordings, rate_hz, model.profile_network()) if recordings else ()


def _enrolled(store: ProfileStore, name: str, reading: Reading, model: Model, replace: bool) -> Profile:
    """The profile of a voice that is new; kept at once, unless it takes the place of another one."""
    profile = Profile(name, model.profile_network().contract.profiles_of, (reading.recording,))
    if not replace:
        store.create(profile)
    click.echo(f"{'Heard' if replace else 'Enrolled'} {name}: {describe(reading.recording)}.")
    click.echo(describe_trust(profile))
    return profile


def _extended(known: Profile, reading: Reading, model: Model, add: bool) -> Profile:
    """A profile with the reading in it, unless other networks have learnt it as it is and --add was not given.

    A file that was read before, for fewer minutes or without success, counts once.
    """
    verdict = voice.check_voice(known, reading.recording, model.profile_network())
    click.echo(f"Heard {known.name}: {describe(reading.recording)} (cosine {verdict.cosine:.2f}).")
    if verdict.answer != "match":
        click.echo(
            "It may not be the same voice; if it is not, end this with Ctrl-C twice and use --replace."
        )
    if _fits(known) and not add:
        return known
    profile = known
    if not known.has(reading.recording):
        profile = known.with_recording(reading.recording, model.profile_network().contract.profiles_of)
    return profile if add else profile.general()


def _learn(
    profile: Profile,
    reading: Reading,
    model: Model,
    minutes: float,
    others: Sequence[Samples],
    threads: int | None,
    folder: Path,
) -> tuple[Profile, Learnt]:
    """Learn with Ctrl-C at hand."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    stop_on_signals(stop, {signal.SIGINT})
    click.echo(
        f"{model.contract.network} learns {profile.name} for {minutes:.1f} minutes at most, at low priority. Ctrl-C "
        "ends it with the best so far."
    )
    sys.stdout.flush()
    try:
        with view(minutes, stop) as screen:
            return voice.learn_profile(
                profile, reading.pieces, model, minutes, others, threads, screen.show, stop, folder
            )
    finally:
        signal.signal(signal.SIGINT, before)


def _keep(
    store: ProfileStore, before: Profile | None, improved: Profile, model: Model, better: bool
) -> Profile:
    """``before``: what is kept so far, unless it is replaced, whatever it is. Gives what is kept now.

    What an earlier time has learnt is not given away for what is not better, and neither is what another network has
    learnt meanwhile.
    """
    if before is None:
        store.save(improved)
        return improved

    def changed(now: Profile) -> Profile:
        if now.id != before.id:
            raise ProfileError(
                f"The profile {now.name!r} was changed by another program meanwhile, so nothing was kept: run this "
                "again."
            )
        if not better or improved.personal is None:
            return now if now.id == improved.id else improved
        made = improved.personal.of(model.contract.network)
        return dataclasses.replace(improved, personal=now.personal.merged(made) if now.personal else made)

    return store.update(before.name, changed) if better or not _fits(before) else improved


def _say_what_came(known: Profile | None, improved: Profile, model: Model, learnt: Learnt) -> None:
    name, network = improved.name, model.contract.network
    kept = known is not None and _fits(known)
    if known is not None and kept and not learnt.weights and voice.knows(known, model):
        click.echo(
            f"On this reading nothing that was learnt was better than the general weights. So {name} stays as it was, "
            f"with what {network} had learnt before; --replace begins anew."
        )
        return
    for sentence in learnt.sentences:
        click.echo(sentence)
    if not learnt.weights:
        state = "stays as it was" if kept else "is enrolled"
        click.echo(f"So {name} {state}, and {network} goes on with its general weights.")
        return
    click.echo(
        f"{network} has personal weights for {name} now: run, enhance and the service take them with --profile {name}; "
        "--general goes without."
    )
    click.echo(
        f"To carry them to another machine: edge-pse profiles export {name} FILE, and there edge-pse profiles import "
        "FILE"
    )
