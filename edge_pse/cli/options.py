"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from edge_pse import targets
from edge_pse.backends import RUNTIMES
from edge_pse.model import DEFAULT_MODEL

OF_TARGET = "the target's"
"""Shown as the default of an option that the target of the machine decides; its value is then None."""

_Option = Callable[[Callable[..., Any]], Callable[..., Any]]


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
general = click.option(
    "--general", is_flag=True, help="Run with the general weights, even if the profile has personal ones."
)
target = click.option(
    "--target",
    type=click.Choice([targets.AUTO, *targets.names()]),
    default=targets.AUTO,
    show_default=True,
    help="Settings for this kind of machine, where no option says otherwise; auto looks at the board.",
)
