"""One bar of progress, on a terminal that somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from edge_pse.cli.terminal import Area, is_terminal

Draw = Callable[[str, float, float | None, bool], None]
"""What is going on, how much of it is done, of how much (None: nobody knows), and whether that is shown."""


@contextmanager
def progress_bar() -> Iterator[Draw]:
    """Draw on standard error as told; nothing where that is no terminal, and nothing stays at the end."""
    if not is_terminal(sys.stderr):
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console = partial(Console, stderr=True)
    bar = Progress(*columns, console=console(), auto_refresh=False)
    task = bar.add_task("", visible=False)

    def draw(description: str, done: float, total: float | None, visible: bool) -> None:
        bar.update(task, description=description, completed=done, total=total, visible=visible)

    with Area(bar.get_renderable, console, transient=True):
        yield draw
