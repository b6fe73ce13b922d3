"""Microphones and outputs with their levels, as long as somebody looks at them."""

from __future__ import annotations

import threading
import time
from typing import Any

from edge_pse.panel.commands import Listening

_LOOKED_AT_S = 5.0
_LONGEST_S = 120.0
"""Microphones are not held open for a page that somebody has left open."""


class Devices:
    """One look at a time, for all who look: ``edge-pse devices --json``, with levels or without."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._command: Listening | None = None
        self._found: dict[str, Any] | None = None
        self._levels: dict[str, Any] = {}
        self._trouble = ""
        self._began_s = self._looked_s = float("-inf")
        self._listens = False

    def begin(self, listen: bool) -> None:
        """Look anew; with ``listen`` go on with levels until nobody looks any more."""
        with self._lock:
            self._end()
            self._began_s = self._looked_s = time.monotonic()
            self._levels, self._trouble, self._listens = {}, "", listen
            self._command = Listening(
                ["devices", "--json", *(["--listen"] if listen else [])], self._take, self._ended
            )

    def end(self) -> None:
        """Close all microphones."""
        with self._lock:
            self._end()

    def state(self) -> dict[str, Any] | None:
        """``inputs``, ``outputs`` and ``levels`` of both by name; None if nobody has looked yet."""
        self._looked_s = time.monotonic()
        command = self._command
        if command is None:
            return None
        return {
            **(self._found or {"inputs": [], "outputs": [], "trouble": ""}),
            **({"trouble": self._trouble} if self._trouble else {}),
            "levels": self._levels,
            "listens": self._listens and command.alive,
            "known": self._found is not None,
        }

    def _end(self) -> None:
        command, self._command = self._command, None
        if command is not None and command.alive:
            command.end()
        self._command = command

    def _take(self, line: dict[str, Any]) -> None:
        if "trouble" in line:
            self._found = line
        else:
            self._levels = line
        now = time.monotonic()
        if self._listens and (now - self._looked_s > _LOOKED_AT_S or now - self._began_s > _LONGEST_S):
            self._listens = False
            # Another thread, because this one is what the end of the command waits for.
            threading.Thread(target=self.end, daemon=True).start()

    def _ended(self, trouble: str) -> None:
        self._levels = {}
        self._trouble = trouble
