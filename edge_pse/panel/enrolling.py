"""A voice that is enrolled through the page: ``edge-pse enroll --json`` listens, and this tells how it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_pse.errors import ControlError
from edge_pse.panel.commands import Listening

_BUSY = "The stream holds the microphone: stop it, enroll, and start it again."


@dataclass(frozen=True)
class Wish:
    """What is to be enrolled."""

    name: str
    seconds: float
    """Of speech."""
    language: str
    """Of the text to read."""
    microphone: str
    """Empty for the default one."""
    how: str
    """Empty for a new profile; ``add`` or ``replace`` for one that there is."""

    def words(self) -> list[str]:
        """As ``edge-pse enroll`` takes them."""
        words = [f"--seconds={self.seconds:g}", f"--language={self.language}", "--json"]
        words += [f"--input={self.microphone}"] if self.microphone else []
        words += [f"--{self.how}"] if self.how else []
        return ["enroll", *words, "--", self.name]


class Enrolling:
    """One voice at a time, for all who look. ``done`` is called with the name of one that was enrolled."""

    def __init__(self, done: Callable[[str], None], runs: Callable[[], bool]):
        self._done, self._runs = done, runs
        self._lock = threading.Lock()
        self._command: Listening | None = None
        self._state: dict[str, Any] | None = None

    def begin(self, wish: Wish) -> None:
        """Listen; ControlError if somebody else is being enrolled."""
        with self._lock:
            if self._command is not None and self._command.alive:
                raise ControlError("Somebody is being enrolled already: wait, or cancel that first.")
            self._state = {
                "name": wish.name,
                "text": [],
                "progress": None,
                "said": [],
                "error": "",
                "done": False,
            }
            self._command = Listening(wish.words(), self._take, self._ended)

    def cancel(self) -> None:
        """Keep nothing of it. Whoever begins meanwhile waits: what ends holds the microphone, and has its last word."""
        with self._lock:
            command, self._command, self._state = self._command, None, None
            if command is not None:
                command.end()

    def state(self) -> dict[str, Any] | None:
        """What is to be read, how it goes, and what came of it; None if nobody is or was enrolled."""
        return self._state

    def _take(self, line: dict[str, Any]) -> None:
        if self._state is None:
            return
        if "text" in line:
            self._state = {**self._state, **line}
        elif "said" in line:
            # The last two are commands of a terminal.
            said = [
                one for one in line["said"] if "edge-pse run" not in one and "edge-pse enhance" not in one
            ]
            self._state = {**self._state, "said": said}
            self._done(self._state["name"])
        else:
            self._state = {**self._state, "progress": line}

    def _ended(self, trouble: str) -> None:
        if self._state is None:
            return
        if trouble and "may be in use" in trouble and self._runs():
            trouble = _BUSY
        if not trouble and not self._state["said"]:
            trouble = "The enrollment has ended before it was done."
        self._state = {**self._state, "error": trouble if not self._state["said"] else "", "done": True}
