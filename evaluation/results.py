"""What a run leaves: one row per output, one result per system."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from evaluation.sets.scene import ProfileKind
from evaluation.systems.spec import SystemInfo, SystemSpec


@dataclass(frozen=True)
class Row:
    """One output of one system, scored."""

    system: str
    set: str
    clip: str
    profile: ProfileKind
    tags: dict[str, str]
    metrics: dict[str, float]
    reason: str | None = None
    """Why there are no metrics, or not all."""

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return asdict(self)


@dataclass
class SystemResult:
    """All that one system did."""

    spec: SystemSpec
    info: SystemInfo = field(default_factory=SystemInfo)
    delays_samples: dict[int, float] = field(default_factory=dict)
    """By the rate of the scenes, in Hz."""
    rows: list[Row] = field(default_factory=list)
    reason: str | None = None
    """Why it could not be run at all; then there are no rows."""

    @property
    def name(self) -> str:
        """How the report calls it."""
        return self.spec.name

    @property
    def is_bound(self) -> bool:
        """The input as it is or the reference: nothing that runs."""
        return self.spec.kind in ("input", "reference")

    def main_profile(self, set_name: str) -> ProfileKind:
        """The profile of its headline numbers on a set: the right one, where it has one."""
        has_right = any(row.set == set_name and row.profile == "right" for row in self.rows)
        return "right" if has_right else "none"
