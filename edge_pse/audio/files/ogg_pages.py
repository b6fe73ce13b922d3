"""The texts before the sound of an Ogg file (RFC 3533), which may be of Vorbis, Opus or FLAC."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_pse.audio.files import vorbis_comments
from edge_pse.audio.files.editing import move_rest, read_at
from edge_pse.audio.files.vorbis_comments import COMMENTS, Block

MAGIC = b"OggS"
_HEADS = (b"\x03vorbis", b"OpusTags", bytes([COMMENTS]))
_PAGE = struct.Struct("<4sBBqIIIB")
"""Signature, version, flags, position, number of the stream and of the page, checksum, segments."""
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_FLAGS_AT, _CHECKSUM_AT = 5, 22
_MOST_SEGMENTS = 255
_MOST_PAGES = 400
_HEADERS = {b"OpusHead": 2, b"\x01vorbis": 3}
"""Packets before the sound, by how the first one begins."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def read(descriptor: int) -> list[Block]:
    """Texts and pictures of an open file; none of anything else."""
    packets, _ = _first_packets(descriptor, 2)
    comments = _behind_head(packets[1]) if len(packets) == 2 else b""
    return vorbis_comments.of_ogg(comments) if comments else []


def put(path: Path, blocks: list[Block]) -> None:
    """Give a file of libsndfile's, with Vorbis or Opus, these texts and pictures in the place of its own.

    OSError if that can't be.
    """
    with path.open("r+b") as file, path.open("rb", buffering=0) as read_beside:
        descriptor = read_beside.fileno()
        page = _page_at(descriptor, 0)
        first = b"" if page is None else read_at(descriptor, page.content, sum(page.lacing))
        wanted = next((count for head, count in _HEADERS.items() if first.startswith(head)), 0)
        packets, old_size = _first_packets(descriptor, wanted)
        if page is None or not wanted or len(packets) != wanted or not _behind_head(packets[1]):
            raise OSError(errno.EINVAL, "its head has no place for texts")
        head = next(head for head in _HEADS if packets[1].startswith(head))
        framing = b"\x01" if head == _HEADS[0] else b""
        packets[1] = head + vorbis_comments.for_ogg(blocks, _behind_head(packets[1])) + framing
        pages = _paged(packets[1:], page.stream)
        before = _pages_before(descriptor, old_size)
        new = b"".join(pages)
        start = page.end
        by = len(new) - (old_size - start)
        move_rest(file, old_size, by)
        file.seek(start)
        file.write(new)
        file.flush()
        if len(pages) + 1 != before:
            _number_pages(file, descriptor, old_size + by, len(pages) + 1)


@dataclass(frozen=True)
class Course:
    """How the pages of a file follow each other."""

    closed: bool
    """Whether the last one is whole, and says that it is the last."""
    chained: bool
    """Whether another recording comes behind the first."""


def course(descriptor: int) -> Course:
    """That of an open file, up to a place where there is no page."""
    size = os.fstat(descriptor).st_size
    at, flags, ended, chained = 0, 0, False, False
    while (page := _page_at(descriptor, at)) is not None:
        flags = read_at(descriptor, at + _FLAGS_AT, 1)[0]
        chained = chained or (ended and bool(flags & _FIRST))
        ended = ended or bool(flags & _LAST)
        at = page.end
    return Course(closed=bool(flags & _LAST) and at <= size, chained=chained)


@dataclass(frozen=True)
class _Page:
    """One of those of which an Ogg file is made."""

    start: int
    stream: int
    lacing: bytes

    @property
    def content(self) -> int:
        """Where it begins."""
        return self.start + _PAGE.size + len(self.lacing)

    @property
    def end(self) -> int:
        return self.content + sum(self.lacing)


def _page_at(descriptor: int, at: int) -> _Page | None:
    head = read_at(descriptor, at, _PAGE.size)
    if len(head) < _PAGE.size or not head.startswith(MAGIC):
        return None
    _, _, _, _, stream, _, _, segments = _PAGE.unpack(head)
    return _Page(at, stream, read_at(descriptor, at + _PAGE.size, segments))


def _first_packets(descriptor: int, count: int) -> tuple[list[bytes], int]:
    """The first packets of the first stream, as many as are whole, and where the page ends that the last one ends."""
    packets: list[bytes] = []
    current = bytearray()
    at, stream = 0, None
    for _ in range(_MOST_PAGES):
        page = _page_at(descriptor, at)
        if page is None:
            break
        at = page.end
        stream = page.stream if stream is None else stream
        if page.stream != stream:
            continue
        content, begin = read_at(descriptor, page.content, sum(page.lacing)), 0
        for size in page.lacing:
            current += content[begin : begin + size]
            begin += size
            if size < _MOST_SEGMENTS:
                packets.append(bytes(current))
                current.clear()
                if len(packets) == count:
                    return packets, at
    return packets, at


def _pages_before(descriptor: int, end: int) -> int:
    count = at = 0
    while at < end and (page := _page_at(descriptor, at)) is not None:
        count, at = count + 1, page.end
    return count


def _paged(packets: list[bytes], stream: int) -> list[bytes]:
    """Packets in pages of their own, the first of which has number 1."""
    pages: list[bytes] = []
    lacing, content = bytearray(), bytearray()
    continued = ended = False

    def close(goes_on: bool) -> None:
        nonlocal continued, ended
        head = _PAGE.pack(
            MAGIC, 0, _CONTINUED * continued, 0 if ended else -1, stream, len(pages) + 1, 0, len(lacing)
        )
        pages.append(_with_checksum(head + lacing + content))
        lacing.clear()
        content.clear()
        continued, ended = goes_on, False

    for packet in packets:
        for start in range(0, len(packet) + 1, _MOST_SEGMENTS):
            if len(lacing) == _MOST_SEGMENTS:
                close(goes_on=start > 0)
            part = packet[start : start + _MOST_SEGMENTS]
            lacing.append(len(part))
            content += part
        ended = True
    close(goes_on=False)
    return pages


def _number_pages(file: BinaryIO, descriptor: int, at: int, number: int) -> None:
    """Count all pages from ``at`` on from ``number``."""
    while (page := _page_at(descriptor, at)) is not None:
        content = bytearray(read_at(descriptor, at, page.end - at))
        content[18:22] = number.to_bytes(4, "little")
        file.seek(at)
        file.write(_with_checksum(bytes(content)))
        file.flush()
        at, number = page.end, number + 1


def _with_checksum(page: bytes) -> bytes:
    """CRC-32 without reflection and without ones before and after it, by the one of ``zlib``, which has both."""
    before, after = page[:_CHECKSUM_AT], page[_CHECKSUM_AT + 4 :]
    reflected = zlib.crc32((before + bytes(4) + after).translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return before + reflected.to_bytes(4, "big").translate(_REVERSED) + after


def _behind_head(packet: bytes) -> bytes:
    for head in _HEADS:
        if packet.startswith(head):
            return packet[4 if len(head) == 1 else len(head) :]
    return b""
