"""A scene: who talks when, at which level, in which room, enrolled how. One line of a set file.

A scene holds names and numbers only; `evaluation.sets.render` turns it into sound. Paths are relative to the
data root, times are seconds, gains are dB applied to the recording as it lies on disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from evaluation.metrics.signal import SAMPLE_RATE_HZ

ProfileKind = Literal["right", "wrong", "none"]
TalkType = Literal["st", "nst", "dt"]
SyntheticKind = Literal["white", "pink", "hiss", "keyboard"]
PROFILE_KINDS: tuple[ProfileKind, ...] = ("right", "wrong", "none")


@dataclass(frozen=True)
class Segment:
    """A stretch of one recording."""

    path: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Synthetic:
    """A stretch of noise that no recording holds: see `evaluation.sets.synthetic`."""

    kind: SyntheticKind
    seed: int
    seconds: float


@dataclass(frozen=True)
class Voice:
    """One talker: stretches said one after the other, starting `at` seconds into the clip."""

    speaker: str
    segments: tuple[Segment, ...]
    at: float = 0.0
    gain_db: float = 0.0
    sex: str | None = None


@dataclass(frozen=True)
class Noise:
    """Background noise: one stretch, repeated to the length of the clip."""

    segment: Segment | Synthetic
    gain_db: float


@dataclass(frozen=True)
class Enrollment:
    """What the system hears of a voice beforehand, and through what."""

    speaker: str
    segments: tuple[Segment, ...]
    gain_db: float = 0.0
    room: str | None = None
    device: str | None = None
    noise: Noise | None = None
    intruder: Voice | None = None
    """Somebody else on the recording, over it or after it."""


@dataclass(frozen=True)
class Echo:
    """The far end of a call; without a room, the loopback of a real recording (`Scene.recording`)."""

    segments: tuple[Segment, ...]
    gain_db: float = 0.0
    room: str | None = None
    delay_seconds: float = 0.0
    echo_gain_db: float = 0.0
    """Gain of the echo in the microphone, after the room."""
    talk_type: TalkType = "dt"
    """Far-end single talk, near-end single talk, double talk, as AECMOS names them."""


@dataclass(frozen=True)
class Scene:
    """One clip of a set."""

    name: str
    set: str
    seconds: float
    tags: dict[str, str]
    """The conditions that the report breaks the set down by."""
    profiles: tuple[ProfileKind, ...] = ("none",)
    target: Voice | None = None
    interferers: tuple[Voice, ...] = ()
    noise: Noise | None = None
    room: str | None = None
    device: str | None = None
    """The microphone over all of it but the far end."""
    right: Enrollment | None = None
    wrong: Enrollment | None = None
    echo: Echo | None = None
    recording: Segment | None = None
    """A ready-made input (a pair or an echo recording); the parts above then describe only what is known."""
    reference: Segment | None = None
    """The clean side of `recording`."""
    rate_hz: int = SAMPLE_RATE_HZ
    """Of all signals of the clip, enrollments included."""

    def to_json(self) -> str:
        """One line without the fields that hold their default."""
        return json.dumps(_without_defaults(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Scene:
        """The reverse of `to_json`. Raises ValueError for a field that no scene has."""
        return _scene(json.loads(line))


def read_scenes(path: Path) -> list[Scene]:
    """The scenes of a set file, in its order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Scene.from_json(line) for line in lines if line.strip()]


def write_scenes(path: Path, scenes: Iterable[Scene]) -> None:
    """Write a set file, one scene a line."""
    path.write_text("".join(scene.to_json() + "\n" for scene in scenes), encoding="utf-8")


def _without_defaults(value: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for entry in fields(value):
        inner = getattr(value, entry.name)
        if inner == entry.default:
            continue
        kept[entry.name] = _plain(inner)
    return kept


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return _without_defaults(value)
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value


def _segment(raw: dict[str, Any]) -> Segment:
    return Segment(**raw)


def _segments(raw: list[dict[str, Any]]) -> tuple[Segment, ...]:
    return tuple(_segment(inner) for inner in raw)


def _noise(raw: dict[str, Any]) -> Noise:
    source = raw["segment"]
    return Noise(Synthetic(**source) if "seed" in source else _segment(source), raw["gain_db"])


def _voice(raw: dict[str, Any]) -> Voice:
    return Voice(**{**raw, "segments": _segments(raw["segments"])})


def _enrollment(raw: dict[str, Any]) -> Enrollment:
    read = {key: reader(raw[key]) for key, reader in _ENROLLMENT_READERS.items() if key in raw}
    return Enrollment(**{**raw, **read})


def _echo(raw: dict[str, Any]) -> Echo:
    return Echo(**{**raw, "segments": _segments(raw["segments"])})


_ENROLLMENT_READERS: dict[str, Callable[[Any], Any]] = {
    "segments": _segments,
    "noise": _noise,
    "intruder": _voice,
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "profiles": tuple,
    "target": _voice,
    "interferers": lambda raw: tuple(_voice(inner) for inner in raw),
    "noise": _noise,
    "right": _enrollment,
    "wrong": _enrollment,
    "echo": _echo,
    "recording": _segment,
    "reference": _segment,
}


def _scene(raw: dict[str, Any]) -> Scene:
    unknown = set(raw) - {entry.name for entry in fields(Scene)}
    if unknown:
        raise ValueError(f"A scene has no field {sorted(unknown)}; was this set written by a newer version?")
    return Scene(**{key: _READERS.get(key, lambda same: same)(value) for key, value in raw.items()})
