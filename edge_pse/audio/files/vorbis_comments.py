"""The texts and pictures of FLAC and Ogg files: read from either, and put into FLAC as they are.

libsndfile has a place for ten kinds of text, and for no picture. It knows a comment by the name COMMENT, but ffmpeg and
others write it as DESCRIPTION, as Xiph's recommendation has it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
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
_OGG_HEADS = (b"\x03vorbis", b"OpusTags", bytes([_COMMENTS]))
_OGG_PAGE = struct.Struct("<4s22xB")
_MOST_PAGES = 300


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
        Block(_COMMENTS, _without_coding(block.content)) if block.kind == _COMMENTS else block
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
    """The texts of an open Ogg file with Vorbis, Opus or FLAC; none of anything else."""
    packets, at = [b""], 0
    for _ in range(_MOST_PAGES):
        head = _at(descriptor, at, _OGG_PAGE.size)
        if len(head) < _OGG_PAGE.size or not head.startswith(b"OggS"):
            return []
        lacing = _at(descriptor, at + _OGG_PAGE.size, head[-1])
        at += _OGG_PAGE.size + len(lacing)
        for size in lacing:
            packets[-1] += _at(descriptor, at, size)
            at += size
            if size < 255:
                if len(packets) == 2:
                    return [Block(_COMMENTS, _behind_head(packets[1]))]
                packets.append(b"")
    return []


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
    """All that follows ``start``, towards the end."""
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


def _without_coding(content: bytes) -> bytes:
    vendor, entries = _entries(content)
    kept = [entry for entry in entries if not entry.lower().startswith(_OF_THE_CODING)]
    texts = b"".join(len(text).to_bytes(4, "little") + text for text in kept)
    return len(vendor).to_bytes(4, "little") + vendor + len(kept).to_bytes(4, "little") + texts
