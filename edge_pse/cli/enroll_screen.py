"""What ``edge-pse enroll`` shows while it listens: the text and a meter on a terminal, lines everywhere else."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from edge_pse.cli import streams
from edge_pse.cli.live_screen import meter
from edge_pse.cli.terminal import Area, is_terminal
from edge_pse.enrollment import Progress
from edge_pse.enrollment.live import GOOD, READ_ON

_PATIENCE_S = 1.0
"""Advice that changes sooner is not read by anybody."""
_LINE_EVERY_SECONDS = 2.0
_BAR_WIDTH, _SILENCE_DBFS = 30, -120.0
_FEW_SENTENCES = 4
_CALM = (GOOD, READ_ON)


class View(Protocol):
    """Shows how an enrollment goes, as long as it is entered."""

    def show(self, progress: Progress) -> None:
        """The state now."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """A line for every two seconds of speech, and for new advice."""

    def __init__(self, sentences: Sequence[str], microphone: str):
        self._sentences, self._microphone = sentences, microphone
        self._advice, self._advised_s = "", float("-inf")
        self._told_seconds = float("-inf")

    def __enter__(self) -> Self:
        click.echo(
            f"Listening to {self._microphone}. Read aloud, as you usually speak, and begin again at the end:"
        )
        for sentence in self._sentences:
            click.echo(f"  {sentence}")
        sys.stdout.flush()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, progress: Progress) -> None:
        """Print a line if there is something new to say."""
        now = time.monotonic()
        new_advice = progress.advice != self._advice and now - self._advised_s > _PATIENCE_S
        more_speech = progress.speech_seconds - self._told_seconds >= _LINE_EVERY_SECONDS
        if not (new_advice or more_speech or progress.finished):
            return
        self._advice, self._advised_s, self._told_seconds = progress.advice, now, progress.speech_seconds
        click.echo(
            f"{progress.speech_seconds:.1f} s of speech, {progress.missing_seconds:.1f} s to go. {progress.advice}"
        )
        sys.stdout.flush()


class Json:
    """A line of JSON for the text, and one for each state; for other programs."""

    def __init__(self, sentences: Sequence[str], microphone: str):
        self._begin = {"text": list(sentences), "microphone": microphone}

    def __enter__(self) -> Self:
        click.echo(json.dumps(self._begin))
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, progress: Progress) -> None:
        """Print it; whoever reads no more holds no microphone open."""
        click.echo(json.dumps(asdict(progress)))
        streams.end_if_nobody_reads()


class Screen:
    """The text, the level, how much is missing and what to do better, in place."""

    def __init__(self, sentences: Sequence[str], microphone: str):
        self._sentences, self._microphone = sentences, microphone
        self._advice, self._advised_s = READ_ON, float("-inf")
        self._progress = Progress(_SILENCE_DBFS, 0.0, 0.0, READ_ON, finished=False)
        self._area = Area(self._render, partial(Console, highlight=False, markup=False, emoji=False))

    def __enter__(self) -> Self:
        self._area.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._area.__exit__()

    def show(self, progress: Progress) -> None:
        """What is drawn from now on."""
        now = time.monotonic()
        if progress.advice != self._advice and now - self._advised_s > _PATIENCE_S:
            self._advice, self._advised_s = progress.advice, now
        self._progress = progress

    def _render(self) -> Group:
        progress = self._progress
        whole = progress.speech_seconds + progress.missing_seconds
        filled = round(_BAR_WIDTH * progress.speech_seconds / whole) if whole else 0
        bar = "█" * filled + "·" * (_BAR_WIDTH - filled)
        return Group(
            Text(
                "Read aloud, as you usually speak; at the end begin again. Ctrl-C keeps nothing.", style="dim"
            ),
            *(Padding(Text(part, style="bold"), (1, 2, 0, 2)) for part in self._parts()),
            Text(),
            Text("level   ").append(meter(progress.level_dbfs)).append(f"   {self._microphone}", style="dim"),
            Text(f"speech  {bar} {progress.missing_seconds:4.1f} s to go"),
            Text(self._advice, style="green" if self._advice in _CALM else "bold yellow"),
        )

    def _parts(self) -> Sequence[str]:
        """What stands apart: sentences, but for so many of them that a small terminal would not hold all."""
        few = len(self._sentences) <= _FEW_SENTENCES
        return self._sentences if few else [" ".join(self._sentences)]


def view(sentences: Sequence[str], microphone: str, as_json: bool = False) -> View:
    """The one that fits where it is shown, unless it is for another program."""
    return (Json if as_json else Screen if is_terminal(sys.stdout) else Lines)(sentences, microphone)
