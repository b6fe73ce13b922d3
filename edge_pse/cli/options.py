"""Options that several commands share."""

from __future__ import annotations

import click

from edge_pse.backends import RUNTIMES
from edge_pse.bundle import DEFAULT_MODEL

model = click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="Name of an installed model, or path of a model file.",
)
backend = click.option(
    "--backend",
    type=click.Choice(["auto", *RUNTIMES]),
    default="auto",
    show_default=True,
    help="Inference runtime; auto takes the first installed one that has the model.",
)
