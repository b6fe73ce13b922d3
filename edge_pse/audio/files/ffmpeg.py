"""Sound in files that libsndfile does not know (m4a, mp4, mkv and many more), through ``ffmpeg`` where it is installed.

ffmpeg decodes in a process of its own and gives its samples through a pipe, so that no file is written and the
memory does not grow with the length. It opens the file that it is given and no address of a network.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

from edge_pse.errors import FfmpegError
from edge_pse.spectral import Samples

# Sun's format: the simplest one that tells rate and channels before the samples, of which it need not know the number.
_HEAD = struct.Struct(">4sIIIII")
_ENOUGH = 1 << 20
_TAGS = {"track": "tracknumber"}
_TAGS_SECONDS = 20
_LOSS = re.compile(
    r"ended prematurely|partial file|[Ee]rror while decoding|[Ii]nvalid data|corrupt|truncated"
)
"""In what ffmpeg says of a file that is cut off or damaged."""


def installed() -> bool:
    """Whether there is an ``ffmpeg`` that can be tried."""
    return shutil.which("ffmpeg") is not None


class FfmpegFile:
    """The sound of a file, read onwards; as much of ``soundfile.SoundFile`` as a reader needs.

    Of several sounds the one that ffmpeg takes for the main one. FfmpegError if there is none.
    """

    format, subtype = "FFMPEG", ""
    frames = None
    """Unknown before the end."""
    cut_off = False
    """At the end, whether ffmpeg said that something is missing."""

    def __init__(self, path: Path):
        self._path = path
        self._said = _place_for_words()
        self._process = self._start("-vn", "-sn", "-dn", "-c:a", "pcm_f32be", "-f", "au", "pipe:1")
        try:
            head = self._take(_HEAD.size)
            if len(head) < _HEAD.size:
                raise FfmpegError(self._reason())
            _, start, _, _, self.samplerate, self.channels = _HEAD.unpack(head)
            self._take(min(start - _HEAD.size, _ENOUGH))
        except BaseException:
            self.close()
            raise

    def read(self, frames: int, dtype: str, always_2d: bool) -> Samples:
        """The next ``frames`` or what is left, (frames, channels) float32; FfmpegError if it is damaged there."""
        content = self._take(4 * self.channels * frames)
        if len(content) < 4 * self.channels * frames:
            if self._process.wait():
                raise FfmpegError(self._reason())
            # It ends well, too, where it has left out what it could not decode.
            self.cut_off = any(_LOSS.search(line) for line in self._lines())
        whole = len(content) - len(content) % (4 * self.channels)
        return np.frombuffer(content[:whole], ">f4").astype(np.float32).reshape(-1, self.channels)

    def copy_metadata(self) -> dict[str, str]:
        """Title, artist and so on, by soundfile's names."""
        try:
            asked = subprocess.run(
                [*_command(self._path), "-f", "ffmetadata", "pipe:1"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TAGS_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        return _parsed(asked.stdout.decode(errors="replace"))

    def close(self) -> None:
        """End ffmpeg, if it still decodes."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._said.close()

    def _start(self, *output: str) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [*_command(self._path), *output],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._said,
                # Ctrl-C is for the program that reads; without it ffmpeg ends by itself.
                start_new_session=True,
            )
        except OSError as error:
            self._said.close()
            raise FfmpegError(f"ffmpeg does not start: {error.strerror}") from error

    def _take(self, count: int) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.read(count)

    def _lines(self) -> list[str]:
        """All that ffmpeg said, once it has ended."""
        self._said.seek(0)
        return self._said.read(_ENOUGH).decode(errors="replace").splitlines()

    def _reason(self) -> str:
        """The last thing that ffmpeg said, without the name of the file."""
        status = self._process.wait()
        lines = self._lines()
        last = lines[-1] if lines else f"ffmpeg ended with status {status}" if status else "no sound is in it"
        return last.rpartition(f"{os.path.realpath(self._path)}: ")[2].rstrip(". ")


def _place_for_words() -> IO[bytes]:
    """A file for what ffmpeg says; it is not kept where no temporary file can be written, as in a read-only system."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return Path(os.devnull).open("w+b")


def _command(path: Path) -> list[str]:
    program = shutil.which("ffmpeg") or "ffmpeg"
    # After `file:` nothing in a name means anything, not even a dash or a colon.
    address = f"file:{os.path.realpath(path)}"
    return [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i", address]


def _parsed(text: str) -> dict[str, str]:
    r"""The ``key=value`` lines of ffmpeg's own format, in which ``= ; # \`` and line ends follow a backslash."""
    tags: dict[str, str] = {}
    key, value, escaped, in_value = "", "", False, False
    for character in text + "\n":
        if escaped or character not in "\\=\n" or (character == "=" and in_value):
            key, value = (key, value + character) if in_value else (key + character, value)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "=":
            in_value = True
        else:
            if in_value and not key.startswith(";"):
                tags[_TAGS.get(key.lower(), key.lower())] = value
            elif key.startswith("["):  # a stream or a chapter
                break
            key, value, in_value = "", "", False
    return tags
