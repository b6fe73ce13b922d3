"""Other commands of edge-pse, as processes: no sound library there holds up the panel, or fills its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

# -P: what lies in the folder in which the panel was started is not imported.
COMMAND = (sys.executable, "-P", "-c", "from edge_pse.cli import main; main()")
_END_S = 5.0
_OF_THE_MANAGER = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def environment() -> dict[str, str]:
    """Of a process that the panel starts: nobody but the panel itself tells its manager how it goes."""
    return {name: value for name, value in os.environ.items() if name not in _OF_THE_MANAGER}


class Listening:
    """A command with ``--json``, whose lines go to ``take`` as they come, by a thread of its own.

    ``ended`` gets the last line of its errors, empty if it had none.
    """

    def __init__(
        self, arguments: Sequence[str], take: Callable[[dict[str, Any]], None], ended: Callable[[str], None]
    ):
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._take, self._ended = take, ended
        self._errors: list[str] = []
        self._listener = threading.Thread(target=self._listen, name="edge-pse panel command", daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        """Whether it still runs, or something of what it said is still to be taken."""
        return self._listener.is_alive()

    def end(self) -> None:
        """Let it end, now; nothing that it is at is kept."""
        self._process.terminate()
        self._listener.join(_END_S)
        if self._listener.is_alive():
            self._process.kill()
            self._listener.join(_END_S)

    def _listen(self) -> None:
        assert self._process.stdout is not None and self._process.stderr is not None
        complaints = threading.Thread(target=self._complain, daemon=True)
        complaints.start()
        with self._process.stdout as lines:
            for line in lines:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                if isinstance(said, dict):
                    self._take(said)
        self._process.wait()
        complaints.join()
        self._ended(self._errors[-1].removeprefix("Error: ") if self._errors else "")

    def _complain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._errors = [*self._errors[-5:], line.strip()]
