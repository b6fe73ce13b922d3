"""The chunks of which WAV, RF64, Wave64, AIFF and CAF files are made.

A recorder that dies, or loses its power, leaves a file whose samples are there and whose header says that there
are none, or only those of some time before. Such a file is read with the header that it would have.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WAVE64_NAMES = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_LARGEST_32 = 0xFFFF_FFFF
OPEN_SIZE = 0x7FFF_0000
"""From here on a size means that the writer did not know it, as behind a pipe."""
_LARGEST_HEAD = 1 << 20
_MANY_CHUNKS = 1000
_AFTER_SAMPLES = (
    b"LIST",
    b"bext",
    b"iXML",
    b"cue ",
    b"id3 ",
    b"ID3 ",
    b"JUNK",
    b"smpl",
    b"_PMX",
    b"afsp",
    b"TAG",
)
"""What programs put behind the samples, whole or not."""
_USUAL_NAME = re.compile(rb"[A-Za-z0-9 _.-]{4}")
"""Of a chunk, and hardly ever of samples: not of those of 32 bits in floating point, nor of soft ones."""
_NO_SAMPLES = 8
"""Size of a chunk of samples that holds none, at most: AIFF has two numbers before them."""
SHORTER = "it is shorter than it says, so something of it is missing; what there is was read"
CUT_OFF = "it is cut off or damaged, so something of it is missing; what there is was read"
NEVER_CLOSED = "its recorder never closed it; it was read to its end"
CARRIED = (b"LIST", b"bext", b"iXML", b"axml", b"cue ", b"id3 ", b"ID3 ", b"cart", b"_PMX", b"umid")
"""What is true of a recording whatever is done to its samples: names, dates, origin, marks."""
CARRIED_IN_AIFF = (b"ID3 ", b"id3 ")
_MOST_CARRIED = 1 << 24


@dataclass(frozen=True)
class Chunk:
    """A part of a file."""

    name: bytes
    start: int
    """Where its content begins; its size is written just before."""
    size: int
    """Of its content in bytes, as it is written: it may be wrong, and is negative where it is left open."""


@dataclass(frozen=True)
class Layout:
    """How the files of one kind are cut into chunks."""

    first: int
    """Where the first chunk begins."""
    head: struct.Struct
    """Name and size."""
    counts_itself: bool
    """Whether the size of a chunk includes its head."""
    alignment: int
    samples: bytes
    """Name of the chunk with the samples."""

    def chunks(self, file: io.BufferedReader, length: int, at: int | None = None) -> Iterator[Chunk]:
        """One after the other from ``at``, or from the first, as long as heads are whole."""
        at = self.first if at is None else at
        for _ in range(_MANY_CHUNKS):
            if at + self.head.size > length:
                return
            file.seek(at)
            name, size = self.head.unpack(file.read(self.head.size))
            chunk = Chunk(name, at + self.head.size, size - self.head.size * self.counts_itself)
            yield chunk
            if chunk.size < 0:
                return
            at = self.after(chunk)

    def after(self, chunk: Chunk) -> int:
        """Where the chunk behind another one begins."""
        return -(-(chunk.start + chunk.size) // self.alignment) * self.alignment

    def write_size(self, head: bytearray, chunk: Chunk, size: int) -> None:
        """Put another size of a chunk into the head of its file."""
        size = min(size, _LARGEST_32) if self.head.size == 8 else size
        self.head.pack_into(
            head, chunk.start - self.head.size, chunk.name, size + self.head.size * self.counts_itself
        )


RIFF = Layout(12, struct.Struct("<4sI"), False, 2, b"data")
WAVE64 = Layout(40, struct.Struct("<16sQ"), True, 8, b"data" + _WAVE64_NAMES)
_AIFF = Layout(12, struct.Struct(">4sI"), False, 2, b"SSND")
_LAYOUTS = {
    b"RIFF": RIFF,
    b"RF64": RIFF,
    b"BW64": RIFF,
    b"RIFX": Layout(12, struct.Struct(">4sI"), False, 2, b"data"),
    b"FORM": _AIFF,
    b"riff": WAVE64,
    b"caff": Layout(8, struct.Struct(">4sq"), False, 1, b"data"),
}


class RepairedFile:
    """What soundfile needs of a file that begins with ``head`` instead of what it has before ``start``."""

    def __init__(self, head: bytes, file: io.BufferedReader, start: int, length: int, note: str):
        self.note = note
        """What was wrong with it, for people; empty where nothing is known to be lost or forgotten."""
        self._head, self._file, self._start = head, file, start
        self._length = len(head) + length - start
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To a place, see ``io``."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes, see ``io``; all of them unless the file ends."""
        size = self._length - self._at if size < 0 else size
        head = self._head[self._at : self._at + size]
        self._file.seek(self._start + max(0, self._at - len(self._head)))
        content = head + self._file.read(size - len(head))
        self._at += len(content)
        return content

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def repaired(descriptor: int) -> RepairedFile | None:
    """A file as its recorder would have closed it; None where its header is right, or of another kind."""
    file = os.fdopen(os.dup(descriptor), "rb")
    found = _repaired(file, os.fstat(descriptor).st_size)
    if found is None:
        file.close()
    return found


def beside_samples(descriptor: int) -> list[bytes]:
    """Of a WAV or RF64 file the chunks that another one with the same sound should have, too, with their heads.

    Of AIFF those that libsndfile does not know.
    """
    length = os.fstat(descriptor).st_size
    found = []
    with os.fdopen(os.dup(descriptor), "rb") as file:
        magic = file.read(4)
        layout = _AIFF if magic == b"FORM" else RIFF
        if magic not in (b"RIFF", b"RF64", b"BW64", b"FORM"):
            return []
        names = CARRIED_IN_AIFF if layout is _AIFF else CARRIED
        for chunk in layout.chunks(file, length):
            if chunk.name in names and chunk.size <= min(_MOST_CARRIED, length - chunk.start):
                file.seek(chunk.start - RIFF.head.size)
                content = file.read(RIFF.head.size + chunk.size)
                found.append(content + bytes(len(content) % 2))
    return found


def append(path: Path, chunks: list[bytes]) -> None:
    """Put chunks behind the others of a WAV, RF64 or AIFF file that is whole."""
    with path.open("r+b") as file:
        magic = file.read(4)
        at = file.seek(0, os.SEEK_END)
        file.write(bytes(at % 2) + b"".join(chunks))
        size = file.tell() - 8
        if magic in (b"RIFF", b"FORM"):
            file.seek(4)
            file.write(min(size, _LARGEST_32).to_bytes(4, "little" if magic == b"RIFF" else "big"))
        elif magic == b"RF64":  # its size stands in the first chunk
            file.seek(20)
            file.write(struct.pack("<Q", size))


def _repaired(file: io.BufferedReader, length: int) -> RepairedFile | None:
    file.seek(0)
    magic = file.read(4)
    if magic == b".snd":
        return _repaired_au(file, length)
    layout = _LAYOUTS.get(magic)
    if layout is None:
        return None
    before: list[Chunk] = []
    for chunk in layout.chunks(file, length):
        if chunk.name != layout.samples:
            before.append(chunk)
            continue
        true_size = length - chunk.start
        real = _real(file, chunk, before)
        if chunk.start > _LARGEST_HEAD or not _unfinished(layout, real, file, length):
            return None
        file.seek(0)
        head = bytearray(file.read(chunk.start))
        layout.write_size(head, chunk, true_size)
        if layout is _AIFF:
            _write_aiff_frames(head, before, true_size)
        elif layout is RIFF and (magic != b"RIFF" or length > _LARGEST_32):
            head = _as_rf64(head, before, chunk.start, true_size)
        return RepairedFile(bytes(head), file, chunk.start, length, _note(real.size, true_size))
    return None


def _repaired_au(file: io.BufferedReader, length: int) -> RepairedFile | None:
    """The same of an AU file, which has nothing but a head and samples."""
    head = bytearray(b".snd" + file.read(20))
    if len(head) < 24:
        return None
    start, claimed = struct.unpack_from(">II", head, 4)
    there = length - start
    if not 0 < there < _LARGEST_32 or claimed in (there, _LARGEST_32):
        return None
    struct.pack_into(">I", head, 8, there)
    return RepairedFile(bytes(head), file, len(head), length, _note(claimed, there))


def _note(claimed: int, there: int) -> str:
    if claimed > there and claimed < OPEN_SIZE:
        return SHORTER
    return NEVER_CLOSED if claimed < there and claimed != -1 else ""


def _real(file: io.BufferedReader, samples: Chunk, before: list[Chunk]) -> Chunk:
    """The chunk of samples with the size that stands elsewhere, in files that may exceed 4 GiB."""
    for chunk in before:
        if chunk.name == b"ds64" and chunk.size >= 16 and samples.size == _LARGEST_32:
            file.seek(chunk.start + 8)
            return Chunk(samples.name, samples.start, struct.unpack("<Q", file.read(8))[0])
    return samples


def _unfinished(layout: Layout, samples: Chunk, file: io.BufferedReader, length: int) -> bool:
    """Whether there are samples behind what the header says, and not something else."""
    if samples.size < 0 or samples.start + samples.size > length:
        return True
    at = layout.after(samples)
    if at + layout.head.size > length:
        return False
    file.seek(at)
    name = file.read(4)
    if name.startswith(_AFTER_SAMPLES) or (
        _NO_SAMPLES < samples.size < OPEN_SIZE and _USUAL_NAME.fullmatch(name)
    ):
        return False  # even if that chunk is cut off
    end = at
    for chunk in layout.chunks(file, length, at):
        end = layout.after(chunk)
        if not chunk.name[:4].isascii() or not chunk.name[:4].decode("ascii").isprintable():
            return True
    return not length <= end <= length + layout.alignment


def _write_aiff_frames(head: bytearray, before: list[Chunk], size: int) -> None:
    for chunk in before:
        if chunk.name == b"COMM" and chunk.size >= 18:
            channels, _, bits = struct.unpack_from(">hIh", head, chunk.start)
            frame_bytes = max(1, channels * -(-bits // 8))
            struct.pack_into(">I", head, chunk.start + 2, min((size - 8) // frame_bytes, _LARGEST_32))


def _as_rf64(head: bytearray, before: list[Chunk], start: int, size: int) -> bytearray:
    """The head of a WAV file, of which a part is ``size`` of samples in the end, with sizes of 64 bits."""
    kept = [head[chunk.start - 8 : RIFF.after(chunk)] for chunk in before if chunk.name != b"ds64"]
    body = b"WAVE" + struct.pack("<4sIQQQI", b"ds64", 28, start + size, size, 0, 0) + b"".join(kept)
    return bytearray(
        struct.pack("<4sI", b"RF64", _LARGEST_32) + body + struct.pack("<4sI", b"data", _LARGEST_32)
    )
