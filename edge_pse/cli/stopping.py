"""Ends what runs until it is told to stop."""

from __future__ import annotations

import signal
import threading
from queue import SimpleQueue

_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
"""Windows knows no SIGHUP."""


def stop_on_signals(stop: threading.Event) -> None:
    """Set ``stop`` at Ctrl-C, when the service manager ends the program, and when its terminal is closed.

    Not in the signal handler: it may interrupt the main thread in ``stop.wait`` while that holds the event's lock, and
    would then wait for it for ever. ``SimpleQueue.put`` is made for handlers.
    """
    asked: SimpleQueue[int] = SimpleQueue()

    def pass_on() -> None:
        asked.get()
        stop.set()

    for number in _SIGNALS:
        signal.signal(number, lambda number, _: asked.put(number))
    threading.Thread(target=pass_on, name="stop on signals", daemon=True).start()
