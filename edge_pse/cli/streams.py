"""Standard output and standard error that may fail: a full disk, a closed pipe, a terminal that has gone.

What a command was asked to do is done all the same. Where it was asked for its output, it fails as any filter does.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from typing import TextIO

import click

_PRINTING = (
    "edge-pse",
    "edge-pse bench",
    "edge-pse ctl",
    "edge-pse ctl status",
    "edge-pse devices",
    "edge-pse doctor",
    "edge-pse info",
    "edge-pse profiles",
    "edge-pse profiles list",
    "edge-pse profiles show",
    "edge-pse virtual-mic",
    "edge-pse virtual-mic status",
    "edge-pse who",
)
"""Commands whose output is what they are for."""


_HELP = f"{__name__}.help"


class HelpContext(click.Context):
    """Of a command that may be asked for its help, which is then what its output is for."""

    def get_help(self) -> str:
        """See ``click``."""
        self.meta[_HELP] = True
        return super().get_help()


def know_help(command: click.Command) -> None:
    """Have a command, and those below it, tell that their help was asked for."""
    command.context_class = HelpContext
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        know_help(below)


def guard() -> None:
    """Take standard output and error over, so that no write to them raises."""
    # Where some were closed before the program began, no other file gets their numbers. Writes fail there.
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = _guarded(sys.stdout, 1)
    sys.stderr = _guarded(sys.stderr, 2)


def tolerant(descriptor: int, like: TextIO) -> TextIO:
    """A text stream to an open file that never raises; it closes the file with itself, but for 1 and 2."""
    return io.TextIOWrapper(
        io.BufferedWriter(_Tolerant(descriptor, closefd=descriptor > 2)),  # type: ignore[type-var]
        encoding=like.encoding,
        # What the terminal or the pipe has no sign for is shown as a question mark.
        errors="replace",
        line_buffering=like.line_buffering if isinstance(like, io.TextIOWrapper) else True,
    )


def final_status(status: int) -> int:
    """The exit status of a command that would end with ``status``, and a sentence if its output was lost."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Tolerant) or raw.failure is None or (status and not raw.printing):
        return status
    reason = raw.failure.strerror
    if not _broken(raw.failure):
        lost = (
            "The output could not be written"
            if raw.printing
            else "All is done, but it could not be said here"
        )
        click.echo(f"{'Error: ' if raw.printing else ''}{lost} ({reason}).", err=True)
    return status or int(raw.printing)


def end_if_nobody_reads() -> None:
    """For what is done only as long as somebody reads how it goes: end as filters do once nobody does any more."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Tolerant) and raw.failure is not None and _broken(raw.failure):
        end_as_filters_do()


class _Tolerant(io.FileIO):
    """A file that pretends to have written what it could not write; below whatever others put around it."""

    def __init__(self, descriptor: int, closefd: bool):
        super().__init__(descriptor, "wb", closefd=closefd)
        self.failure: OSError | None = None
        self.printing = False
        """Whether it failed in a command that is for its output."""

    def write(self, content: bytes) -> int | None:  # type: ignore[override]
        """See ``io``."""
        try:
            return super().write(content)
        except OSError as error:
            if self.failure is None:
                self.failure, self.printing = error, _prints()
            if self.printing and self.fileno() == 1 and _broken(error):
                end_as_filters_do()
            return memoryview(content).nbytes


def _guarded(stream: TextIO, descriptor: int) -> TextIO:
    if stream is None:  # closed before the program began
        return tolerant(descriptor, sys.__stderr__ or sys.__stdin__ or io.TextIOWrapper(io.BytesIO()))
    own = isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    if not own or (os.name == "nt" and stream.isatty()):
        return stream
    return tolerant(descriptor, stream)


def _prints() -> bool:
    context = click.get_current_context(silent=True)
    if context is None:
        return False
    asked = context.meta.get(_HELP, False) or context.params.get("verifying")
    return context.command_path in _PRINTING or bool(asked)


def _broken(error: OSError) -> bool:
    # Windows calls a closed pipe an invalid argument.
    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)


def end_as_filters_do() -> None:
    """As whoever writes to a pipe that nobody reads: by SIGPIPE, without a word."""
    if hasattr(signal, "SIGPIPE") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        # A program inherits what the one that started it has blocked, and some libraries block this signal.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPIPE])
        os.kill(os.getpid(), signal.SIGPIPE)
