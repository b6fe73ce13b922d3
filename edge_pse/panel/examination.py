"""What ``edge-pse doctor`` finds, as it finds it."""

from __future__ import annotations

import threading
from typing import Any

from edge_pse.panel.commands import Listening


class Examination:
    """One at a time, for all who look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._command: Listening | None = None
        self._findings: list[dict[str, Any]] = []
        self._trouble = ""

    def begin(self) -> None:
        """Look at everything anew, unless that is being done."""
        with self._lock:
            if self._command is not None and self._command.alive:
                return
            self._findings, self._trouble = [], ""
            self._command = Listening(["doctor", "--json"], self._take, self._ended)

    def end(self) -> None:
        """Look no further."""
        with self._lock:
            if self._command is not None:
                self._command.end()

    def state(self) -> dict[str, Any] | None:
        """``findings`` until now, whether it is ``done``, and what ``trouble`` there was; None if nobody has asked."""
        command = self._command
        if command is None:
            return None
        return {"findings": list(self._findings), "done": not command.alive, "trouble": self._trouble}

    def _take(self, finding: dict[str, Any]) -> None:
        self._findings.append(finding)

    def _ended(self, trouble: str) -> None:
        self._trouble = trouble
