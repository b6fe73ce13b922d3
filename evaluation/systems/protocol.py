"""Messages between the evaluation and a system's own process: a JSON line, then raw float32 samples.

Only numpy and the standard library, since a peer's environment need hold nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

Write = Callable[[bytes], Any]
Read = Callable[[int], bytes]


def write_message(write: Write, header: dict[str, Any], arrays: dict[str, np.ndarray | None]) -> None:
    """Send a header and 1-D float32 arrays; None stands for an array that does not exist."""
    sizes = {name: None if array is None else len(array) for name, array in arrays.items()}
    line = json.dumps({**header, "arrays": sizes}).encode() + b"\n"
    body = b"".join(np.asarray(array, "<f4").tobytes() for array in arrays.values() if array is not None)
    write(line + body)


def read_message(
    readline: Callable[[], bytes], read: Read
) -> tuple[dict[str, Any], dict[str, np.ndarray | None]]:
    """Receive what `write_message` sent. Raises EOFError when the other side is gone."""
    line = readline()
    if not line:
        raise EOFError
    header = json.loads(line)
    arrays: dict[str, np.ndarray | None] = {}
    for name, size in header.pop("arrays").items():
        if size is None:
            arrays[name] = None
            continue
        body = read(4 * size)
        if len(body) < 4 * size:
            raise EOFError
        arrays[name] = np.frombuffer(body, "<f4").astype(np.float32)
    return header, arrays
