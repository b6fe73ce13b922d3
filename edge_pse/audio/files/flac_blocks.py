"""The blocks before the sound of a FLAC file (RFC 9639, section 8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_pse.audio.files import vorbis_comments
from edge_pse.audio.files.editing import move_rest, read_at
from edge_pse.audio.files.vorbis_comments import COMMENTS, CUE_SHEET, PICTURE, Block

MAGIC = b"fLaC"
_PADDING = 1
_LAST = 0x80
_MOST_BLOCKS = 1000
_MOST_BYTES = 1 << 24
_MOST_OF_A_NEW_FILE = 1 << 20
"""More than what libsndfile writes before the sound."""


def of_beginning(content: bytes) -> list[Block]:
    """What a file that begins with ``content`` says of the recording: texts, pictures, marks; as far as it is whole."""
    return vorbis_comments.of_flac(list(_blocks(content)))


def read(descriptor: int) -> list[Block]:
    """The same of a file that is open; none of what is no FLAC."""
    if read_at(descriptor, 0, len(MAGIC)) != MAGIC:
        return []
    size = len(MAGIC)
    for _ in range(_MOST_BLOCKS):
        head = read_at(descriptor, size, 4)
        if len(head) < 4:
            return []
        size += 4 + int.from_bytes(head[1:], "big")
        if head[0] & _LAST:
            break
    return of_beginning(read_at(descriptor, 0, size)) if size <= _MOST_BYTES else []


def put(path: Path, blocks: list[Block]) -> None:
    """Give a FLAC file that is whole these texts and pictures in the place of its own; OSError if that can't be."""
    with path.open("r+b") as file:
        head = _head_of(file.read(_MOST_OF_A_NEW_FILE))
        kept = [
            block for block in _blocks(head) if block.kind not in (COMMENTS, CUE_SHEET, PICTURE, _PADDING)
        ]
        if not any(block.kind == COMMENTS for block in blocks):
            kept += [block for block in _blocks(head) if block.kind == COMMENTS]
        wanted = [*kept, *blocks]
        missing = len(head) - len(MAGIC) - sum(4 + len(block.content) for block in wanted)
        # The sound moves backwards only.
        wanted.append(Block(_PADDING, bytes(max(0, missing - 4))))
        new = MAGIC + b"".join(_encoded(block, block is wanted[-1]) for block in wanted)
        move_rest(file, len(head), len(new) - len(head))
        file.seek(0)
        file.write(new)


def _encoded(block: Block, last: bool) -> bytes:
    """As it stands in a file; ``last``: of them all."""
    return bytes([block.kind | _LAST * last]) + len(block.content).to_bytes(3, "big") + block.content


def _head_of(content: bytes) -> bytes:
    """What stands before the sound, which of a file of libsndfile's is little."""
    size = len(MAGIC)
    for block in _blocks(content):
        size += 4 + len(block.content)
    return content[:size]


def _blocks(content: bytes) -> Iterator[Block]:
    at = len(MAGIC)
    while at + 4 <= len(content):
        size = int.from_bytes(content[at + 1 : at + 4], "big")
        if at + 4 + size > len(content):
            return
        yield Block(content[at] & ~_LAST, content[at + 4 : at + 4 + size])
        if content[at] & _LAST:
            return
        at += 4 + size
