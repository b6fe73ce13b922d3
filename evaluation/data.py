"""Where the evaluation data lies, and what it is.

A folder of recordings, named by the scenes of ``evaluation/sets/*.jsonl`` with their paths in it:
``speech/dev/CORPUS/SPEAKER/*``, ``noise/dev/*``, ``rir/dev/*`` (room responses), ``echo/dev/*`` (calls),
``pairs/dev/*`` (clean and noisy) and ``fullband/dev/*`` (48 kHz). ``speech.jsonl`` and ``noise.jsonl`` describe
recordings, a JSON object a line: ``path``, ``split`` (``dev``) and ``seconds``; of speech ``corpus``, ``speaker``,
``sex`` and ``age``, of noise ``label`` and ``speech`` (``no``, unless voices may be audible). ``fullband.jsonl`` has
both, told apart by their ``role``. The recordings are of others and don't come with the
project. ``python -m evaluation.sets.build`` makes sets of recordings of your own; ``--pairs`` of ``python -m
evaluation`` needs no such folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

DATA_VARIABLE = "EDGE_PSE_DATA"

data_option = click.option(
    "--data", type=click.Path(path_type=Path), envvar=DATA_VARIABLE, show_envvar=True,
    help="Folder of the evaluation data; evaluation/data.py says what it holds.",
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
