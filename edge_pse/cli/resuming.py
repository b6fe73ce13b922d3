"""What a process that has to replace itself hands to the next one: what its user had set."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields

_VARIABLE = "EDGE_PSE_RESUMED"


@dataclass(frozen=True)
class Resumed:
    """As it was when the process ended."""

    profiles: list[str]
    strength: float
    bypass: bool
    recording: str | None = None
    """Name of the file that was recorded to."""

    def hand_on(self) -> None:
        """To the program that this process becomes."""
        os.environ[_VARIABLE] = json.dumps(asdict(self))


def taken() -> Resumed | None:
    """What was handed on; None at a first start, and for what no program of ours has written."""
    try:
        content = json.loads(os.environ.pop(_VARIABLE, "null"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or set(content) != {field.name for field in fields(Resumed)}:
        return None
    profiles, strength, bypass = content["profiles"], content["strength"], content["bypass"]
    recording = content["recording"]
    named = isinstance(profiles, list) and all(isinstance(name, str) for name in profiles)
    fit = named and isinstance(bypass, bool) and isinstance(recording, str | None)
    number = isinstance(strength, int | float) and not isinstance(strength, bool) and math.isfinite(strength)
    return (
        Resumed(profiles, float(strength), bypass, recording)
        if fit and number and 0 <= strength <= 1
        else None
    )
