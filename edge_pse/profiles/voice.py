"""What is kept of a voice: numbers from the network, what they were made of, no audio."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from edge_pse.band import of_any_band
from edge_pse.errors import ProfileError
from edge_pse.profiles.personal import PersonalWeights
from edge_pse.text import cleaned

MOST_RECORDINGS = 32
"""A profile of more keeps the mean of its two oldest as one, which changes nothing of their combination."""

# Far from what a network or a recording gives, and near enough that nothing overflows. A layer norm of 256 gives 16
# times its gain at most; in the means of the shipped models no number is beyond 3.
_LARGEST_SIZE = 4096
_LARGEST_NUMBER = 32.0
_MOST_SECONDS = 1e7
_LARGEST_SNR_DB = 200.0
_LARGEST_COSINE = 1.01
_LONGEST_MICROPHONE = 100
_MOMENT = re.compile(
    r"(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_MODEL_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, eq=False)
class Recording:
    """What a profile keeps of one recording: numbers, no audio. Raises ProfileError for numbers, or a
    moment, that can't be true.
    """

    embedding: NDArray[np.float32]
    """The network's mean embedding of it, (embedding_size,) float32, read-only."""
    half_band: NDArray[np.float32]
    """The same without the upper half of its band; (embedding_size,) float32, read-only."""
    speech_seconds: float
    """How much speech is in it."""
    snr_db: float
    """Speech over background noise."""
    microphone: str = ""
    """What it was recorded with; empty if unknown, as for a file."""
    created: str = field(default_factory=_now)
    """When, ISO 8601."""
    agreement: float | None = None
    """How well its halves agree: the cosine of their embeddings; None for too little speech to say."""

    def __post_init__(self) -> None:
        embedding, half_band = _embedding(self.embedding), _embedding(self.half_band)
        if half_band.size != embedding.size:
            raise ProfileError("A recording holds embeddings of two models: enroll the voice again.")
        try:
            measures = {
                "speech_seconds": _measure(self.speech_seconds, 0.0, _MOST_SECONDS),
                "snr_db": _measure(self.snr_db, -_LARGEST_SNR_DB, _LARGEST_SNR_DB),
                "agreement": None
                if self.agreement is None
                else _measure(self.agreement, -_LARGEST_COSINE, _LARGEST_COSINE),
            }
        except (ValueError, OverflowError):
            raise ProfileError(
                "A recording has measures that can't be true: enroll the voice again."
            ) from None
        if not _is_moment(self.created):
            raise ProfileError(
                "A recording was made at no date and time that can be: enroll the voice again."
            )
        object.__setattr__(self, "embedding", embedding)
        object.__setattr__(self, "half_band", half_band)
        # It is printed, and may come from another machine.
        object.__setattr__(self, "microphone", cleaned(self.microphone, _LONGEST_MICROPHONE))
        for name, value in measures.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class Profile:
    """One voice, as one model knows it, from one recording or several, through one microphone or several.

    All that it says of the voice is the mean of its recordings, weighted with the seconds of speech in each: about what
    one recording of them all would give, since an embedding is itself a mean over time.

    It comes from ``enroll`` or ``ProfileStore.load``; made by hand, it is ``Profile(name, model_id, recordings)``.
    Raises ProfileError without recordings, for recordings of different models, and for a model without a proper name.
    """

    name: str
    """What it is stored under; may be empty."""
    model_id: str
    """Of the model that made it, or of an earlier one that makes the same; models whose ``Contract.profiles_of`` it is
    understand it, and no others."""
    recordings: tuple[Recording, ...]
    """What it was made of, the oldest first; of more than 32, the two oldest become one."""
    personal: PersonalWeights | None = field(default=None, repr=False)
    """What networks have learnt of this voice, None without; perhaps of the profile as it was before a recording was
    added, see ``PersonalWeights.fits``."""
    _mean: Recording = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not _MODEL_ID.fullmatch(self.model_id):
            raise ProfileError(
                f"Profile {self.name!r} is of a model without a proper name: enroll the voice again."
            )
        kept = list(self.recordings)
        if len({recording.embedding.size for recording in kept}) != 1:
            raise ProfileError(
                f"The recordings of profile {self.name!r} are of different models: enroll the voice again."
            )
        while len(kept) > MOST_RECORDINGS:
            kept[:2] = [_combination(kept[:2])]
        object.__setattr__(self, "recordings", tuple(kept))
        object.__setattr__(self, "_mean", _combination(kept))

    @property
    def embedding(self) -> NDArray[np.float32]:
        """What is compared with other recordings, (embedding_size,) float32, read-only; 256 floats for ``pvqe-s``."""
        return self._mean.embedding

    @property
    def conditioning(self) -> NDArray[np.float32]:
        """What the network is given, (embedding_size,) float32: the voice in the whole band and in half of it."""
        return of_any_band(self._mean.embedding, self._mean.half_band)

    @property
    def id(self) -> str:
        """Says which numbers the network is given, whatever the name: 64 hexadecimal digits."""
        return hashlib.sha256(self.conditioning.astype("<f4").tobytes()).hexdigest()

    @property
    def speech_seconds(self) -> float:
        """How much speech it was made of, in all."""
        return self._mean.speech_seconds

    @property
    def snr_db(self) -> float:
        """Speech over background noise; of several recordings the mean, weighted like the embedding."""
        return self._mean.snr_db

    @property
    def created(self) -> str:
        """When the voice was enrolled first, ISO 8601."""
        return self._mean.created

    def general(self) -> Profile:
        """The same voice without personal weights: networks then run with those that serve everybody."""
        return self if self.personal is None else replace(self, personal=None)

    def check_model(self, model_id: str) -> None:
        """ProfileError unless recordings made by that model can be added to it."""
        if model_id != self.model_id:
            raise ProfileError(
                f"Profile {self.name!r} was made with model {self.model_id}, not with {model_id}: enroll it again "
                "with --replace, or choose the other model."
            )

    def has(self, recording: Recording) -> bool:
        """Whether that very recording is one of those that it was made of; of more than 32, nobody knows of all."""
        return any(np.array_equal(known.embedding, recording.embedding) for known in self.recordings)

    def with_recording(self, recording: Recording, model_id: str) -> Profile:
        """The same voice with one more recording; ProfileError unless that is of the same model, ``model_id``."""
        self.check_model(model_id)
        return replace(self, recordings=(*self.recordings, recording))


def _embedding(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of its own, read-only; ProfileError if it can be none."""
    with np.errstate(over="ignore"):
        embedding = np.array(numbers, np.float32)
    if embedding.ndim != 1 or not 0 < embedding.size <= _LARGEST_SIZE or not _within(embedding):
        raise ProfileError("A recording holds no usable embedding: enroll the voice again.")
    embedding.flags.writeable = False
    return embedding


def _within(embedding: NDArray[np.float32]) -> bool:
    return bool((np.abs(embedding) <= _LARGEST_NUMBER).all())  # false for what is no number


def _is_moment(created: str) -> bool:
    try:
        datetime.fromisoformat(created)
    except (TypeError, ValueError):
        return False
    return _MOMENT.fullmatch(created) is not None


def _measure(value: float, least: float, most: float) -> float:
    number = float(value)
    if not least <= number <= most:
        raise ValueError
    return number


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
        half_band=mean([recording.half_band for recording in recordings]).astype(np.float32),
        speech_seconds=round(float(seconds.sum()), 2),
        snr_db=round(float(mean([recording.snr_db for recording in recordings])), 1),
        microphone=first.microphone if len(microphones) == 1 else "",
        created=first.created,
        agreement=float(mean(known)) if len(known) == len(agreements) else None,
    )
