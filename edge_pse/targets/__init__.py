"""Settings for each kind of machine: how the network is run there, and how the devices are opened.

Installing edge-pse on a machine is another thing, and the work of the folder ``targets/`` of the project. Here is one
TOML file for each kind of machine, chosen by the name of the board.

A file holds what the kind is, which boards are of it, and one table for each field of ``Settings``: ``value``, and
on what it rests, ``measured`` (the command that measured it) or ``guess`` (why it was chosen all the same).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edge_pse.errors import TargetError
from edge_pse.model import Model

AUTO = "auto"
FALLBACK = "laptop"
"""What a machine is that names no board that a file knows."""

_FILES = Path(__file__).parent
_BOARD = "proc/device-tree/model"


@dataclass(frozen=True)
class Settings:
    """How the network is run, and how the devices are opened."""

    model: str
    """See ``Model.load``."""
    backend: str | tuple[str, ...]
    """See ``Model.load``."""
    threads: int
    """For the work on one frame."""
    latency_ms: float
    """Asked of each sound device: its buffer."""
    strength: float
    """See ``Enhancer``."""

    def override(self, **given: Any) -> Settings:
        """These settings, but for those that are given and not None."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def load_model(self, far_end: bool = False) -> Model:
        """The model, open in its runtime; ModelError if that can't be. ``far_end``: see ``Model.load``."""
        return Model.load(self.model, self.backend, self.threads, far_end)


@dataclass(frozen=True)
class Target:
    """A kind of machine."""

    name: str
    description: str
    boards: tuple[str, ...]
    """How the names of its boards begin, as the kernel's device tree has them."""
    settings: Settings
    grounds: dict[str, str]
    """For each of the settings what it rests on: ``measured: COMMAND`` or ``guess: REASON``."""


def names() -> list[str]:
    """All targets, in alphabetical order."""
    return sorted(path.stem for path in _FILES.glob("*.toml"))


def load(name: str) -> Target:
    """A target by name; TargetError if there is none of that name."""
    if name not in names():
        raise TargetError(f"There is no target {name!r}: choose one of {AUTO}, {', '.join(names())}.")
    content = tomllib.loads((_FILES / f"{name}.toml").read_text(encoding="utf-8"))
    values: dict[str, Any] = {}
    grounds = {}
    for field in fields(Settings):
        entry = content[field.name]
        value = entry.pop("value")
        ((kind, ground),) = entry.items()
        values[field.name] = tuple(value) if isinstance(value, list) else value
        grounds[field.name] = f"{kind}: {ground}"
    return Target(name, content["description"], tuple(content["boards"]), Settings(**values), grounds)


def choose(name: str = AUTO, root: Path = Path("/")) -> Target:
    """The target of that name, or with ``auto`` the one for the machine whose file system begins at ``root``."""
    if name != AUTO:
        return load(name)
    found = board(root)
    targets = [load(known) for known in names()]
    fitting = [target for target in targets if found and found.startswith(target.boards)]
    return fitting[0] if fitting else load(FALLBACK)


def board(root: Path = Path("/")) -> str | None:
    """What the device tree calls this machine, as ``Raspberry Pi 4 Model B Rev 1.4``; None without one."""
    try:
        return (root / _BOARD).read_bytes().rstrip(b"\0").decode(errors="replace") or None
    except OSError:
        return None
