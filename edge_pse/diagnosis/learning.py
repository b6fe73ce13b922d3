"""Personal weights: whether they can be learnt on this machine."""

from __future__ import annotations

import re
from pathlib import Path

from edge_pse.diagnosis.finding import Finding, ok, warn
from edge_pse.diagnosis.machine import ROOT
from edge_pse.errors import PersonalisationError
from edge_pse.personalisation import learner

_NEEDED_GB = 1.5


def personal_weights(root: Path = ROOT) -> Finding:
    """Whether the learner is here, with what it needs and memory enough; nothing else needs it."""
    try:
        folder = learner.find()
    except PersonalisationError as error:
        return ok(f"Not set up, and nothing else needs it. {error}")
    free_gb = _free_gb(root)
    if free_gb is not None and free_gb < _NEEDED_GB:
        return warn(
            f"The learner is here, but only {free_gb:.1f} GB of memory are free, and it takes up to {_NEEDED_GB}.",
            "End other programs while it learns; or learn on another machine, and carry the profile over with "
            "edge-pse profiles export.",
        )
    memory = "" if free_gb is None else f", with {free_gb:.1f} GB of memory free"
    return ok(
        f"edge-pse personalise can learn here, on {learner.usable_threads()} threads{memory}; from {folder}."
    )


def _free_gb(root: Path) -> float | None:
    """Memory that programs can have without swapping, as the kernel says; None if it does not."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else int(found[1]) * 1024 / 1e9
