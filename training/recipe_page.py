"""The pages of the recipes, where weights have been replaced: their names, and a line of what was run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_RUNS = "## What was run"


@dataclass(frozen=True)
class Replaced:
    """A network whose weights, or whose profiles, are others now."""

    network: str
    old_id: str
    new_id: str  # the same, where only the profiles are others
    profiles_before: str  # id of the profiles that the old ones took
    profiles_of: str
    stage: str
    steps: int
    hours: float  # presented
    machine: str

    @property
    def makes_profiles(self) -> bool:
        """Whether they are its own."""
        return self.profiles_of.rpartition("-")[0] == self.network

    @property
    def keeps_profiles(self) -> bool:
        """Whether those of users stay of use."""
        return self.profiles_of == self.profiles_before


def renamed(text: str, network: str | None, replaced: Sequence[Replaced]) -> str:
    """A page with new names in the place of old ones, up to what was run.

    ``network``: whose recipe it is, so that further names there are those of the profiles that it takes; None: of all.
    """
    before, heading, after = text.partition(_RUNS)
    ids = {entry.old_id: entry.new_id for entry in replaced if network in (None, entry.network)}
    if network is not None:
        taken = [entry for entry in replaced if entry.network == network and not entry.makes_profiles]
        ids |= {entry.profiles_before: entry.profiles_of for entry in taken}
    for old, new in ids.items():
        before = before.replace(f"`{old}`", f"`{new}`")
    return before + heading + after


def with_line(text: str, replaced: Replaced, commit: str) -> str:
    """The page of a recipe with a line of the run that replaced the weights of the last line, if they are others.

    ``commit``: where those are kept. Raises ValueError where the page has no such table.
    """
    if replaced.old_id == replaced.new_id:
        return text
    place = f"`training/checkpoints/{replaced.network}.pt`"
    row = re.search(
        rf"^(\| `{re.escape(replaced.old_id)}` \|.*\| ){re.escape(place)} \|\n", text, re.MULTILINE
    )
    if row is None:
        raise ValueError(f"The recipe of {replaced.network} has no line of {replaced.old_id}: add one.")
    profiles = [] if replaced.makes_profiles else [f"`{replaced.profiles_of}`"]
    cells = [
        f"`{replaced.new_id}`", "the row above", f"`gpu.toml`: {replaced.stage}", *profiles, f"{replaced.steps:,}",
        f"{replaced.hours:,.0f}", replaced.machine, place,
    ]  # fmt: skip
    lines = f"{row[1]}`{commit}` |\n| {' | '.join(cells)} |\n"
    return text[: row.start()] + lines + text[row.end() :]


def commit_of(path: Path) -> str:
    """The last commit that changed a file, short; of none where there is no history."""
    shown = subprocess.run(
        ["git", "log", "-1", "--format=%h", "--", path.name], cwd=path.parent, capture_output=True, text=True
    )
    return shown.stdout.strip() or "earlier release"
