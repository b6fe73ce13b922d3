"""Whether any program records from the virtual microphone, told by the sound server as it changes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from edge_pse.audio.devices import sound_server, virtual_mic

_RELEASE_S = 2.0
"""Browsers close and open a microphone again when a call begins; it is kept meanwhile."""
_LOOK_S = 0.5


class Demand:
    """Watches the virtual microphone; between two changes at the server it costs nothing."""

    def __init__(self) -> None:
        virtual_mic.ensure()
        self._wanted = threading.Event()
        self._changes = sound_server.Changes(self._count)

    @property
    def alive(self) -> bool:
        """False once the sound server has ended."""
        return self._changes.alive

    @property
    def wanted(self) -> bool:
        """Whether somebody records."""
        return self._wanted.is_set()

    def wait(self, stop: threading.Event, look: Callable[[], None]) -> bool:
        """Sleep until somebody records: True; or until ``stop`` is set or the server has ended: False.

        Calls ``look`` now and then.
        """
        while not stop.is_set() and self.alive:
            look()
            if self._wanted.wait(_LOOK_S):
                return True
        return False

    def released(self, stop: threading.Event) -> bool:
        """Whether nobody records any more, and has not for a while."""
        return not self._wanted.is_set() and not stop.wait(_RELEASE_S) and not self._wanted.is_set()

    def close(self) -> None:
        """Stop watching."""
        self._changes.close()

    def _count(self) -> None:
        if sound_server.recorders(virtual_mic.SOURCE, os.getpid()):
            self._wanted.set()
        else:
            self._wanted.clear()
