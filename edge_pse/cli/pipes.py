"""Standard input and output as they are: bytes that come and go at once, of filters between other programs."""

from __future__ import annotations

import io
import os
import select
import signal
import stat
import sys
from typing import Any

import click

from edge_pse.cli import streams
from edge_pse.cli.terminal import is_terminal
from edge_pse.errors import AudioError

_PIPE_BYTES = 1 << 16
PIPE = "-"
"""In the place of a file's name."""


class Input(io.RawIOBase):
    """Standard input, as much at a time as there is. UsageError if it is a terminal, AudioError if it is closed."""

    def __init__(self) -> None:
        if sys.stdin is None:
            raise AudioError("Standard input is closed: pipe sound into it.")
        if is_terminal(sys.stdin):
            raise click.UsageError("Nothing is piped into this: put a program before it that gives sound.")
        _as_bytes(0)

    def readable(self) -> bool:
        """See ``io``."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, up to ``size``, as soon as there are any; none at the end only."""
        while True:
            try:
                return os.read(0, size)
            except BlockingIOError:  # somebody made it so
                select.select([0], [], [])
            except OSError as error:
                raise AudioError(f"Can't read standard input: {error.strerror}.") from error

    def leave_out_waiting(self, frame_bytes: int) -> int:
        """Read what is there by now and forget it, whole frames -> how many bytes that was; none of a file.

        Of a file nothing comes, and all is there.
        """
        if stat.S_ISREG(os.fstat(0).st_mode):
            return 0
        left_out = 0
        while select.select([0], [], [], 0)[0] and (content := self.read(_PIPE_BYTES)):
            left_out += len(content)
        cut = -left_out % frame_bytes
        while cut and (content := self.read(cut)):
            left_out += len(content)
            cut -= len(content)
        return left_out


class Output(io.RawIOBase):
    """Standard output, written at once; ends the program as filters end where nobody reads it any more."""

    def __init__(self) -> None:
        if is_terminal(sys.stdout):
            raise click.UsageError("Sound is nothing for a terminal: pipe it into a program, or to a file.")
        _as_bytes(1)

    def writable(self) -> bool:
        """See ``io``."""
        return True

    def write(self, content: Any) -> int:
        """All of it."""
        left = memoryview(content)
        while left:
            try:
                left = left[os.write(1, left) :]
            except BlockingIOError:
                select.select([], [1], [])
            except BrokenPipeError:
                streams.end_as_filters_do()
                sys.exit(1)  # where there is no such signal
        return len(content)


def end_on_signals() -> None:
    """From here on Ctrl-C and its like end the program at once and without a word: it has nothing to tidy up."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _as_bytes(descriptor: int) -> None:
    """Windows would make two characters of each end of a line."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
