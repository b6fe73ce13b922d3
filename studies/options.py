"""What several studies have in common: options, and a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from edge_pse.model import DEFAULT_MODEL
from evaluation.data import data_option, data_root
from studies.questions.page import PAGE

Item = TypeVar("Item")

model = click.option(
    "--model", "model_name", default=DEFAULT_MODEL, show_default=True, help="Name or path of a model."
)
backend = click.option(
    "--backend", default="auto", show_default=True, help="Inference runtime; litert is the fastest."
)
out = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True,
    help=f"Folder of {PAGE} and its plots.",
)  # fmt: skip
weights = click.option(
    "--weights",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Those that python -m studies personal kept.",
)


def data(command: Callable[..., None]) -> Callable[..., None]:
    """``--data`` of a command, which is given the folder as ``root``; it exists."""

    @data_option
    @wraps(command)
    def with_root(data: Path | None, **others: Any) -> None:
        command(root=data_root(data), **others)

    return with_root


def progress(items: Sequence[Item], label: str) -> Iterator[Item]:
    """The items one by one, with a bar on standard error."""
    with click.progressbar(items, label=label, file=sys.stderr) as bar:
        yield from bar
