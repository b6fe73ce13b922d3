"""What a check has found: how serious it is, what it is, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """The result of one check. ``fail``: it will not work; ``warn``: it may not, or less well than it could."""

    status: Status
    sentence: str
    advice: str = ""
    """What to do; empty where there is nothing to do."""


def ok(sentence: str) -> Finding:
    """All is well."""
    return Finding("ok", sentence)


def warn(sentence: str, advice: str) -> Finding:
    """It works, or may work, but not as it should."""
    return Finding("warn", sentence, advice)


def fail(sentence: str, advice: str) -> Finding:
    """It will not work."""
    return Finding("fail", sentence, advice)
