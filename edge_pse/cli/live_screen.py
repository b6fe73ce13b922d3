"""What ``edge-pse run`` shows: a calm screen on a terminal, lines everywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edge_pse.audio.live import FarEndStatus, Live, Status
from edge_pse.cli.terminal import Area
from edge_pse.diagnosis.machine import NOW, firmware_bits, hottest_c
from edge_pse.text import shown

_LINE_EVERY_S = 30.0
_METER_WIDTH, _METER_FLOOR_DBFS = 30, -60.0


class View(Protocol):
    """Shows how a stream goes, as long as it is entered."""

    def say(self, sentence: str) -> None:
        """Show one sentence."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def write_line(sentence: str) -> None:
    """Print it; where nobody reads any more, the sound goes on all the same."""
    with suppress(OSError, ValueError):
        print(sentence, flush=True)


class Lines:
    """One line for each sentence, and the state now and then; for logs and pipes."""

    def __init__(self, live: Callable[[], Live], speaks: Callable[[], str] | None = None):
        """``speaks``: who does just now."""
        self._live, self._speaks = live, speaks
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def say(self, sentence: str) -> None:
        """Print it at once."""
        write_line(shown(sentence))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _report(self) -> None:
        while not self._stop.wait(_LINE_EVERY_S):
            live = self._live()
            status, counters = live.status(), live.counters
            if status is not None:
                self.say(
                    f"in {status.input_dbfs:.0f} dBFS, out {status.output_dbfs:.0f} dBFS, {_far_end(status)}"
                    f"hop {status.hop_p50_ms:.2f} / {status.hop_p99_ms:.2f} ms, delay {status.latency_ms:.0f} ms, "
                    f"underruns {counters.underruns}, restarts {live.restarts}{_heat()}"
                    f"{f', speaks: {self._speaks()}' if self._speaks else ''}"
                )


class Screen:
    """The state in place, four times a second, and the last few sentences; keys change what is done.

    In the background each sentence is a line, and nothing else is shown until the terminal is this program's again.
    """

    _SENTENCES = 5

    def __init__(
        self,
        live: Callable[[], Live],
        keys: dict[str, tuple[str, Callable[[], None]]],
        speaks: Callable[[], str] | None = None,
    ):
        """``keys``: character -> what it does, in a word or two, and the function that does it.

        ``speaks``: who does just now.
        """
        self._live, self._keys, self._speaks = live, keys, speaks
        self._sentences: list[str] = []
        self._area = Area(
            self._render, partial(Console, highlight=False, markup=False, emoji=False), self._press
        )

    def say(self, sentence: str) -> None:
        """Add it below the meters, with the time."""
        self._sentences = [*self._sentences, f"{time.strftime('%H:%M:%S')}  {shown(sentence)}"][
            -self._SENTENCES :
        ]
        if not self._area.in_foreground and self._area.may_write:
            write_line(shown(sentence))

    def __enter__(self) -> Self:
        self._area.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._area.__exit__()

    def _press(self, key: str) -> None:
        what, function = self._keys.get(key, ("", None))
        if function is None:
            return
        try:
            function()
        except Exception as error:  # whatever it was, the sound goes on
            self.say(f"[{key}] {what}: {error or type(error).__name__}")

    def _render(self) -> Group:
        parts: list[RenderableType] = [self._state()]
        parts.append(
            Text("   ".join(f"[{key}] {what}" for key, (what, _) in self._keys.items()), style="dim")
        )
        parts += [Text(sentence) for sentence in self._sentences]
        return Group(*parts)

    def _state(self) -> Table | Text:
        live = self._live()
        status, counters, enhancer = live.status(), live.counters, live.enhancer
        if status is None:
            return Text("waiting for the devices")
        table = Table.grid(padding=(0, 2))
        table.add_row("in", meter(status.input_dbfs), status.input)
        table.add_row("out", meter(status.output_dbfs), status.output)
        if status.far_end is not None:
            table.add_row("far end", *_far_end_row(status.far_end))
            table.add_row("echo", *_echo_row(status.far_end))
        removed = max(0.0, status.input_dbfs - status.output_dbfs)
        way = "bypassed" if live.bypass else "passing as it is: too busy" if status.overloaded else ""
        voice = " and ".join(profile.name for profile in enhancer.profiles) or "every voice"
        weights = ", personal weights" if enhancer.personal else ""
        table.add_row(
            "removed", f"{removed:.0f} dB", way or f"keeps {voice}{weights}, strength {enhancer.strength:.0%}"
        )
        if self._speaks is not None:
            table.add_row("speaks", shown(self._speaks()))
        table.add_row("hop", f"{status.hop_p50_ms:.2f} ms", f"99 % under {status.hop_p99_ms:.2f} ms")
        table.add_row(
            "delay", f"{status.latency_ms:.0f} ms", f"of it {status.device_ms:.0f} ms in the devices"
        )
        table.add_row("underruns", str(counters.underruns), f"restarts {live.restarts}{_heat()}")
        return table


def meter(dbfs: float) -> Text:
    """A bar for a level, and the level."""
    filled = round(_METER_WIDTH * min(max(1 - dbfs / _METER_FLOOR_DBFS, 0.0), 1.0))
    return Text("█" * filled + "·" * (_METER_WIDTH - filled) + f" {max(dbfs, -99):4.0f} dBFS")


def _far_end(status: Status) -> str:
    """For the line; empty without a far end."""
    far_end = status.far_end
    if far_end is None:
        return ""
    delay, held = _echo_row(far_end)
    return f"far end {far_end.dbfs:.0f} dBFS, echo {delay}{', ' if held else ''}{held}, "


def _far_end_row(far_end: FarEndStatus) -> tuple[Text | str, str]:
    if far_end.device is None:
        return "", "waiting for it"
    return meter(far_end.dbfs), far_end.device


def _echo_row(far_end: FarEndStatus) -> tuple[str, str]:
    if far_end.echo_delay_ms is None:
        return "not heard yet", ""
    if far_end.echo_delay_ms < 0:
        return f"{far_end.echo_delay_ms:.0f} ms", "before the far end: try a smaller --latency"
    return f"{far_end.echo_delay_ms:.0f} ms", f"far end held back {far_end.applied_delay_ms:.0f} ms"


def _heat() -> str:
    """Temperature, and on a Raspberry Pi whether it slows itself down; empty where nobody knows."""
    degrees = hottest_c()
    text = "" if degrees is None else f", {degrees:.0f} °C"
    return text + (", throttled" if (firmware_bits() or 0) & NOW else "")
