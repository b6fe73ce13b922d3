"""Keeps the chatter of C libraries off the screen."""

from __future__ import annotations

import os
import sys

from edge_pse.cli import streams


class quiet_libraries:
    """Keeps what C libraries write to stderr away; Python's own messages still get there.

    ALSA and PortAudio write a line for each configuration they do not find, and hundreds of thousands when a
    card vanishes.
    """

    def __enter__(self) -> None:
        self._stderr = sys.stderr
        self._saved = os.dup(2)
        sys.stderr = streams.tolerant(os.dup(2), sys.stderr)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)
        sys.stderr.close()
        sys.stderr = self._stderr
