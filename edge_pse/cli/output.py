"""How things are shown: calm tables, and nothing but text where there is no terminal."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from edge_pse.audio.files import CHOICE_SECONDS
from edge_pse.channels import Selection
from edge_pse.errors import EdgePseWarning
from edge_pse.model import Model, available_models, far_end_variant

# Where no terminal sets a limit nothing is wrapped, so that each line can be searched and cut.
_UNLIMITED_WIDTH = 1000


def table(*headings: str) -> Table:
    """An empty table, to be filled row by row and shown with ``show``."""
    columns = Table(*headings, box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for column in columns.columns:
        column.overflow = "fold"
    return columns


def show(columns: Table) -> None:
    """Print a table; it is as wide as it needs to be."""
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


def no_far_end(model: Model) -> str:
    """What to say where a far end is given and ``model`` does not take one."""
    networks = sorted({path.name.partition(".")[0] for path in available_models()})
    able = [network for network in networks if network == far_end_variant(network)]
    wanted = far_end_variant(model.contract.network)
    advice = f"choose --model {able[0]}" if able else f"install {wanted}, or name a model that can"
    return f"Echo stays, because {model.path.name} can't cancel it: {advice}."


def chosen_channels(selection: Selection, from_start: bool) -> str:
    """What to say where some channels of a file are left out; ``from_start``: by how it begins."""
    numbers = [str(channel + 1) for channel in selection.channels]
    chosen = numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    heard = f" in the first {CHOICE_SECONDS} s" if from_start else ""
    return (
        f"Took channel{'s' * (len(numbers) > 1)} {chosen} of {selection.total}, where most speech is{heard}; the rest "
        "does not agree with it. --channel names another one, --keep-channels keeps all."
    )


def duration(seconds: float) -> str:
    """``7.5 s``, or for longer times ``63:12`` minutes."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f} min"
