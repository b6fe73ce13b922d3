"""``edge-pse who``: which of the enrolled voices speaks when, in an audio file; and the same of a live stream."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import click

import edge_pse
from edge_pse.audio.files.speaking import who_speaks
from edge_pse.cli import options, output
from edge_pse.cli.named_path import NamedPath
from edge_pse.errors import EdgePseWarning, ProfileError
from edge_pse.kept_voices import check_profile
from edge_pse.profiles import Profile, ProfileStore
from edge_pse.speakers import ERRORS, Heard, together, turns
from edge_pse.text import shown

_NOBODY = "somebody else"
_RECENT_S = 3.0
"""What was heard longer ago, before the network was passed by or the microphone closed, says nothing of now."""


@click.command()
@click.argument("source", metavar="FILE", type=NamedPath())
@click.option(
    "--profile", "names", metavar="NAME", multiple=True,
    help="A voice that it might be, again for each further one; without it, all that are enrolled.",
)  # fmt: skip
@click.option("--channel", type=click.IntRange(1), help="Of FILE; without it, those with most speech.")
@options.model
@options.backend
def who(source: Path, names: tuple[str, ...], channel: int | None, model_name: str, backend: str) -> None:
    """Say who speaks in an audio file, turn by turn: a guess, for notes and captions."""
    model = edge_pse.Model.load(model_name, backend)
    profiles = options.load_profiles(names, general=True) or all_enrolled(model)
    found = turns(who_speaks(source, profiles, model, channel))
    rows = output.table("from", "to", "who", "likely")
    for turn in found:
        speaker = turn.profile
        name = _NOBODY if speaker is None else speaker.name
        likely = "" if speaker is None else f"{turn.probability:.0%}"
        rows.add_row(_clock(turn.start_s), _clock(turn.start_s + turn.seconds), shown(name), likely)
    if found:
        output.show(rows)
    else:
        click.echo("Nobody speaks.")
    click.echo(f"A guess. {ERRORS}", err=True)


def all_enrolled(model: edge_pse.Model) -> tuple[Profile, ...]:
    """Whoever is enrolled with the network that makes the profiles of ``model``; ProfileError if nobody is.

    An EdgePseWarning tells of profiles that can't be read.
    """
    profiles = []
    for name in ProfileStore().list():
        try:
            profile = options.load_profile(name, general=True)
            if profile.model_id == model.contract.profiles_of:
                check_profile(model, profile)
                profiles.append(profile)
        except ProfileError as error:  # one file is no reason to name nobody
            warnings.warn(f"{name} is left out. {error}", EdgePseWarning, stacklevel=2)
    if not profiles:
        raise ProfileError(f"No voice is enrolled with {model.contract.profiles_of}: edge-pse enroll NAME")
    return tuple(profiles)


class Speaking:
    """Follows who speaks in a stream, from now on: those of ``among``, None for those that are kept."""

    def __init__(self, enhancer: edge_pse.Enhancer, among: Sequence[Profile] | None):
        self._latest: tuple[Heard, ...] = ()
        self._heard_s = float("-inf")
        enhancer.identify(self._add, among)

    def _add(self, heard: Heard) -> None:
        self._latest = (*self._recent()[-1:], heard)
        self._heard_s = time.monotonic()

    def _recent(self) -> tuple[Heard, ...]:
        return self._latest if time.monotonic() - self._heard_s < _RECENT_S else ()

    def text(self) -> str:
        """Who did in the latest two seconds, and how likely that is; empty while the network hears nothing."""
        latest = self._recent()
        if not latest:
            return ""
        heard = together(latest)
        if heard.nearest is None:
            return "nobody"
        return _NOBODY if heard.profile is None else f"{heard.profile.name}, {heard.probability:.0%} likely"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
