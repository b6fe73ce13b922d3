"""Reading and changing the middle of a file that is open."""

from __future__ import annotations

import os
from typing import BinaryIO

_PART_BYTES = 1 << 20


def read_at(descriptor: int, start: int, count: int) -> bytes:
    """Up to ``count`` bytes from ``start`` on; the position is then behind them."""
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, count)


def move_rest(file: BinaryIO, start: int, by: int) -> None:
    """Move all that follows ``start``, towards the end or, where ``by`` is negative, towards the beginning."""
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
