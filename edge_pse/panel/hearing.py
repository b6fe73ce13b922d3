"""The last ten seconds before and after the network, which the stream keeps as long as a page wants to hear them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from edge_pse.control import Control
from edge_pse.errors import ControlError

_WANTED_S = 20.0
"""A page that is open asks more often."""


class Hearing:
    """Holds the connection for which the stream keeps sound; the panel itself keeps none."""

    def __init__(self, control: Control):
        self._control = control
        self._lock = threading.Lock()
        self._connection = ExitStack()
        self._latest: Callable[[], dict[str, Any]] | None = None
        self._began_s = self._wanted_s = float("-inf")

    def begin(self) -> None:
        """From now on the stream keeps sound; ControlError without one."""
        with self._lock:
            if self._latest is None:
                self._latest = self._connection.enter_context(self._control.hearing())
                self._began_s = time.monotonic()
            self._wanted_s = time.monotonic()

    def end(self) -> None:
        """Forget it."""
        with self._lock:
            self._end()

    def end_if_unwanted(self, runs: bool) -> None:
        """Forget it if no page has asked for a while, or if there is no stream any more."""
        with self._lock:
            if self._latest is not None and (not runs or time.monotonic() - self._wanted_s > _WANTED_S):
                self._end()

    def seconds(self, wanted: bool) -> float | None:
        """For how long sound has been kept, None if none is. ``wanted``: by a page, which says so again."""
        if self._latest is None:
            return None
        if wanted:
            self._wanted_s = time.monotonic()
        return time.monotonic() - self._began_s

    def heard(self) -> dict[str, Any]:
        """``before`` and ``after``, as the stream gives them: ``rate_hz``, ``wav`` in base64; None without sound."""
        with self._lock:
            if self._latest is None:
                raise ControlError("No sound is kept: begin again.")
            try:
                answer = self._latest()
            except ControlError:
                self._end()
                raise
        return {"before": answer.get("before"), "after": answer.get("after")}

    def _end(self) -> None:
        self._latest = None
        self._connection.close()
