"""Where the evaluation data lies."""

from __future__ import annotations

import os
from pathlib import Path

DATA_VARIABLE = "EDGE_PSE_DATA"


def data_root(given: Path | None = None) -> Path:
    """The data folder: `given`, else $EDGE_PSE_DATA. Raises FileNotFoundError that says what to do."""
    if given is None and os.environ.get(DATA_VARIABLE):
        given = Path(os.environ[DATA_VARIABLE])
    if given is None:
        raise FileNotFoundError(f"No evaluation data: give --data DIR or set {DATA_VARIABLE}.")
    if not given.is_dir():
        raise FileNotFoundError(f"The evaluation data folder {given} does not exist.")
    return given
