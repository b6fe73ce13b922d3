"""Whether any program records from the virtual microphone, told by the sound server as it changes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Self

from edge_pse.audio.devices import sound_server, virtual_mic

_RELEASE_S = 2.0
"""Browsers close and open a microphone again when a call begins; it is kept meanwhile."""
_POLL_S = 0.5


class Demand:
    """Watches the virtual microphone until ``close``, or the end of ``with``.

    Between two changes at the server it costs nothing.
    """

    def __init__(self) -> None:
        virtual_mic.ensure()
        self._active = threading.Event()
        self._subscription = sound_server.Subscription(self._count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """False once the sound server has ended, and for good: the next one may have no virtual microphone."""
        return self._subscription.alive and not self._subscription.renewed

    @property
    def active(self) -> bool:
        """Whether somebody records."""
        return self._active.is_set()

    def wait(self, stop: threading.Event, heartbeat: Callable[[], None]) -> bool:
        """Sleep until somebody records: True; or until ``stop`` is set or the server has ended: False.

        Calls ``heartbeat`` now and then.
        """
        while not stop.is_set() and self.alive:
            heartbeat()
            if self._active.wait(_POLL_S):
                return True
        return False

    def released(self, stop: threading.Event) -> bool:
        """Whether nobody records any more, and has not for a while."""
        return not self._active.is_set() and not stop.wait(_RELEASE_S) and not self._active.is_set()

    def close(self) -> None:
        """Stop watching."""
        self._subscription.close()

    def _count(self) -> None:
        if sound_server.recorders(virtual_mic.SOURCE, os.getpid()):
            self._active.set()
        else:
            self._active.clear()
