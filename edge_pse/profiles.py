"""Voice profiles and where they live: small private files that hold numbers from the network, never audio."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from edge_pse.errors import ProfileError

SCHEMA_VERSION = 1
SUFFIX = ".profile.json"
HOME_VARIABLE = "EDGE_PSE_HOME"

# No separators and no leading dot, so that a name can't leave the directory or hide in it.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
# A profile takes two kilobytes; whatever is much larger was never one, and is not read into memory to find
# out.
_SIZE_LIMIT_BYTES = 1 << 20


Names = list[str]  # inside ProfileStore, ``list`` is its method


@dataclass(frozen=True, eq=False)
class Profile:
    """One voice, as one model knows it."""

    name: str
    model_id: str
    """The model that made it, and the only one that understands it."""
    embedding: NDArray[np.float32]
    """What the network is given, (embedding_size,) float32, read-only; 256 floats for ``pvqe-s``."""
    speech_seconds: float
    """How much speech it was made of."""
    snr_db: float
    """Speech over background noise in that recording."""
    created: str = dataclasses.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    """When it was enrolled, ISO 8601."""

    def __post_init__(self) -> None:
        embedding = np.array(self.embedding, np.float32)
        if embedding.ndim != 1 or not embedding.size or not np.isfinite(embedding).all():
            raise ProfileError(f"Profile {self.name!r} holds no usable embedding: enroll the voice again.")
        embedding.flags.writeable = False
        object.__setattr__(self, "embedding", embedding)


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

    def save(self, profile: Profile) -> None:
        """Write a profile under its name, in the place of an earlier one."""
        path = self._path(profile.name)
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_atomically(path, _encode(profile))
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
            _write_atomically(path, content)
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
    content = dataclasses.asdict(profile)
    content["schema_version"] = SCHEMA_VERSION
    content["embedding"] = base64.b64encode(profile.embedding.astype("<f4").tobytes()).decode()
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
    if schema != SCHEMA_VERSION:
        raise ProfileError(
            f"{path} has profile format {schema!r}, this program reads {SCHEMA_VERSION}: enroll again."
        )
    if checksum != _checksum(content):
        raise ProfileError(
            f"{path} was changed or damaged since it was written (wrong checksum): enroll the voice again."
        )
    try:
        return _decode(content)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ProfileError(f"{path} lacks what a profile needs ({error}): enroll the voice again.") from error


def _decode(content: dict[str, Any]) -> Profile:
    texts = {field: content[field] for field in ("name", "model_id", "created")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("name, model_id and created must be text")
    datetime.fromisoformat(texts["created"])
    return Profile(
        embedding=np.frombuffer(base64.b64decode(content["embedding"], validate=True), "<f4"),
        speech_seconds=float(content["speech_seconds"]),
        snr_db=float(content["snr_db"]),
        **texts,
    )


def _write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, force to the disk, then rename: no reader ever sees half a file."""
    # mkstemp opens with mode 0600 and O_EXCL: there is no moment in which others could read the file.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make a rename in the directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(name: str, where: Path, error: OSError) -> ProfileError:
    return ProfileError(
        f"Can't write profile {name!r} to {where}: {error.strerror}. Nothing was changed; make room or "
        "choose another place and try again."
    )
