"""How things are shown: calm tables, and nothing but text where there is no terminal."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from edge_pse.errors import EdgePseWarning

if TYPE_CHECKING:  # what draws tables is loaded with the first one
    from rich.table import Table

# Where no terminal sets a limit nothing is wrapped, so that each line can be searched and cut.
_UNLIMITED_WIDTH = 1000


def table(*headings: str) -> Table:
    """An empty table, to be filled row by row and shown with ``show``."""
    from rich import box
    from rich.table import Table

    columns = Table(*headings, box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for column in columns.columns:
        column.overflow = "fold"
    return columns


def show(columns: Table) -> None:
    """Print a table; it is as wide as it needs to be."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _UNLIMITED_WIDTH
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(columns)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


@contextmanager
def warnings_said(say: Callable[[str], None]) -> Iterator[None]:
    """While in here, what the library warns of goes to ``say``, a sentence each, by whatever thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", EdgePseWarning)
        # Where there is no folder for sockets (su, cron), platformdirs takes another one, and says so in code.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, EdgePseWarning):
                say(str(message))
            else:
                others(message, category, *place, **more)

        warnings.showwarning = show
        yield


def duration(seconds: float) -> str:
    """``7.5 s``, or for longer times ``63:12`` minutes."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f} min"
