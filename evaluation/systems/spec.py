"""Names of the things to score, what is known about each, and what all are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

SHARED_PROFILES_VARIABLE = "EDGE_PSE_EVALUATION_PROFILES"
"""Names, for the processes of a run, the folder in which they leave profiles for each other."""

Kind = Literal["input", "reference", "model", "peer", "command"]


class SystemFailure(Exception):
    """A system could not be started or returned nothing usable; the text is the reason, one sentence."""


@dataclass(frozen=True)
class SystemSpec:
    """A thing to score. It is only a name, so that it can be sent to a worker process."""

    kind: Kind
    argument: str = ""
    """The model of a model, the name of a peer, or the template of a command."""

    @property
    def name(self) -> str:
        """How the report calls it."""
        return {"input": "unprocessed", "reference": "clean reference"}.get(self.kind, self.argument)


@dataclass(frozen=True)
class SystemInfo:
    """What a system says about itself once it runs."""

    description: str = ""
    uses_profile: bool = False
    needs_far_end: bool = False
    """An echo canceller: without a loopback there is nothing for it to do."""
    streams: bool = True
    latency_ms: float | None = None
    """Frame length and look-ahead as configured."""
    size_bytes: int | None = None
    """The model, or the library that holds it."""

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> SystemInfo:
        return cls(**raw)


class Hosted(Protocol):
    """A system as it runs in its own process. All signals are 1-D float32 at 16 kHz."""

    info: SystemInfo

    def enhance(
        self, mixture: np.ndarray, enrollment: np.ndarray | None, far_end: np.ndarray | None
    ) -> np.ndarray:
        """Enhance one clip from a fresh state; may return the output late, but always equally late."""
        ...
