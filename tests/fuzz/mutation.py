"""Inputs with something wrong in them: in their bytes, or in the values of their JSON."""

import copy
from random import Random
from typing import Any

VALUES = [
    *(
        None,
        True,
        False,
        0,
        -1,
        0.5,
        3,
        10**9,
        -(10**9),
        10**400,
        1e300,
        -1e300,
        1e-320,
        "",
        "x",
        "7",
        [],
        {},
        [[]],
    ),
    *(
        "\x1b]0;owned\x07\x1b[31m",
        "\ud800",
        "[/x]",
        "\u202eevil",
        "a\nb",
        "../../evil",
        "a" * 70_000,
        "TkFO" * 400,
    ),
    *(float("nan"), float("inf"), float("-inf"), "0000-01-01T00:00:00", [1] * 5000),
]


def of_bytes(random: Random, content: bytes) -> bytes:
    """One to eight changes, more of them near the beginning, where the headers are."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        reach = len(changed) if random.random() < 0.5 else min(len(changed), 96)
        place, length = random.randrange(reach + 1), random.choice((1, 1, 2, 4, 8, 64))
        kind = random.randrange(5)
        if kind == 0:
            changed[place : place + length] = random.randbytes(length)
        elif kind == 1:
            changed[place : place + length] = bytes([random.choice((0, 0xFF, 0x7F, 0x80))]) * length
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place:place] = changed[max(0, place - length) : place]
        else:
            del changed[place:]
    return bytes(changed)


def of_json(random: Random, content: Any) -> Any:
    """A value somewhere in it replaced, taken away, or under another name."""
    changed = copy.deepcopy(content)
    at = changed
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = random.choice(keys)
        if isinstance(at[key], dict | list) and at[key] and random.random() < 0.7:
            at = at[key]
            continue
        kind = random.randrange(6)
        if kind == 0:
            del at[key]
        elif kind == 1 and isinstance(at, dict):
            at[random.choice(("x", "name", "sha256"))] = at.pop(key)
        elif kind == 2 and isinstance(at[key], int | float):
            at[key] *= random.choice((-1, 2, 10, 1000, 10**8))
        else:
            at[key] = random.choice(VALUES)
        return changed
