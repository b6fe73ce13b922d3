"""``edge-pse enroll``: a voice, from the microphone or from recordings, to a profile."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import click

import edge_pse
from edge_pse.audio.files import read_recordings
from edge_pse.cli import options
from edge_pse.cli.enroll_microphone import Wishes, record
from edge_pse.cli.named_path import NamedPath
from edge_pse.cli.number_range import NumberRange
from edge_pse.cli.profiles import announce_loss, describe, describe_trust, learnt_by, say_lost
from edge_pse.enrollment import Verdict, extract_recording, verify
from edge_pse.errors import EnrollmentError, ProfileError
from edge_pse.profiles import Profile, Recording
from edge_pse.reading import languages

# Ten seconds are plenty; whoever gives more than this gave the wrong file.
_MAX_SECONDS = 600


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
    type=NumberRange(2, 120),
    default=10.0,
    show_default=True,
    help="Of speech, from the microphone.",
)
@click.option("--language", type=click.Choice(languages()), help="Of the text to read; else the system's.")
@click.option(
    "--keep-audio",
    type=NamedPath(),
    metavar="FILE",
    help="Also write what the microphone heard; otherwise no sound is kept.",
)
@click.option("--microphone", metavar="NAME", help="What to call the microphone in the profile.")
@click.option("--replace", is_flag=True, help="Enroll again under a name that is taken.")
@click.option("--add", is_flag=True, help="Add to the profile: more speech, or another microphone.")
@click.option(
    "--insist", is_flag=True, help="With --add: even if it sounds like another voice, as whispering does."
)
@click.option("--verify", "verifying", is_flag=True, help="Change nothing; say whether it is that voice.")
@click.option(
    "--json", "as_json", is_flag=True, help="Say in lines of JSON how it goes; from the microphone."
)
@options.model
@options.backend
def enroll(
    name: str,
    more_files: tuple[Path, ...],
    files: tuple[Path, ...],
    channel: int | None,
    source: str | None,
    seconds: float,
    language: str | None,
    keep_audio: Path | None,
    microphone: str | None,
    replace: bool,
    add: bool,
    insist: bool,
    verifying: bool,
    as_json: bool,
    model_name: str,
    backend: str,
) -> None:
    """Make a voice profile from the microphone, or from recordings.

    edge-pse enroll NAME [--from FILE [FILE]...]

    Ten seconds of one voice alone, speaking as usual, best through the microphone that will be used later.
    The profile stays on this device and holds no audio.
    """
    paths = (*files, *more_files)
    if replace + add + verifying > 1:
        raise click.UsageError("Give only one of --replace, --add and --verify.")
    if insist and not add:
        raise click.UsageError("--insist is for --add: it adds what does not sound like the profile.")
    if paths and (source or keep_audio or language or as_json or options.given("seconds")):
        raise click.UsageError(
            "--input, --seconds, --language, --keep-audio and --json are for the microphone, not for files."
        )
    if microphone and verifying:
        raise click.UsageError("--microphone is kept with a recording: --verify keeps none.")
    if channel is not None and not paths:
        raise click.UsageError(
            "--channel is for files: of a microphone the channel with most speech is taken."
        )
    store = edge_pse.ProfileStore()
    known = store.load(name) if add or verifying else None
    if name in store and not (known or replace):
        without = ", ".join(learnt_by(store, name))
        raise ProfileError(
            f"There is a profile {name!r} already: add --replace to enroll again"
            f"{f' (its personal weights, {without}, are lost then)' if without else ''} or --add to add to it, or "
            "choose another name."
        )
    model = edge_pse.Model.load(model_name, backend).profile_network()
    if known is not None:
        known.check_model(model.contract.profiles_of)
    if not verifying and not as_json:
        announce_loss(name, learnt_by(store, name, fitting=add))
    if paths:
        audio, sample_rate_hz = read_recordings(paths, _MAX_SECONDS, channel)
        recording = extract_recording(audio, sample_rate_hz, model, microphone or "")
    else:
        recording = record(
            model, Wishes(source, seconds, language, keep_audio, microphone, as_json)
        ).recording
    with _said(as_json):
        if verifying and known is not None:
            _say_verdict(known, verify(known, recording, model.contract.voice_space))
        elif add:
            _add(store, name, recording, model, insist)
        else:
            _enroll(store, name, recording, model, replace)


@contextmanager
def _said(as_json: bool) -> Iterator[None]:
    """As sentences, or as one line of JSON with all of them."""
    if not as_json:
        yield
        return
    ended = None
    with redirect_stdout(io.StringIO()) as sentences:
        try:
            yield
        except SystemExit as error:  # it is another voice: that is said, too
            ended = error
    click.echo(json.dumps({"said": sentences.getvalue().splitlines()}))
    if ended is not None:
        raise ended


def _enroll(
    store: edge_pse.ProfileStore, name: str, recording: Recording, model: edge_pse.Model, replace: bool
) -> None:
    profile = Profile(name, model.contract.profiles_of, (recording,))
    lost = learnt_by(store, name)
    if replace:
        store.save(profile)
    else:
        store.create(profile)
    click.echo(f"Enrolled {profile.name}: {describe(recording)}.")
    click.echo(describe_trust(profile))
    say_lost(name, lost)
    click.echo(f"To keep only this voice: edge-pse run --output virtual --profile {profile.name}")
    click.echo(f"or, in a file: edge-pse enhance IN -o OUT --profile {profile.name}")


def _add(
    store: edge_pse.ProfileStore, name: str, recording: Recording, model: edge_pse.Model, insist: bool
) -> None:
    verdict = None

    def added(known: Profile) -> Profile:
        """The profile as it is by now, which may be another than before the recording, with one more."""
        nonlocal verdict
        if known.has(recording):
            raise EnrollmentError(
                f"{known.name} is made of this very recording already, so nothing was added: give another one."
            )
        verdict = verify(known, recording, model.contract.voice_space)
        if verdict.answer == "no match" and not insist:
            raise EnrollmentError(
                f"This does not sound like {known.name} (cosine {verdict.cosine:.2f}), so nothing was added: record "
                "again, begin the profile anew with --replace, or, if it is their voice in another way, as in "
                "whispering, add --insist."
            )
        return known.with_recording(recording, model.contract.profiles_of)

    lost = learnt_by(store, name, fitting=True)
    profile = store.update(name, added)
    click.echo(f"Added to {profile.name}: {describe(recording)}.")
    if verdict is not None and verdict.answer != "match":
        doubt = (
            "It may not be the same voice" if verdict.answer == "doubtful" else "It sounds like another voice"
        )
        click.echo(f"{doubt} (cosine {verdict.cosine:.2f}); if it is not the same, use --replace.")
    click.echo(
        f"The profile is now made of {len(profile.recordings)} recordings, {profile.speech_seconds:.1f} s of speech."
    )
    click.echo(describe_trust(profile))
    say_lost(name, lost)


def _say_verdict(profile: Profile, verdict: Verdict) -> None:
    sentence = {
        "match": f"Match: this is the voice of {profile.name}",
        "doubtful": f"Doubtful: this may be {profile.name}, or somebody with a similar voice",
        "no match": f"No match: this is not the voice of {profile.name}",
    }[verdict.answer]
    click.echo(f"{sentence} (cosine {verdict.cosine:.2f}).")
    if verdict.answer == "no match":
        raise SystemExit(1)
