"""A model file and the description beside it: read within limits, and only if they belong together.

The description of ``FILE`` is ``FILE.json``: the contract (``edge_pse.contract``), and the checksum of the file that it
is about. The file is compared with that before any library looks at it, and what was compared is what the library is
given.

Files of one network differ from training to training in their trained numbers alone. Where those lie says the
description, so that other ones can be put in their place: numbers, and never a graph.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from edge_pse import atomic, strict_json
from edge_pse.errors import ModelError
from edge_pse.text import shown

MOST_MODEL_BYTES = 256 << 20
MOST_DESCRIPTION_BYTES = 1 << 20
MOST_RANGES = 1024

Ranges = tuple[tuple[int, int], ...]
"""Offset and length in bytes of each, ascending, none within another."""

# Lists of numbers, as json lays them out: one number a line. A line in a string can't end.
_NUMBERS = re.compile(r"\[\n([\d,\s]+)\]")
# A pipe with nobody at its other end would be waited for.
_OPENING = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
)


def description_path(path: Path) -> Path:
    """Where the contract of a model file is."""
    return path.with_name(f"{path.name}.json")


def write_description(path: Path, contract: dict[str, Any]) -> None:
    """Write the contract of the model file ``path`` beside it, with the checksum of the file as it is."""
    text = json.dumps({**contract, "sha256": _sha256(path.read_bytes())}, indent=2)
    text = _NUMBERS.sub(lambda numbers: f"[{' '.join(numbers[1].split())}]", text)
    atomic.write(description_path(path), f"{text}\n".encode(), mode=None)


def read_model(path: Path) -> tuple[bytes, dict[str, Any]]:
    """What a model file holds, and the fields of its description.

    ModelError, whose sentence goes on where the caller began it with the name of the file, if one of them is missing,
    damaged or no file, or if they do not belong together.
    """
    fields = read_description(path)
    try:
        content = _read(path, MOST_MODEL_BYTES)
    except OSError as error:
        raise ModelError(f"it can't be read ({error.strerror}): copy it again.") from None
    if _sha256(content) != fields["sha256"]:
        raise ModelError(
            f"it is not the file that {shown(description_path(path).name)} describes, or it is damaged: "
            "copy both files again."
        )
    return content, fields


def read_description(path: Path) -> dict[str, Any]:
    """The fields of the description of a model file, whatever they say; ModelError as for ``read_model``."""
    name = shown(description_path(path).name)
    try:
        text = _read(description_path(path), MOST_DESCRIPTION_BYTES)
    except FileNotFoundError:
        raise ModelError(f"its description {name} is missing: copy both files.") from None
    except OSError as error:
        raise ModelError(
            f"its description {name} can't be read ({error.strerror}): copy both files again."
        ) from None
    try:
        fields = strict_json.parse(text)
        if not isinstance(fields["sha256"], str):
            raise TypeError("no checksum")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(f"its description {name} is damaged: copy both files again.") from None
    return dict(fields)


def weight_ranges(description: dict[str, Any], size: int) -> Ranges:
    """Where in a file of ``size`` bytes its trained numbers are, by its description; none where that says nothing.

    ModelError as for ``read_model`` if that can't be.
    """
    ranges = description.get("weights", [])
    fits = isinstance(ranges, list) and len(ranges) <= MOST_RANGES and all(map(_is_range, ranges))
    starts = [0, *(offset + length for offset, length in ranges)] if fits else []
    ends = [*(offset for offset, _ in ranges), size] if fits else []
    if not fits or any(start > end for start, end in zip(starts, ends, strict=True)):
        raise ModelError(
            "its description can't be used: its weights are no byte ranges, one after the other inside the file. "
            "Export it again."
        )
    return tuple((offset, length) for offset, length in ranges)


def extract_weights(content: bytes, ranges: Ranges) -> bytes:
    """The trained numbers of a model file, one range after the other."""
    return b"".join(content[offset : offset + length] for offset, length in ranges)


def replace_weights(content: bytes, ranges: Ranges, weights: bytes) -> bytes:
    """The model file with other trained numbers; the inverse of ``extract_weights``.

    ModelError as for ``read_model`` if they are too few or too many for it.
    """
    wanted = weights_size(ranges)
    if not ranges:
        raise ModelError("its description doesn't say where its weights are: export it again.")
    if len(weights) != wanted:
        raise ModelError(
            f"it takes {wanted} bytes of weights and was given {len(weights)}: they are another model's."
        )
    changed, start = bytearray(content), 0
    for offset, length in ranges:
        changed[offset : offset + length] = weights[start : start + length]
        start += length
    return bytes(changed)


def weights_size(ranges: Ranges) -> int:
    """Bytes in all ranges together."""
    return sum(length for _, length in ranges)


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(number) is int and 0 <= number <= MOST_MODEL_BYTES for number in value)
        and value[1] > 0
    )


def _read(path: Path, most_bytes: int) -> bytes:
    """A regular file; OSError if it is something else, or larger."""
    kind = path.stat().st_mode
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "it is a directory, a device or a pipe and not a file")
    with os.fdopen(os.open(path, _OPENING), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise OSError(errno.EFBIG, "it is far too large")
        return file.read(size)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
