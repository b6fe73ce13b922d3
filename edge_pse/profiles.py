"""Voice profiles and where they live: small private files that hold numbers from the network, never audio."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from edge_pse import atomic
from edge_pse.errors import ProfileError

SCHEMA_VERSION = 2
"""Version 1 held one recording, in the fields of the profile itself; it is still read."""
SUFFIX = ".profile.json"
HOME_VARIABLE = "EDGE_PSE_HOME"

# No separators and no leading dot, so that a name can't leave the directory or hide in it.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
# A recording takes two kilobytes; whatever is much larger than the most of them was never a profile, and is not
# read into memory to find out.
_SIZE_LIMIT_BYTES = 1 << 20
MOST_RECORDINGS = 32
"""A profile of more keeps the mean of its two oldest as one, which changes nothing of their combination."""
_LONGEST_MICROPHONE = 100


Names = list[str]  # inside ProfileStore, ``list`` is its method


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, eq=False)
class Recording:
    """What a profile keeps of one recording: numbers, no audio."""

    embedding: NDArray[np.float32]
    """The network's mean embedding of it, (embedding_size,) float32, read-only."""
    speech_seconds: float
    """How much speech is in it."""
    snr_db: float
    """Speech over background noise."""
    microphone: str = ""
    """What it was recorded with; empty if unknown, as for a file."""
    created: str = dataclasses.field(default_factory=_now)
    """When, ISO 8601."""
    agreement: float | None = None
    """How well its parts agree with each other, see ``enrollment.agreement``; None if nobody has looked."""

    def __post_init__(self) -> None:
        embedding = np.array(self.embedding, np.float32)
        if embedding.ndim != 1 or not embedding.size or not np.isfinite(embedding).all():
            raise ProfileError("A recording holds no usable embedding: enroll the voice again.")
        numbers = (self.speech_seconds, self.snr_db, self.agreement or 0.0)
        if not np.isfinite(numbers).all() or self.speech_seconds < 0:
            raise ProfileError("A recording has measures that are no numbers: enroll the voice again.")
        embedding.flags.writeable = False
        object.__setattr__(self, "embedding", embedding)
        # It is printed, and may come from another machine: no control characters.
        printable = "".join(character for character in self.microphone if character.isprintable())
        object.__setattr__(self, "microphone", printable[:_LONGEST_MICROPHONE])


@dataclass(frozen=True, eq=False)
class Profile:
    """One voice, as one model knows it, from one recording or several, through one microphone or several.

    The embedding of several recordings is their mean, weighted with the seconds of speech in each: about what
    one recording of them all would give, since an embedding is itself a mean over time.
    """

    name: str
    model_id: str
    """The model that made it, and the only one that understands it."""
    embedding: NDArray[np.float32]
    """What the network is given, (embedding_size,) float32, read-only; 256 floats for ``pvqe-s``."""
    speech_seconds: float
    """How much speech it was made of, in all."""
    snr_db: float
    """Speech over background noise; of several recordings the mean, weighted like the embedding."""
    created: str = dataclasses.field(default_factory=_now)
    """When it was enrolled first, ISO 8601."""
    recordings: tuple[Recording, ...] = ()
    """What it is the combination of, the oldest first. Given none, it is one recording, of the fields above."""

    def __post_init__(self) -> None:
        try:
            own = Recording(self.embedding, self.speech_seconds, self.snr_db, created=self.created)
        except ProfileError:
            raise ProfileError(
                f"Profile {self.name!r} holds no usable embedding: enroll the voice again."
            ) from None
        object.__setattr__(self, "embedding", own.embedding)
        if not self.recordings:
            object.__setattr__(self, "recordings", (own,))
        elif not np.array_equal(own.embedding, _combination(self.recordings).embedding):
            raise ProfileError(
                f"The embedding of profile {self.name!r} is not that of its recordings: "
                "make it with Profile.of_recordings."
            )

    @classmethod
    def of_recordings(cls, name: str, model_id: str, recordings: Sequence[Recording]) -> Profile:
        """The combination of at least one recording; ProfileError if they are of different models."""
        kept = list(recordings)
        if len({recording.embedding.size for recording in kept}) != 1:
            raise ProfileError(
                f"The recordings of profile {name!r} are of different models: enroll the voice again."
            )
        while len(kept) > MOST_RECORDINGS:
            kept[:2] = [_combination(kept[:2])]
        whole = _combination(kept)
        measures = whole.speech_seconds, whole.snr_db, whole.created
        return cls(name, model_id, whole.embedding, *measures, recordings=tuple(kept))

    def with_recording(
        self,
        embedding: NDArray[np.float32],
        speech_seconds: float,
        snr_db: float,
        microphone: str = "",
        agreement: float | None = None,
    ) -> Profile:
        """The same voice with one more recording, made by the same model; see ``Recording`` for the fields."""
        added = Recording(embedding, speech_seconds, snr_db, microphone, agreement=agreement)
        return Profile.of_recordings(self.name, self.model_id, [*self.recordings, added])


def _combination(recordings: Sequence[Recording]) -> Recording:
    """Several recordings as one. Combining in steps gives the same as at once."""
    first, *others = recordings
    if not others:
        return first
    seconds = np.array([recording.speech_seconds for recording in recordings])
    weights = seconds if seconds.any() else np.ones(seconds.size)

    def mean(values: Sequence[NDArray[np.float32]] | Sequence[float]) -> NDArray[np.float64]:
        return np.average(np.asarray(values, np.float64), axis=0, weights=weights)

    agreements = [recording.agreement for recording in recordings]
    known = [agreement for agreement in agreements if agreement is not None]
    microphones = {recording.microphone for recording in recordings}
    return Recording(
        embedding=mean([recording.embedding for recording in recordings]).astype(np.float32),
        speech_seconds=round(float(seconds.sum()), 2),
        snr_db=round(float(mean([recording.snr_db for recording in recordings])), 1),
        microphone=first.microphone if len(microphones) == 1 else "",
        created=first.created,
        agreement=float(mean(known)) if len(known) == len(agreements) else None,
    )


class ProfileStore:
    """The profiles of one user: a directory of ``NAME.profile.json``, readable by nobody else.

    ``root``: the directory, made on first use. Without it ``$EDGE_PSE_HOME/profiles``, or ``profiles`` in the
    user's data directory (``~/.local/share/edge-pse`` on Linux). Writes are atomic: after a crash or on a
    full disk a profile is the old one or the new one, whole. Every failure is a ProfileError.
    """

    def __init__(self, root: Path | None = None):
        if root is None:
            home = os.environ.get(HOME_VARIABLE)
            root = (Path(home) if home else Path(platformdirs.user_data_dir("edge-pse"))) / "profiles"
        self.root = Path(root)

    def __contains__(self, name: str) -> bool:
        """Whether there is a profile of that name; ProfileError if there can be none."""
        return self._path(name).is_file()

    def save(self, profile: Profile) -> None:
        """Write a profile under its name, in the place of an earlier one."""
        path = self._path(profile.name)
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic.write(path, _encode(profile), mode=atomic.OWN)
        except OSError as error:
            raise _cannot_write(profile.name, path.parent, error) from error

    def load(self, name: str) -> Profile:
        """Read a profile by name."""
        path = self._path(name)
        known = self.list()
        if name not in known:
            raise ProfileError(
                f"There is no profile {name!r} in {self.root}; known: {', '.join(known) or 'none'}."
            )
        # The file's name counts: whoever renames the file renames the profile.
        return dataclasses.replace(_read(path), name=name)

    def list(self) -> Names:
        """Names of all profiles, in alphabetical order."""
        names = (path.name.removesuffix(SUFFIX) for path in self.root.glob(f"*{SUFFIX}"))
        return sorted(name for name in names if _NAME.fullmatch(name))

    def delete(self, name: str) -> None:
        """Remove a profile."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise ProfileError(f"There is no profile {name!r} in {self.root}; nothing was deleted.") from None
        except OSError as error:
            raise ProfileError(f"Can't delete profile {name!r} in {self.root}: {error.strerror}.") from error

    def export(self, name: str, path: str | Path) -> None:
        """Write a profile to a file, to take it to another device; an existing file is replaced."""
        path = Path(path)
        content = _encode(self.load(name))
        try:
            atomic.write(path, content, mode=atomic.OWN)
        except OSError as error:
            raise _cannot_write(name, path, error) from error

    def import_(self, path: str | Path, name: str | None = None) -> Profile:
        """Take in an exported profile, under its own name or another; ProfileError if that name is taken."""
        profile = _read(Path(path))
        if name is not None:
            profile = dataclasses.replace(profile, name=name)
        if profile.name in self.list():
            raise ProfileError(
                f"There is a profile {profile.name!r} already: import under another name, or delete that "
                "one first."
            )
        self.save(profile)
        return profile

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ProfileError(
                f"{name!r} is no name for a profile: use up to 64 letters (a-z), digits, dots, dashes and "
                "underscores, without a dot in front."
            )
        return self.root / f"{name}{SUFFIX}"


def _encode(profile: Profile) -> bytes:
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": profile.name,
        "model_id": profile.model_id,
        "recordings": [
            {
                "microphone": recording.microphone,
                "created": recording.created,
                "speech_seconds": recording.speech_seconds,
                "snr_db": recording.snr_db,
                "agreement": recording.agreement,
                "embedding": base64.b64encode(recording.embedding.astype("<f4").tobytes()).decode(),
            }
            for recording in profile.recordings
        ],
    }
    content["sha256"] = _checksum(content)
    return json.dumps(content, indent=1).encode()


def _checksum(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(path: Path) -> Profile:
    """The profile in a file, wherever it lies; ProfileError unless it is whole and of a known kind."""
    try:
        with path.open("rb") as file:
            encoded = file.read(_SIZE_LIMIT_BYTES)
    except OSError as error:
        raise ProfileError(f"Can't read profile {path}: {error.strerror}.") from error
    try:
        content = json.loads(encoded)
        checksum, schema = content.pop("sha256"), content["schema_version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProfileError(
            f"{path} is damaged or not a voice profile: enroll the voice again, or export and copy it again."
        ) from None
    if schema not in (1, SCHEMA_VERSION):
        raise ProfileError(
            f"{path} has profile format {schema!r}, this program reads up to {SCHEMA_VERSION}: enroll again."
        )
    if checksum != _checksum(content):
        raise ProfileError(
            f"{path} was changed or damaged since it was written (wrong checksum): enroll the voice again."
        )
    try:
        return _decode(content)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise ProfileError(f"{path} lacks what a profile needs ({error}): enroll the voice again.") from error


def _decode(content: dict[str, Any]) -> Profile:
    name, model_id = _text(content, "name"), _text(content, "model_id")
    # In version 1 the fields of the only recording are among those of the profile.
    entries = [content] if content["schema_version"] == 1 else content["recordings"]
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_RECORDINGS:
        raise ValueError(f"a list of 1 to {MOST_RECORDINGS} recordings")
    return Profile.of_recordings(name, model_id, [_decode_recording(entry) for entry in entries])


def _decode_recording(entry: dict[str, Any]) -> Recording:
    agreement = entry.get("agreement")
    created = _text(entry, "created")
    datetime.fromisoformat(created)
    return Recording(
        embedding=np.frombuffer(base64.b64decode(entry["embedding"], validate=True), "<f4"),
        speech_seconds=float(entry["speech_seconds"]),
        snr_db=float(entry["snr_db"]),
        microphone=_text(entry, "microphone") if "microphone" in entry else "",
        created=created,
        agreement=None if agreement is None else float(agreement),
    )


def _text(content: dict[str, Any], field: str) -> str:
    text = content[field]
    if not isinstance(text, str):
        raise TypeError(f"{field} must be text")
    return text


def _cannot_write(name: str, where: Path, error: OSError) -> ProfileError:
    return ProfileError(
        f"Can't write profile {name!r} to {where}: {error.strerror}. Nothing was changed; make room or "
        "choose another place and try again."
    )
