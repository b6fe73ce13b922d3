"""Records the voice for ``edge-pse enroll`` from a microphone, until there is enough of it."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import click
import soundfile

from edge_pse import atomic
from edge_pse.audio.devices import Microphone
from edge_pse.audio.pcm import to_pcm
from edge_pse.cli.enroll_screen import view
from edge_pse.cli.libraries import quiet_libraries
from edge_pse.enrollment import LiveEnrollment
from edge_pse.errors import AudioError, StreamHungError
from edge_pse.model import Model
from edge_pse.paths import is_folder
from edge_pse.profiles import Recording
from edge_pse.reading import language_of_locale, sentences
from edge_pse.spectral import Samples

_LOOK_S = 0.2


@dataclass(frozen=True)
class Wishes:
    """What the user asked for."""

    source: str | None
    seconds: float
    """Of speech."""
    language: str | None
    keep_audio: Path | None
    microphone: str | None
    """What to call it; its own name otherwise."""
    as_json: bool = False
    """Say all in lines of JSON."""


@dataclass(frozen=True)
class Heard:
    """What the microphone heard."""

    recording: Recording
    """What a profile keeps of it."""
    samples: Samples
    """The sound, (samples,) float32."""
    rate_hz: int


def record(model: Model, wishes: Wishes) -> Heard:
    """Show a text and listen until there is enough speech.

    Raises AudioError if the microphone does not work and EnrollmentError for a recording that will not do.
    """
    if wishes.keep_audio is not None:
        _check_place(wishes.keep_audio)  # before anybody has read anything
    try:
        with quiet_libraries(), Microphone(wishes.source) as microphone:
            live, name = _listen(microphone, model, wishes), microphone.device.description
    except StreamHungError as error:
        click.echo(f"Error: {error}", err=True)
        os._exit(1)  # the usual way out waits for the thread that hangs
    if wishes.keep_audio is not None:
        _keep(wishes.keep_audio, live.audio(), microphone.rate_hz)
    return Heard(live.recording(wishes.microphone or name), live.audio(), microphone.rate_hz)


def _listen(microphone: Microphone, model: Model, wishes: Wishes) -> LiveEnrollment:
    live = LiveEnrollment(model, microphone.rate_hz, wishes.seconds)
    text = sentences(wishes.language or language_of_locale(), wishes.seconds)
    with view(text, microphone.device.description, wishes.as_json) as screen:
        finished = False
        while not finished:
            live.add(microphone.read(_LOOK_S))
            progress = live.progress()
            screen.show(progress)
            finished = progress.finished
    live.finish()
    return live


def _check_place(path: Path) -> None:
    """AudioError unless a new file can be written there; an earlier recording stays."""
    _audio_format(path)
    if not is_folder(path.parent):
        raise AudioError(f"There is no folder {path.parent}: make it, or name another one.")
    if os.path.lexists(path):
        raise AudioError(f"{path} is there already, and stays as it is: name another file for --keep-audio.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise AudioError(f"This user may not write in {path.parent}: name another folder for --keep-audio.")


def _audio_format(path: Path) -> str:
    """Format of a file by the ending of its name; AudioError if there is no such."""
    form = path.suffix.lower().removeprefix(".")
    if form not in ("wav", "flac"):
        raise AudioError(f"The name {path.name} does not tell the format to write: end it in .wav or .flac.")
    return form


def _keep(path: Path, samples: Samples, rate_hz: int) -> None:
    content = io.BytesIO()
    soundfile.write(content, to_pcm(samples), rate_hz, format=_audio_format(path))
    try:
        atomic.write(path, content.getvalue(), mode=atomic.OWN)
    except OSError as error:
        raise AudioError(
            f"Can't write {path}: {error.strerror}. Choose another place and try again."
        ) from error
