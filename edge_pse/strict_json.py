"""JSON that says one thing: no field twice, and no number that is none."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse(content: bytes) -> Any:
    """What JSON in UTF-8 says.

    ValueError if it is none, if a field is there twice, or for NaN and infinity; RecursionError if it is too deep.
    """
    return json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_no_number)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a field is there twice")
    return content


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
