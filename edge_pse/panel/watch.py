"""Asks the stream how it goes, as often as somebody wants to know, and remembers the last minutes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from edge_pse.control import Control
from edge_pse.errors import ControlError, EdgePseError
from edge_pse.profiles import ProfileStore

POINT_S = 2.0
"""From one remembered point to the next."""
_MOST_POINTS = 300
_LOOKED_AT_S, _OFTEN_S = 4.0, 0.25


class Watch:
    """What is known of the stream. ``state`` and ``points`` may be called by any thread."""

    def __init__(self, control: Control, alive: Callable[[], None]):
        """``alive`` is called now and then, as long as this watches."""
        self._control, self._alive = control, alive
        self._points: deque[list[float | None]] = deque(maxlen=_MOST_POINTS)
        self.known: dict[str, Any] = {"status": None, "trouble": "", "profiles": []}
        """As ``state``, of the last time that the stream was asked."""
        self._looked_s = float("-inf")
        self._looking = threading.Lock()
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-pse panel watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def end(self) -> None:
        """Watch no more."""
        self._ending.set()
        self._wake.set()
        self._thread.join()

    def state(self) -> dict[str, Any]:
        """``status`` of the stream, None and ``trouble`` in a sentence without one; names of all ``profiles``."""
        self._looked_s = time.monotonic()
        self._wake.set()
        return self.known

    def points(self, after_s: float) -> list[list[float | None]]:
        """Later than ``after_s``, seconds since 1970.

        Each: the time, levels in and out in dBFS, the delay in ms, the share of its time that a hop takes (99 %), the
        temperature in °C, and underruns since the one before; None for what is not known.
        """
        return [point for point in self._points.copy() if (point[0] or 0) > after_s]

    def look(self) -> None:
        """Ask the stream now."""
        with self._looking:  # or an older answer could take the place of a newer one
            try:
                status, trouble = self._control.status(), ""
            except ControlError as error:
                status, trouble = None, str(error)
            try:
                profiles = ProfileStore().list()
            except EdgePseError as error:
                profiles, trouble = [], trouble or str(error)
            self.known = {"status": status, "trouble": trouble, "profiles": profiles}

    def _run(self) -> None:
        underruns, pointed_s = None, float("-inf")
        while not self._ending.is_set():
            self.look()
            self._alive()
            if time.monotonic() - pointed_s >= POINT_S:
                pointed_s = time.monotonic()
                underruns = self._point(underruns)
            if time.monotonic() - self._looked_s < _LOOKED_AT_S:
                self._ending.wait(_OFTEN_S)
            else:
                self._wake.wait(POINT_S)
                self._wake.clear()

    def _point(self, underruns_before: int | None) -> int | None:
        """Remember how it goes -> underruns until now."""
        status = self.known["status"]
        if status is None:
            self._points.append([time.time(), *[None] * 6])
            return None
        stream, underruns = status["stream"], int(status["counters"]["underruns"])
        now = [None] * 4
        if stream is not None:
            hop_ms = 10.0
            now = [
                stream["input_dbfs"],
                stream["output_dbfs"],
                stream["latency_ms"],
                stream["hop_p99_ms"] / hop_ms,
            ]
        more = 0 if underruns_before is None else max(0, underruns - underruns_before)
        self._points.append([time.time(), *now, status["hottest_c"], more])
        return underruns
