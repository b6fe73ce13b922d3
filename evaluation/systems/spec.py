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
    full_band: bool = True
    """False: a model without what is above its band, as ``edge-pse enhance --band 8`` gives it."""

    @property
    def name(self) -> str:
        """How the report calls it."""
        name = {"input": "unprocessed", "reference": "clean reference"}.get(self.kind, self.argument)
        return name if self.full_band else f"{name} --band 8"


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
    full_band: bool = False
    """Whether it takes and gives the full-band scenes, at their 48 kHz."""

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> SystemInfo:
        return cls(**raw)


class Hosted(Protocol):
    """A system as it runs in its own process. All signals are 1-D float32, at 16 kHz or, where it is full-band, at the
    rate of the scene.
    """

    info: SystemInfo

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = 16_000,
    ) -> np.ndarray:
        """Enhance one clip from a fresh state; may return the output late, but always equally late."""
        ...
