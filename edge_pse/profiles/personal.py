"""Personal weights: what networks have learnt of one voice, kept beside its profile.

They are the trained numbers of model files and nothing else. The device puts them into the files that are installed
(``edge_pse.model.Model.with_weights``), so that no graph ever comes with a voice, and what is read here may come from
somebody who means no good: it has its limits, and each part its checksum.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edge_pse import strict_json
from edge_pse.errors import ProfileError
from edge_pse.profiles import archive
from edge_pse.text import cleaned, shown

if TYPE_CHECKING:
    from edge_pse.profiles.voice import Profile

SCHEMA_VERSION = 1
SUFFIX = ".personal"
INDEX = "personal.json"
"""The entry of an archive that says what the others are."""

_MOST_INDEX_BYTES = 256 << 10
_MOST_NETWORKS, _MOST_FILES, _MOST_SENTENCES, _MOST_AGAINST = 8, 16, 8, 1000
_LONGEST_SENTENCE = 300
_MOST_SECONDS, _MOST_MINUTES = 1e7, 1e6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]{8,30}")


@dataclass(frozen=True, eq=False)
class PersonalFile:
    """The personal weights of one model file."""

    base_sha256: str
    """Checksum of the model file that they are for, in hexadecimal digits."""
    weights: bytes = field(repr=False)
    """What takes the place of its trained numbers: see ``Model.with_weights``."""
    sha256: str = field(init=False)
    """Checksum of the weights."""

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.base_sha256) or not self.weights:
            raise ProfileError("Personal weights are of no model file, or empty: make them again.")
        object.__setattr__(self, "sha256", hashlib.sha256(self.weights).hexdigest())


@dataclass(frozen=True, eq=False)
class PersonalNetwork:
    """What one network has learnt of a voice. Raises ProfileError for what can't be true."""

    model_id: str
    """Of the general weights that it began with."""
    created: str
    """When, ISO 8601."""
    reading_seconds: float
    """How much of the voice it learnt from."""
    minutes: float
    """How long it learnt."""
    against: int
    """How many recordings of others were given that it learnt to leave out."""
    sentences: tuple[str, ...]
    """What was gained, in plain words."""
    scores: Mapping[str, Any] = field(repr=False)
    """What it was judged by; whatever JSON can hold."""
    files: Mapping[str, PersonalFile]
    """By the name that the model file has where it is installed: ``pvqe-s.int8.tflite``."""

    def __post_init__(self) -> None:
        fit = (
            _NAME.fullmatch(self.model_id)
            and _MOMENT.fullmatch(self.created)
            and _within(self.reading_seconds, _MOST_SECONDS)
            and _within(self.minutes, _MOST_MINUTES)
            and type(self.against) is int
            and 0 <= self.against <= _MOST_AGAINST
            and len(self.sentences) <= _MOST_SENTENCES
            and 0 < len(self.files) <= _MOST_FILES
            and all(_NAME.fullmatch(name) for name in self.files)
        )
        if not fit:
            raise ProfileError("What personal weights say of themselves can't be true: make them again.")
        # They are printed, and may come from another machine.
        kept = tuple(cleaned(sentence, _LONGEST_SENTENCE) for sentence in self.sentences)
        object.__setattr__(self, "sentences", kept)


@dataclass(frozen=True, eq=False)
class PersonalWeights:
    """What one or more networks have learnt of the voice of one profile, and of no use to any other profile.

    Raises ProfileError for what can't be true.
    """

    profile_id: str
    """``Profile.id`` of the profile that they are of, as it was when they were learnt."""
    networks: Mapping[str, PersonalNetwork]
    """By their names: ``pvqe-s``."""

    def __post_init__(self) -> None:
        names = [name for network in self.networks.values() for name in network.files]
        fit = (
            _SHA256.fullmatch(self.profile_id)
            and 0 < len(self.networks) <= _MOST_NETWORKS
            and all(_NAME.fullmatch(network) for network in self.networks)
            and all(
                name.startswith(f"{key}.") for key, network in self.networks.items() for name in network.files
            )
            and len(set(names)) == len(names)
        )
        if not fit:
            raise ProfileError("What personal weights say of themselves can't be true: make them again.")

    @property
    def fingerprint(self) -> str:
        """Differs between weights that differ: 64 hexadecimal digits."""
        return hashlib.sha256(self._index()).hexdigest()

    def fits(self, profile: Profile) -> bool:
        """Whether they are of this profile, as it is now."""
        return self.profile_id == profile.id

    def merged(self, newer: PersonalWeights) -> PersonalWeights:
        """With ``newer`` in the place of what the same networks had learnt before; of another profile, ``newer``."""
        if newer.profile_id != self.profile_id:
            return newer
        return replace(self, networks={**self.networks, **newer.networks})

    def of(self, network: str) -> PersonalWeights:
        """What one network has learnt, alone; KeyError if it has not."""
        return replace(self, networks={network: self.networks[network]})

    def without(self, network: str) -> PersonalWeights | None:
        """What the others have learnt, None for none."""
        others = {name: learnt for name, learnt in self.networks.items() if name != network}
        return replace(self, networks=others) if others else None

    def encode(self) -> bytes:
        """What a file of them holds; ProfileError if they are too large to be read again."""
        try:
            return archive.pack(self.entries())
        except ValueError as error:
            raise ProfileError(f"These personal weights can't be kept: {error}.") from None

    @classmethod
    def decode(cls, content: bytes) -> PersonalWeights:
        """From what ``encode`` has made; ProfileError if it is damaged or something else."""
        try:
            entries = archive.unpack(content)
        except ValueError as error:
            raise _damaged(str(error)) from None
        return cls.of_entries(entries)

    def entries(self) -> dict[str, bytes]:
        """The entries of an archive, by their names."""
        files = {
            name: file.weights for network in self.networks.values() for name, file in network.files.items()
        }
        return {INDEX: self._index(), **files}

    @classmethod
    def of_entries(cls, entries: Mapping[str, bytes]) -> PersonalWeights:
        """From all entries of an archive; ProfileError unless they are whole and there is no other."""
        try:
            if len(entries[INDEX]) > _MOST_INDEX_BYTES:
                raise ValueError(f"{INDEX} is too large")
            index = strict_json.parse(entries[INDEX])
            schema, networks = index["schema_version"], index["networks"]
            if type(schema) is not int or schema != SCHEMA_VERSION:
                raise ValueError(f"they are of another format than {SCHEMA_VERSION}")
            decoded = cls(
                _of(str, index, "profile_id"),
                {name: _network(content, entries) for name, content in networks.items()},
            )
            if len(decoded.entries()) != len(entries):
                raise ValueError("they hold what does not belong to them")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise _damaged(str(error)) from None
        return decoded

    def _index(self) -> bytes:
        networks = {
            name: {
                "model_id": network.model_id,
                "created": network.created,
                "reading_seconds": network.reading_seconds,
                "minutes": network.minutes,
                "against": network.against,
                "sentences": list(network.sentences),
                "scores": dict(network.scores),
                "files": {
                    file_name: {"base_sha256": file.base_sha256, "sha256": file.sha256}
                    for file_name, file in network.files.items()
                },
            }
            for name, network in self.networks.items()
        }
        content = {"schema_version": SCHEMA_VERSION, "profile_id": self.profile_id, "networks": networks}
        try:
            index = json.dumps(content, indent=1, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ProfileError(f"The scores of personal weights are no JSON: {error}.") from None
        if len(index) > _MOST_INDEX_BYTES:
            raise ProfileError("What is said of personal weights is too much to be kept: leave scores out.")
        return index


def _network(content: dict[str, Any], entries: Mapping[str, bytes]) -> PersonalNetwork:
    sentences = _of(list, content, "sentences")
    if not all(isinstance(sentence, str) for sentence in sentences):
        raise TypeError("a sentence must be text")
    files = _of(dict, content, "files")
    return PersonalNetwork(
        model_id=_of(str, content, "model_id"),
        created=_of(str, content, "created"),
        reading_seconds=_number(content, "reading_seconds"),
        minutes=_number(content, "minutes"),
        against=_of(int, content, "against"),
        sentences=tuple(sentences),
        scores=_of(dict, content, "scores"),
        files={name: _file(file, entries[name]) for name, file in files.items()},
    )


def _file(content: dict[str, Any], weights: bytes) -> PersonalFile:
    file = PersonalFile(_of(str, content, "base_sha256"), weights)
    if file.sha256 != _of(str, content, "sha256"):
        raise ValueError("a checksum does not fit")
    return file


def _of(kind: type, content: dict[str, Any], name: str) -> Any:
    value = content[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} must be {kind.__name__}")
    return value


def _number(content: dict[str, Any], name: str) -> float:
    value = content[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number")
    return float(value)


def _within(value: float, most: float) -> bool:
    return math.isfinite(value) and 0 <= value <= most


def _damaged(reason: str) -> ProfileError:
    return ProfileError(
        f"These personal weights are damaged or none ({shown(reason)[:80]}): learn them again, or copy them again."
    )
