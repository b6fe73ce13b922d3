"""The texts and pictures of FLAC and Ogg files: read from either, and put into either as they are.

libsndfile has a place for ten kinds of text, and for no picture. It knows a comment by the name COMMENT, but ffmpeg and
others write it as DESCRIPTION, as Xiph's recommendation has it.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"fLaC"
_PADDING, _COMMENTS, _CUE_SHEET, _PICTURE = 1, 4, 5, 6
_CARRIED = (_COMMENTS, _CUE_SHEET, _PICTURE)
_LAST = 0x80
_MOST_BLOCKS = 1000
_MOST_BYTES = 1 << 24
_PART_BYTES = 1 << 20
_OF_THE_CODING = (b"waveformatextensible_channel_mask=",)
"""What is no longer true of a file with other channels."""
_OF_PROGRAMS = ("encoder", "encoded-by", "encoded_by", "replaygain_", "r128_")
_KNOWN = (
    "title",
    "artist",
    "album",
    "tracknumber",
    "date",
    "genre",
    "comment",
    "description",
    "copyright",
    "license",
)
"""What libsndfile has a place for, whatever the format."""
_LONGEST_NAME = 40
_OGG_HEADS = (b"\x03vorbis", b"OpusTags", bytes([_COMMENTS]))
_OGG_PICTURE = b"metadata_block_picture="
"""A picture as FLAC has it, in base64, is one of the texts of an Ogg file."""
_OGG_PAGE = struct.Struct("<4sBBqIIIB")
"""Signature, version, flags, position, number of the stream and of the page, checksum, segments."""
_CONTINUED, _CHECKSUM_AT = 1, 22
_MOST_SEGMENTS = 255
_MOST_PAGES = 400
_HEADERS = {b"OpusHead": 2, b"\x01vorbis": 3}
"""Packets before the sound, by how the first one begins."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Block:
    """One of those that stand before the sound of a FLAC file."""

    kind: int
    content: bytes

    def encode(self, last: bool) -> bytes:
        """As it stands in a file; ``last``: of them all."""
        return bytes([self.kind | _LAST * last]) + len(self.content).to_bytes(3, "big") + self.content


def of_flac(content: bytes) -> list[Block]:
    """What a file that begins with ``content`` says of the recording: texts, pictures, marks; as far as it is whole."""
    found = [block for block in _blocks(content) if block.kind in _CARRIED]
    return [
        Block(_COMMENTS, _without_channels(block.content)) if block.kind == _COMMENTS else block
        for block in found
    ]


def read(descriptor: int) -> list[Block]:
    """The same of a file that is open; none of what is no FLAC."""
    if _at(descriptor, 0, len(_MAGIC)) != _MAGIC:
        return []
    size = len(_MAGIC)
    for _ in range(_MOST_BLOCKS):
        head = _at(descriptor, size, 4)
        if len(head) < 4:
            return []
        size += 4 + int.from_bytes(head[1:], "big")
        if head[0] & _LAST:
            break
    return of_flac(_at(descriptor, 0, size)) if size <= _MOST_BYTES else []


def read_ogg(descriptor: int) -> list[Block]:
    """The texts and pictures of an open Ogg file with Vorbis, Opus or FLAC; none of anything else."""
    packets, _ = _ogg_packets(descriptor, 2)
    content = _behind_head(packets[1]) if len(packets) == 2 else b""
    if not content:
        return []
    vendor, entries = _entries(content)
    pictures = []
    for entry in entries:
        if entry[: len(_OGG_PICTURE)].lower() == _OGG_PICTURE:
            with suppress(binascii.Error):
                pictures.append(Block(_PICTURE, base64.b64decode(entry[len(_OGG_PICTURE) :], validate=True)))
    texts = [entry for entry in entries if entry[: len(_OGG_PICTURE)].lower() != _OGG_PICTURE]
    return [Block(_COMMENTS, _comments(vendor, _without_coding(texts))), *pictures]


def comment_of(blocks: list[Block]) -> str:
    """The comment under the name that libsndfile does not know, empty without one."""
    for block in blocks:
        if block.kind == _COMMENTS:
            for entry in _entries(block.content)[1]:
                name, _, text = entry.partition(b"=")
                if name.lower() == b"description" and text:
                    return text.decode(errors="replace")
    return ""


def put(path: Path, blocks: list[Block]) -> None:
    """Give a FLAC file that is whole these texts and pictures in the place of its own; OSError if that can't be."""
    with path.open("r+b") as file:
        head = _head_of(file.read(_PART_BYTES))
        kept = [block for block in _blocks(head) if block.kind not in (*_CARRIED, _PADDING)]
        if not any(block.kind == _COMMENTS for block in blocks):
            kept += [block for block in _blocks(head) if block.kind == _COMMENTS]
        wanted = [*kept, *blocks]
        missing = len(head) - len(_MAGIC) - sum(4 + len(block.content) for block in wanted)
        # The sound moves backwards only.
        wanted.append(Block(_PADDING, bytes(max(0, missing - 4))))
        new = _MAGIC + b"".join(block.encode(block is wanted[-1]) for block in wanted)
        _move(file, len(head), len(new) - len(head))
        file.seek(0)
        file.write(new)


def put_ogg(path: Path, blocks: list[Block]) -> None:
    """The same of an Ogg file of libsndfile's, with Vorbis or Opus; OSError if that can't be."""
    texts = [entry for block in blocks if block.kind == _COMMENTS for entry in _entries(block.content)[1]]
    texts += [
        _OGG_PICTURE.upper() + base64.b64encode(block.content) for block in blocks if block.kind == _PICTURE
    ]
    with path.open("r+b") as file, path.open("rb", buffering=0) as read_beside:
        descriptor = read_beside.fileno()
        page = _ogg_page(descriptor, 0)
        first = b"" if page is None else _at(descriptor, page.content, sum(page.lacing))
        wanted = next((count for head, count in _HEADERS.items() if first.startswith(head)), 0)
        packets, old_size = _ogg_packets(descriptor, wanted)
        if page is None or not wanted or len(packets) != wanted or not _behind_head(packets[1]):
            raise OSError(errno.EINVAL, "its head has no place for texts")
        head = next(head for head in _OGG_HEADS if packets[1].startswith(head))
        vendor, _ = _entries(_behind_head(packets[1]))
        framing = b"\x01" if head == _OGG_HEADS[0] else b""
        packets[1] = head + _comments(vendor, texts) + framing
        pages = _paged(packets[1:], page.stream)
        before = _pages_before(descriptor, old_size)
        new = b"".join(pages)
        start = page.end
        by = len(new) - (old_size - start)
        _move(file, old_size, by)
        file.seek(start)
        file.write(new)
        file.flush()
        if len(pages) + 1 != before:
            _number_pages(file, descriptor, old_size + by, len(pages) + 1)


def names_beyond(blocks: list[Block], in_ogg: bool = False) -> list[str]:
    """What of them has no place in a format in which libsndfile alone writes texts, or in Ogg."""
    names = {_CUE_SHEET: "cue sheet"} if in_ogg else {_CUE_SHEET: "cue sheet", _PICTURE: "picture"}
    found = [names[block.kind] for block in blocks if block.kind in names]
    for block in blocks:
        if block.kind == _COMMENTS and not in_ogg:
            for entry in _entries(block.content)[1]:
                name = entry.partition(b"=")[0].decode(errors="replace").lower()
                if name and name not in _KNOWN and not name.startswith(_OF_PROGRAMS):
                    found.append(name[:_LONGEST_NAME])
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class _Page:
    """One of those of which an Ogg file is made."""

    start: int
    stream: int
    lacing: bytes

    @property
    def content(self) -> int:
        """Where it begins."""
        return self.start + _OGG_PAGE.size + len(self.lacing)

    @property
    def end(self) -> int:
        return self.content + sum(self.lacing)


def _ogg_page(descriptor: int, at: int) -> _Page | None:
    head = _at(descriptor, at, _OGG_PAGE.size)
    if len(head) < _OGG_PAGE.size or not head.startswith(b"OggS"):
        return None
    _, _, _, _, stream, _, _, segments = _OGG_PAGE.unpack(head)
    return _Page(at, stream, _at(descriptor, at + _OGG_PAGE.size, segments))


def _ogg_packets(descriptor: int, count: int) -> tuple[list[bytes], int]:
    """The first packets of the first stream, as many as are whole, and where the page ends that the last one ends."""
    packets: list[bytes] = []
    current = bytearray()
    at, stream = 0, None
    for _ in range(_MOST_PAGES):
        page = _ogg_page(descriptor, at)
        if page is None:
            break
        at = page.end
        stream = page.stream if stream is None else stream
        if page.stream != stream:
            continue
        content, begin = _at(descriptor, page.content, sum(page.lacing)), 0
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
    while at < end and (page := _ogg_page(descriptor, at)) is not None:
        count, at = count + 1, page.end
    return count


def _paged(packets: list[bytes], stream: int) -> list[bytes]:
    """Packets in pages of their own, the first of which has number 1."""
    pages: list[bytes] = []
    lacing, content = bytearray(), bytearray()
    continued = ended = False

    def close(goes_on: bool) -> None:
        nonlocal continued, ended
        head = _OGG_PAGE.pack(
            b"OggS", 0, _CONTINUED * continued, 0 if ended else -1, stream, len(pages) + 1, 0, len(lacing)
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
    while (page := _ogg_page(descriptor, at)) is not None:
        content = bytearray(_at(descriptor, at, page.end - at))
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


def _at(descriptor: int, at: int, count: int) -> bytes:
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.read(descriptor, count)


def _head_of(content: bytes) -> bytes:
    """What stands before the sound, which of a file of libsndfile's is little."""
    size = len(_MAGIC)
    for block in _blocks(content):
        size += 4 + len(block.content)
    return content[:size]


def _move(file: BinaryIO, start: int, by: int) -> None:
    """All that follows ``start``, towards the end or, where ``by`` is negative, towards the beginning."""
    if by < 0:
        at = start
        while part := (file.seek(at), file.read(_PART_BYTES))[1]:
            file.seek(at + by)
            file.write(part)
            at += len(part)
        file.truncate(at + by)
        return
    at = file.seek(0, os.SEEK_END)
    while by and at > start:
        count = min(_PART_BYTES, at - start)
        at -= count
        file.seek(at)
        part = file.read(count)
        file.seek(at + by)
        file.write(part)


def _blocks(content: bytes) -> Iterator[Block]:
    at = len(_MAGIC)
    while at + 4 <= len(content):
        size = int.from_bytes(content[at + 1 : at + 4], "big")
        if at + 4 + size > len(content):
            return
        yield Block(content[at] & ~_LAST, content[at + 4 : at + 4 + size])
        if content[at] & _LAST:
            return
        at += 4 + size


def _behind_head(packet: bytes) -> bytes:
    for head in _OGG_HEADS:
        if packet.startswith(head):
            return packet[4 if len(head) == 1 else len(head) :]
    return b""


def _entries(content: bytes) -> tuple[bytes, list[bytes]]:
    """Name of the program and the texts, ``NAME=text`` each; as many as are whole."""

    def taken(at: int) -> tuple[bytes, int]:
        size = int.from_bytes(content[at : at + 4], "little")
        return content[at + 4 : at + 4 + size], at + 4 + size

    vendor, at = taken(0)
    count, at = int.from_bytes(content[at : at + 4], "little"), at + 4
    entries: list[bytes] = []
    while len(entries) < count and at + 4 <= len(content):
        entry, at = taken(at)
        if at > len(content):
            break
        entries.append(entry)
    return vendor, entries


def _without_channels(content: bytes) -> bytes:
    vendor, entries = _entries(content)
    return _comments(vendor, _without_coding(entries))


def _without_coding(entries: list[bytes]) -> list[bytes]:
    return [entry for entry in entries if not entry.lower().startswith(_OF_THE_CODING)]


def _comments(vendor: bytes, entries: list[bytes]) -> bytes:
    texts = b"".join(len(text).to_bytes(4, "little") + text for text in entries)
    return len(vendor).to_bytes(4, "little") + vendor + len(entries).to_bytes(4, "little") + texts
