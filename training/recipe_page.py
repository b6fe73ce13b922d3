"""The pages of the recipes, where weights have been replaced: their names, and a line of what was run."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_RUNS = "## What was run"


@dataclass(frozen=True)
class Replaced:
    """A network whose weights, or whose profiles, are others now."""

    network: str
    old_id: str
    new_id: str  # the same, where only the profiles are others
    profiles_of: str | None  # id; None: it makes them itself
    stage: str
    steps: int
    hours: float  # presented
    machine: str


def renamed(text: str, ids: dict[str, str]) -> str:
    """A page with new names in the place of old ones, up to what was run."""
    before, heading, after = text.partition(_RUNS)
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
    profiles = [] if replaced.profiles_of is None else [f"`{replaced.profiles_of}`"]
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
