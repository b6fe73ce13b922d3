"""Ends what runs when it is told to: tidily at first, and at once if that does not come to an end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from edge_pse.cli import terminal

_HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)
"""The terminal is closed; Windows knows no such signal."""
_SIGNALS = {signal.SIGINT, signal.SIGTERM, _HANG_UP}
_TIDY_S = 1.0
"""So long whoever is told to stop has for it, also when told twice."""


def stop_on_signals(stop: threading.Event, numbers: Collection[int] = _SIGNALS) -> None:
    """Set ``stop`` at Ctrl-C, when the service manager ends the program, and when its terminal is closed.

    ``numbers``: at these signals only.

    Not in the signal handler: it may interrupt the main thread in ``stop.wait`` while that holds the event's lock, and
    would then wait for it for ever. ``SimpleQueue.put`` is made for handlers. What is to be ignored (as ``nohup`` wants
    it for the terminal) stays ignored, but for Ctrl-C, which shells let jobs in the background ignore.
    """
    asked: SimpleQueue[int] = SimpleQueue()

    def pass_on() -> None:
        asked.get()
        stop.set()

    for number in numbers:
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: asked.put(number))
    threading.Thread(target=pass_on, name="stop on signals", daemon=True).start()


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Meanwhile Ctrl-C and its like end the program without a word; for where there is nothing to tidy up.

    While libraries are loaded, an exception would come up in the middle of them, and some abort the program then.
    """
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    changed = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


def end_at_second_interrupt() -> None:
    """From the second Ctrl-C on, end the program whatever it waits for: a disk, a device, a library.

    Python looks at signals between its own steps only, and in its main thread; what is told to the other end of a
    socket, by the system and at once, is heard also while that thread hangs.
    """
    if not hasattr(socket, "socketpair"):  # not every system has them
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        with ours, theirs:
            first_s: float | None = None
            while True:
                for number in ours.recv(64):
                    if number not in _SIGNALS:
                        continue
                    if number == signal.SIGINT and first_s is not None:
                        time.sleep(max(0.0, first_s + _TIDY_S - time.monotonic()))
                        terminal.restore()
                        os._exit(128 + number)
                    first_s = first_s or time.monotonic()

    threading.Thread(target=listen, name="second interrupt", daemon=True).start()
