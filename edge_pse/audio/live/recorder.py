"""Writes what is played to a file, without ever making the sound wait for the disk."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import numpy as np
import soundfile

from edge_pse import atomic
from edge_pse.audio.files.writing import format_of, holds_rate
from edge_pse.audio.pcm import to_pcm
from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

_QUEUE_HOPS = 3000  # half a minute of a disk that does not answer
_CLOSED_EVERY_S = 2
"""So much is lost to other programs if the machine loses its power: the header says what was there then."""
_REOPENED = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU")
_MOST_FRAMES = 1 << 30
"""2 GiB: what is longer goes on in another file, because not every program reads more of a WAV file."""
_SILENCE_FRAMES = 1 << 16
_USUAL_RATE_HZ = 48_000


class Recorder:
    """A file that grows while it is recorded, until ``close`` or the end of ``with``.

    Hops are written on a thread of its own. The file has their rate; where another one comes, as with another output,
    they go on in another file. It is a WAV file where the wanted format can't have their rate.

    Only its owner may read it. An earlier recording stays: where the name is taken the next free one is used, and told
    to ``say``. Raises AudioError if the file can't be begun. If the disk fails later, the recording ends with a
    sentence, and the stream goes on.
    """

    def __init__(self, path: Path, say: Callable[[str], None], append: bool = False):
        """``append``: ``path`` was begun before a restart, so go on with it."""
        self._wanted, self._say = path, say
        self._rate = _USUAL_RATE_HZ  # until the first hop comes
        self._file: soundfile.SoundFile
        try:
            self._form, self._coding = format_of(path)
            if not (append and self._go_on(path)):
                self._begin()
        except OSError as error:
            raise AudioError(
                f"Can't record to {path} ({error.strerror or error}): name a file in a folder that can be written."
            ) from error
        except (AudioError, soundfile.LibsndfileError, ValueError) as error:
            reason = str(error).rstrip(".")
            raise AudioError(f"Can't record to {path} ({reason}): end the name in .wav or .flac.") from error
        self._lost = self._lost_rate = 0
        self._hops: SimpleQueue[tuple[Samples | int, int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="edge-pse recorder", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, hop: Samples, rate_hz: int) -> None:
        """The next samples, float32; if the disk is too far behind there is silence instead, which is said."""
        if self._lost and rate_hz != self._lost_rate:
            self._tell_lost()
        if self._hops.qsize() >= _QUEUE_HOPS:
            self._lost, self._lost_rate = self._lost + hop.size, rate_hz
        elif self._thread.is_alive():
            self._tell_lost()
            self._hops.put((hop, rate_hz))

    def close(self) -> None:
        """Write the rest and end the file; one without a sample does not stay."""
        self._tell_lost()
        self._hops.put(None)
        self._thread.join()

    def _tell_lost(self) -> None:
        if self._lost:
            self._hops.put((self._lost, self._lost_rate))
            self._lost = 0

    def _begin(self) -> None:
        """A new file under the first name that is free."""
        if not holds_rate(self._form, self._coding, self._rate):
            other = self._wanted.with_suffix(".wav")
            self._say(
                f"{self._wanted} can't have {self._rate} samples a second: this is recorded to {other}."
            )
            self._wanted, (self._form, self._coding) = other, format_of(other)
        for path in _names(self._wanted):
            try:
                self._descriptor = os.open(path, _NEW, atomic.OWN)
            except FileExistsError:
                if not stat.S_ISREG(path.lstat().st_mode) and not path.is_file():
                    raise AudioError("it is not a file") from None
                continue
            break
        self.path, self._frames, self._began_here = path, 0, True
        """Where it is recorded."""
        try:
            self._file = self._opened("w")
        except BaseException:
            os.close(self._descriptor)
            path.unlink()
            raise
        if path != self._wanted:
            self._say(f"{self._wanted} is there already and stays: this is recorded to {path}.")

    def _go_on(self, path: Path) -> bool:
        """Open the file of before the restart at its end; False where that can't be done."""
        try:
            self._descriptor = os.open(path, os.O_RDWR | _BINARY)
        except FileNotFoundError:
            return False
        self.path, self._began_here = path, False
        try:
            with suppress(OSError):  # not ours
                path.chmod(atomic.OWN)
            self._file = self._opened("r+")
        except soundfile.LibsndfileError:  # a compressed one
            os.close(self._descriptor)
            return False
        self._rate = self._file.samplerate
        self._frames = self._file.seek(0, soundfile.SEEK_END)
        return True

    def _opened(self, mode: str) -> soundfile.SoundFile:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        kind = (self._rate, 1, self._coding, None, self._form) if mode == "w" else ()
        return soundfile.SoundFile(os.dup(self._descriptor), mode, *kind, closefd=True)

    def _write(self) -> None:
        try:
            while (next_ := self._hops.get()) is not None:
                hop, rate_hz = next_
                if rate_hz != self._rate:
                    self._change_rate(rate_hz)
                if isinstance(hop, int):
                    self._write_silence(hop)
                else:
                    self._write_hop(hop)
            self._end()
        except Exception as error:  # told; whatever it is, the stream goes on
            self._say(f"The recording to {self.path} has ended early ({error}): is the disk full?")
            with suppress(soundfile.LibsndfileError, OSError):
                self._end()

    def _change_rate(self, rate_hz: int) -> None:
        self._rate = rate_hz
        if self._frames or not holds_rate(self._form, self._coding, rate_hz):
            self._end()
            self._begin()
        else:
            self._file.close()
            os.ftruncate(self._descriptor, 0)
            self._file = self._opened("w")

    def _write_hop(self, hop: Samples) -> None:
        before, self._frames = self._frames, self._frames + hop.size
        self._file.write(to_pcm(hop))
        every = _CLOSED_EVERY_S * self._rate
        if self._frames >= _MOST_FRAMES:
            self._end()
            self._begin()
        elif self._form in _REOPENED and self._frames // every > before // every:
            self._file.close()
            self._file = self._opened("r+")
            self._file.seek(0, soundfile.SEEK_END)

    def _write_silence(self, frames: int) -> None:
        self._say(
            f"The disk was too slow: {frames / self._rate:.1f} s of the recording to {self.path} are silence."
        )
        for start in range(0, frames, _SILENCE_FRAMES):
            self._write_hop(np.zeros(min(_SILENCE_FRAMES, frames - start), np.float32))

    def _end(self) -> None:
        try:
            self._file.close()
            nothing = self._began_here and not self._frames
            if nothing and os.path.samestat(os.fstat(self._descriptor), self.path.stat()):
                self.path.unlink()
        finally:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)


_BINARY = getattr(os, "O_BINARY", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY


def _names(wanted: Path) -> Iterator[Path]:
    """``talk.wav``, ``talk-2.wav``, ``talk-3.wav`` ..."""
    yield wanted
    for number in count(2):
        yield wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
