"""What ``edge-pse personalise`` shows while it learns: a bar on a terminal, a line now and then everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console, Group
from rich.text import Text

from edge_pse.cli.terminal import Area, is_terminal
from edge_pse.personalisation import LearningProgress

ENDING = "Ending with the best so far. Ctrl-C again ends it at once, and nothing of it is kept."
_LINE_EVERY_S = 60.0
_BAR_WIDTH = 30


class View(Protocol):
    """Shows how learning goes, as long as it is entered."""

    def show(self, progress: LearningProgress) -> None:
        """The state now."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """A line a minute, and one when it is told to stop."""

    def __init__(self, minutes: float, stop: threading.Event):
        self._stop, self._told_s, self._scored = stop, float("-inf"), False
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._say_that_it_ends, name="ending", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._stop.set()  # whoever waits for it

    def show(self, progress: LearningProgress) -> None:
        """Print a line if the last one was a minute ago, or if the first score is known."""
        now = time.monotonic()
        first_score = progress.score_db is not None and not self._scored
        if self._stop.is_set() or not (first_score or now - self._told_s >= _LINE_EVERY_S):
            return
        self._told_s, self._scored = now, progress.score_db is not None
        click.echo(f"{progress.minutes_left:.1f} min left, {score(progress)}.")
        sys.stdout.flush()

    def _say_that_it_ends(self) -> None:
        self._stop.wait()
        if not self._left.is_set():
            click.echo(ENDING)
            sys.stdout.flush()


class Screen:
    """A bar with the minutes that are left, and the score, in place."""

    def __init__(self, minutes: float, stop: threading.Event):
        self._minutes, self._stop = minutes, stop
        self._progress = LearningProgress(minutes, 0, None)
        self._area = Area(self._render, partial(Console, highlight=False, markup=False, emoji=False))

    def __enter__(self) -> Self:
        self._area.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._area.__exit__()

    def show(self, progress: LearningProgress) -> None:
        """What is drawn from now on."""
        self._progress = progress

    def _render(self) -> Group:
        progress = self._progress
        done = min(max(1 - progress.minutes_left / self._minutes, 0.0), 1.0)
        filled = round(_BAR_WIDTH * done)
        bar = "█" * filled + "·" * (_BAR_WIDTH - filled)
        how = ENDING if self._stop.is_set() else "Ctrl-C ends it with the best so far."
        return Group(
            Text(f"learning  {bar} {progress.minutes_left:4.1f} min left"),
            Text(f"          {score(progress)}"),
            Text(how, style="bold yellow" if self._stop.is_set() else "dim"),
        )


def score(progress: LearningProgress) -> str:
    """As a part of a sentence."""
    if progress.score_db is None:
        return "no score yet"
    return f"{progress.score_db:+.1f} dB on pieces of the reading that it does not learn from"


def view(minutes: float, stop: threading.Event) -> View:
    """The one that fits where it is shown."""
    return (Screen if is_terminal(sys.stdout) else Lines)(minutes, stop)
