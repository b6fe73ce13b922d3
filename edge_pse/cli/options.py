"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

from edge_pse import targets
from edge_pse.backends import RUNTIMES
from edge_pse.model import DEFAULT_MODEL
from edge_pse.profiles import Profile, ProfileStore

OF_TARGET = "the target's"
"""Shown as the default of an option that the target of the machine decides; its value is then None."""

_Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def given(name: str) -> bool:
    """Whether the command that runs was given that parameter, by its name in Python."""
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT


def _model(default: str | None, shown: bool | str) -> _Option:
    return click.option(
        "--model",
        "model_name",
        default=default,
        show_default=shown,
        help="Name of an installed model, or path of a model file, which is trusted as a program is.",
    )


def _backend(default: str | None, shown: bool | str) -> _Option:
    return click.option(
        "--backend",
        type=click.Choice(["auto", *RUNTIMES]),
        default=default,
        show_default=shown,
        help="Inference runtime; auto takes the first installed one that has the model.",
    )


model, model_of_target = _model(DEFAULT_MODEL, True), _model(None, OF_TARGET)
backend, backend_of_target = _backend("auto", True), _backend(None, OF_TARGET)
profiles = click.option(
    "--profile",
    "names",
    metavar="NAME",
    multiple=True,
    help="A voice to keep, again for each further one; without it, all voices.",
)
general = click.option(
    "--general", is_flag=True, help="Run with the general weights, even where a profile has personal ones."
)
band = click.option(
    "--band",
    "full_band",
    type=click.Choice(["8", "full"]),
    default="full",
    show_default=True,
    callback=lambda _context, _option, value: value == "full",
    help="Up to how many kHz there is sound: 8, those that the network sees, or all that the input has.",
)
target = click.option(
    "--target",
    type=click.Choice([targets.AUTO, *targets.names()]),
    default=targets.AUTO,
    show_default=True,
    help="Settings for this kind of machine, where no option says otherwise; auto looks at the board.",
)


def load_profile(name: str, general: bool) -> Profile:
    """A profile as a stream takes it, with what networks have learnt of it or without."""
    return ProfileStore().load(name, general)


def load_profiles(names: Sequence[str], general: bool) -> tuple[Profile, ...]:
    """What ``--profile`` names, each once, in that order."""
    return tuple(load_profile(name, general) for name in dict.fromkeys(names))
