"""A part of the terminal that a command draws in place, and the keys that are pressed there.

Both only while the command is in the terminal's foreground. A job in the background that read keys, or changed how the
terminal gives them, would be stopped; one that drew would draw over what its user does meanwhile.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # what draws is loaded with the first area
    from rich.console import Console, RenderableType
    from rich.live import Live

try:
    import select
    import termios
    import tty
except ImportError:  # Windows: there are no keys, and no jobs to control
    termios = None  # type: ignore[assignment]

_DRAW_EVERY_S = 0.25
_PICTURE_S = 1.0
"""So long a picture that has begun may take, on a busy machine; it must not end in the background."""
_SHOW_CURSOR = b"\x1b[?25h"
_LEAVES = tuple(getattr(signal, name) for name in ("SIGTSTP", "SIGQUIT") if hasattr(signal, name))
"""What Ctrl-Z and Ctrl-\\ send: at once the terminal is the shell's again, and must be as it was."""
_REFUSALS = tuple(getattr(signal, name) for name in ("SIGTTIN", "SIGTTOU") if hasattr(signal, name))
"""What stops a job in the background that reads from its terminal or changes it."""


def is_terminal(stream: IO[str] | None) -> bool:
    """Also for a stream that is closed, or was never open."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def restore() -> None:
    """Give the terminal back as it was, for a program that ends without any tidying up."""
    if _current is not None:
        _current.release()


_current: Area | None = None


def _descriptor(stream: IO[str]) -> int:
    """Of an open file; -1 for what is none."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return -1


class Area:
    """What ``render`` gives, drawn again four times a second as long as it is entered.

    ``console``: of the terminal. ``on_key`` is given each character that is typed, and must not raise. Both are called
    on a thread of this object. ``transient``: nothing of it stays at the end.
    """

    def __init__(
        self,
        render: Callable[[], RenderableType],
        console: Callable[[], Console],
        on_key: Callable[[str], None] | None = None,
        transient: bool = False,
    ):
        from rich.live import Live

        self._make_console = console
        self._make_live = partial(Live, get_renderable=render, auto_refresh=False, transient=transient)
        self._on_key = on_key if termios is not None and is_terminal(sys.stdin) else None
        self._console = console()
        self._terminal = _descriptor(self._console.file)
        self._live: Live | None = None
        self._modes: list[Any] | None = None
        """Those of the terminal while keys are not taken one by one."""
        self._takes_keys = False
        self._left = self._leaving = self._looking = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="terminal", daemon=True)
        self._handlers_before: dict[int, Any] = {}

    @property
    def in_foreground(self) -> bool:
        """Whether the terminal is this program's: not while it is a job in the background."""
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except (OSError, AttributeError):  # no terminal that controls jobs
            return True

    @property
    def may_write(self) -> bool:
        """Whether a line may be written: in the background unless the user forbade it (``stty tostop``)."""
        if self.in_foreground or termios is None:
            return True
        with suppress(termios.error):
            return not termios.tcgetattr(self._terminal)[3] & termios.TOSTOP
        return False

    def __enter__(self) -> Self:
        global _current
        _current = self
        if threading.current_thread() is threading.main_thread():
            for number in _LEAVES:
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._handlers_before[number] = signal.signal(number, self._leave)
            for number in _REFUSALS:
                self._handlers_before[number] = signal.signal(number, signal.SIG_IGN)
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        global _current
        self._stop.set()
        self._thread.join()
        self._look()
        live = self._live
        if live is not None and self.in_foreground:
            self._live = None
            with suppress(OSError, ValueError):
                live.stop()
            self._give_keys_back()
        self._forget()
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        _current = None

    def release(self) -> None:
        """Put the terminal back in order, from any thread: the program is about to leave it.

        Without a lock, because the thread that holds it may be the one that a signal has interrupted.
        """
        self._leaving = True
        until = time.monotonic() + _PICTURE_S
        while self._looking and time.monotonic() < until:
            time.sleep(0.002)
        if self._live is not None and self.in_foreground:
            with suppress(OSError):
                os.write(self._terminal, _SHOW_CURSOR)
            self._give_keys_back()

    def _leave(self, number: int, _: FrameType | None) -> None:
        """On Ctrl-Z: what the signal does to any program, once the terminal is in order."""
        self.release()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here again after ``fg`` or ``bg``.
        signal.signal(number, self._leave)
        self._left, self._leaving = True, False

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wait()
            self._look()

    def _wait(self) -> None:
        """Until a key was pressed, or it is time to draw again."""
        if self._on_key is None or not self._takes_keys or not self.in_foreground:
            self._stop.wait(_DRAW_EVERY_S)
            return
        try:
            if not select.select([sys.stdin], [], [], _DRAW_EVERY_S)[0] or not self.in_foreground:
                return
            typed = os.read(sys.stdin.fileno(), 64)
        except (OSError, ValueError):  # moved to the background in this moment, or the terminal is gone
            self._stop.wait(_DRAW_EVERY_S)
            return
        if not typed:
            self._on_key = None  # nothing will ever come
        for key in typed.decode(errors="ignore"):
            if self._on_key is not None:
                self._on_key(key)

    def _look(self) -> None:
        """Draw, if the terminal is ours; begin anew below what others have written there."""
        self._looking = True
        try:
            if not self._leaving:
                self._draw()
        finally:
            self._looking = False

    def _draw(self) -> None:
        foreground = self.in_foreground
        if self._left or not foreground:
            self._left = False
            self._forget()
        if not foreground:
            return
        try:
            self._take_keys()
            if self._live is None:
                self._console = self._make_console()
                self._live = self._make_live(console=self._console)
                self._live.start()
            self._live.refresh()
        except (OSError, ValueError):  # the terminal is gone
            self._forget()
        except Exception:  # one picture less is no reason to end what goes on behind it
            self._stop.wait(_DRAW_EVERY_S)

    def _forget(self) -> None:
        """Draw no more where it was drawn so far, without a word to the terminal."""
        live, self._live = self._live, None
        self._takes_keys = False
        if live is not None:
            self._console.file = io.StringIO()
            live.stop()

    def _take_keys(self) -> None:
        """Let each key through at once; shells undo that."""
        if self._on_key is None:
            return
        with suppress(termios.error):
            modes = termios.tcgetattr(sys.stdin)
            if modes[3] & termios.ICANON:
                self._modes = modes
                tty.setcbreak(sys.stdin, termios.TCSANOW)
            self._takes_keys = True

    def _give_keys_back(self) -> None:
        if self._takes_keys and self._modes is not None:
            with suppress(termios.error, ValueError):
                termios.tcsetattr(sys.stdin, termios.TCSANOW, self._modes)
        self._takes_keys = False
