"""A profile as bytes, and back: JSON with a checksum of what is in it.

What is read may come from another machine or from somebody who means no good: every field has its limits.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pse import strict_json
from edge_pse.errors import ProfileError
from edge_pse.profiles.voice import MOST_RECORDINGS, Profile, Recording

SCHEMA_VERSION = 2

# A recording takes three kilobytes; whatever is much larger than the most of them was never a profile, and is not
# read into memory to find out.
_SIZE_LIMIT_BYTES = 1 << 20
# A pipe with nobody at its other end would be waited for.
_OPENING = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
)


def encode(profile: Profile) -> bytes:
    """What a file of this profile holds."""
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
                "embedding": _as_text(recording.embedding),
                "half_band": _as_text(recording.half_band),
            }
            for recording in profile.recordings
        ],
    }
    content["sha256"] = _checksum(content)
    return json.dumps(content, indent=1).encode()


def read(path: Path) -> Profile:
    """The profile in a file, wherever it lies; ProfileError unless it is whole and of a known kind."""
    return decode(bytes_of(path, _SIZE_LIMIT_BYTES), path)


def decode(encoded: bytes, path: Path) -> Profile:
    """The profile in what the file ``path`` holds; ProfileError as for ``read``."""
    try:
        if len(encoded) > _SIZE_LIMIT_BYTES:
            raise ValueError("it is too large")
        content = strict_json.parse(encoded)
        checksum, schema = content.pop("sha256"), content["schema_version"]
        intact = checksum == _checksum(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProfileError(
            f"{path} is damaged or not a voice profile: enroll the voice again, or export and copy it again."
        ) from None
    if type(schema) is not int or schema != SCHEMA_VERSION:
        known = schema if type(schema) is int and 0 <= schema < 1000 else "of no number"
        newer = type(known) is int and known > SCHEMA_VERSION
        advice = "install the release that made it, or " if newer else ""
        raise ProfileError(
            f"{path} has profile format {known}, this program reads {SCHEMA_VERSION}: {advice}enroll the voice again."
        )
    if not intact:
        raise ProfileError(
            f"{path} was changed or damaged since it was written (wrong checksum): enroll the voice again."
        )
    try:
        return _decode(content)
    except ProfileError as error:
        raise ProfileError(f"{path} can't be used. {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error) as error:
        raise ProfileError(
            f"{path} lacks what a profile needs ({str(error)[:80]}): enroll the voice again."
        ) from error


def bytes_of(path: Path, most_bytes: int) -> bytes:
    """What a file holds, one byte more than ``most_bytes`` of what is larger; ProfileError if it can't be read."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is a device, a pipe or a socket and not a file")
        with os.fdopen(os.open(path, _OPENING), "rb") as file:
            return file.read(most_bytes + 1)
    except OSError as error:
        raise ProfileError(f"Can't read profile {path}: {error.strerror}.") from error
    except ValueError as error:  # no name of a file has a zero in it
        raise ProfileError(f"Can't read profile {path}: {error}.") from error


def _checksum(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _decode(content: dict[str, Any]) -> Profile:
    entries = content["recordings"]
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_RECORDINGS:
        raise ValueError(f"a list of 1 to {MOST_RECORDINGS} recordings")
    recordings = tuple(_decode_recording(entry) for entry in entries)
    return Profile(_text(content, "name"), _text(content, "model_id"), recordings)


def _decode_recording(entry: dict[str, Any]) -> Recording:
    return Recording(
        embedding=_numbers(entry, "embedding"),
        half_band=_numbers(entry, "half_band"),
        speech_seconds=_number(entry, "speech_seconds"),
        snr_db=_number(entry, "snr_db"),
        microphone=_text(entry, "microphone"),
        created=_text(entry, "created"),
        agreement=None if entry["agreement"] is None else _number(entry, "agreement"),
    )


def _as_text(numbers: NDArray[np.float32]) -> str:
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def _numbers(content: dict[str, Any], field: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(_text(content, field), validate=True), "<f4")


def _text(content: dict[str, Any], field: str) -> str:
    text = content[field]
    if not isinstance(text, str):
        raise TypeError(f"{field} must be text")
    return text


def _number(content: dict[str, Any], field: str) -> float:
    number = content[field]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"{field} must be a number")
    return float(number)
