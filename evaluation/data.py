"""Where the evaluation data lies."""

from __future__ import annotations

import os
from pathlib import Path

import click

DATA_VARIABLE = "EDGE_PSE_DATA"

data_option = click.option(
    "--data", type=click.Path(path_type=Path), envvar=DATA_VARIABLE, show_envvar=True,
    help="Folder of the evaluation data.",
)  # fmt: skip
"""Of a command that gives it to `data_root`."""


class DataError(Exception):
    """The data of a scene is missing or cannot be read; the text says which file."""


def data_root(given: Path | None = None) -> Path:
    """The data folder: `given`, else $EDGE_PSE_DATA. Raises FileNotFoundError that says what to do."""
    if given is None and os.environ.get(DATA_VARIABLE):
        given = Path(os.environ[DATA_VARIABLE])
    if given is None:
        raise FileNotFoundError(f"No evaluation data: give --data DIR or set {DATA_VARIABLE}.")
    if not given.is_dir():
        raise FileNotFoundError(f"The evaluation data folder {given} does not exist.")
    return given
