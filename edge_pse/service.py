"""What a service manager is told: ready, still alive, and in a few words how it goes.

The protocol of systemd's sd_notify(3): one datagram of ``NAME=value`` lines to the socket that the environment
names. Where no manager asked for it, nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

_FEEDS_PER_TIMEOUT = 4
"""systemd advises at least two: one of them may come late."""


class Service:
    """The link to the manager of this process. Telling never fails and never waits: sound does not depend on it."""

    def __init__(self, environment: Mapping[str, str] = os.environ):
        address = environment.get("NOTIFY_SOCKET", "")
        # What is neither a path nor a name without a file comes from no manager.
        self._address = address if address.startswith(("/", "@")) and hasattr(socket, "AF_UNIX") else ""
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        watched = _number(environment, "WATCHDOG_PID") in (None, os.getpid())
        timeout_s = (_number(environment, "WATCHDOG_USEC") or 0) / 1e6 if watched else 0.0
        self._feed_every_s = timeout_s / _FEEDS_PER_TIMEOUT
        self._ready = False
        self._fed_s = float("-inf")

    @property
    def managed(self) -> bool:
        """Whether a service manager started this process and wants to know."""
        return bool(self._address)

    def alive(self) -> None:
        """Say that all is well, as often as you like: the manager restarts a process that stops saying so."""
        self._ready = self._ready or self._tell("READY=1")
        now = time.monotonic()
        if self._feed_every_s and now - self._fed_s >= self._feed_every_s:
            self._fed_s = now
            self._tell("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """One line for ``systemctl status``."""
        self._tell("STATUS=" + " ".join(sentence.split()))

    def stopping(self) -> None:
        """Say that this is the end, and wanted."""
        self._tell("STOPPING=1")

    def _tell(self, line: str) -> bool:
        """-> whether the manager got it."""
        if not self._address:
            return False
        # A path may be too long for a socket, or hold what no path can.
        with (
            contextlib.suppress(OSError, ValueError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager,
        ):
            to_manager.setblocking(False)
            to_manager.sendto(line.encode(errors="replace"), self._address)
            return True
        return False


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """Of a variable that holds one; None for one that does not, as if it were not set."""
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
