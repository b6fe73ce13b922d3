"""Writes what is played to a file, without ever making the sound wait for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import soundfile

from edge_pse.audio.playback import to_pcm
from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

_QUEUE_HOPS = 3000  # half a minute of a disk that does not answer


class Recorder:
    """A file that grows while it is recorded; hops are written on a thread of its own.

    Raises AudioError if the file can't be begun. If the disk fails later, the recording ends with a sentence
    to ``say``, and the stream goes on.
    """

    def __init__(self, path: Path, rate_hz: int, say: Callable[[str], None], append: bool = False):
        """``append``: go on with a file that was begun before a restart."""
        self._path, self._say = path, say
        go_on = append and path.exists()
        try:
            if go_on:
                self._file = soundfile.SoundFile(path, "r+")
                self._file.seek(0, soundfile.SEEK_END)
            else:
                self._file = soundfile.SoundFile(path, "w", rate_hz, 1)
        except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
            raise AudioError(f"Can't record to {path} ({error}): end the name in .wav or .flac.") from error
        self._hops: SimpleQueue[Samples | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="edge-pse recorder", daemon=True)
        self._thread.start()

    def add(self, hop: Samples) -> None:
        """The next samples, float32; dropped if the disk is too far behind."""
        if self._thread.is_alive() and self._hops.qsize() < _QUEUE_HOPS:
            self._hops.put(hop)

    def close(self) -> None:
        """Write the rest and end the file."""
        self._hops.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            with self._file as file:
                while (hop := self._hops.get()) is not None:
                    file.write(to_pcm(hop))
        except (soundfile.LibsndfileError, OSError) as error:
            self._say(f"The recording to {self._path} has ended early ({error}): is the disk full?")
