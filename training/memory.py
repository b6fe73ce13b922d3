"""Memory of a process that makes and frees the same large arrays again and again."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # of malloc.h
_MOST = 2**31 - 1
_AHEAD_BYTES = 64 << 20


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for what is made next, for the whole process; to be called at its start.

    By default each large array is asked for, zeroed page by page and given back anew, which a training step spends a
    good part of its time on. Does nothing where the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, value in (
        (_ARENA_MAX, 1),
        (_MMAP_MAX, 0),
        (_TRIM_THRESHOLD, _MOST),
        (_TOP_PAD, _AHEAD_BYTES),
    ):
        mallopt(option, value)


def give_back_memory() -> None:
    """Give back what is freed and kept: before something else needs memory than what has freed it. Does nothing where
    the C library is not glibc.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        return
