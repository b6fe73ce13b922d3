"""Whether two recordings are of one voice, and how far a profile can be trusted.

The constants are what ``python -m studies enrollment`` prints for the shipped weights and their voice space; new
weights need both anew (``python -m training.discriminant``): without one, the cosines of strangers are far higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_pse.errors import ProfileError
from edge_pse.profiles import Profile, Recording
from edge_pse.voice_space import VoiceSpace

MATCH_COSINE = 0.546
"""From here on two recordings are taken for one voice; 5 % of other speakers reach it."""
NO_MATCH_COSINE = 0.468
"""Below it they are taken for two; 2 % of recordings of one speaker are. In between nobody can tell."""
OTHER_VOICE_COSINE = 0.288
"""Of the latest two seconds of speech and all before: below it somebody else is taken to speak; in 5 % of enrollments
by one voice it is wrong at some time."""
TRUST_WEIGHTS = (3.112, 1.643, 0.0, 0.0)
"""Logistic regression on 1, agreement, SNR in tens of dB (30 dB at most), and log of the seconds of speech."""

GOOD_TRUST, FAIR_TRUST = 0.975, 0.93
"""Clean and noisy enrollments have 0.984 to 0.988 on average, those in which another talker takes over 0.965; halves
of a recording that agree by less than -0.32 are not even fair."""

PART_SECONDS = 2.0
"""Speech in which a voice can just be told from another."""
_HIGHEST_SNR_DB = 30.0  # noise that is fainter changes nothing

Answer = Literal["match", "doubtful", "no match"]


@dataclass(frozen=True)
class Verdict:
    """Whether a recording is of the voice of a profile."""

    answer: Answer
    cosine: float
    """Of the two embeddings, in the voice space."""


def verify(profile: Profile, recording: Recording, space: VoiceSpace) -> Verdict:
    """Compare a recording with a profile of the same model, whose voice space it is; ProfileError if it is of another
    one.
    """
    if recording.embedding.size != profile.embedding.size:
        raise ProfileError(
            f"Profile {profile.name!r} and the recording are of different models, or the profile is damaged: it holds "
            f"{profile.embedding.size} numbers of a voice, the recording {recording.embedding.size}. Enroll the voice "
            "again with --replace."
        )
    similarity = space.cosine(profile.embedding, recording.embedding)
    if similarity >= MATCH_COSINE:
        return Verdict("match", similarity)
    return Verdict("doubtful" if similarity >= NO_MATCH_COSINE else "no match", similarity)


def trust(profile: Profile) -> float | None:
    """From how many other voices a profile like this tells its own, 0 to 1, judged by its recordings alone.

    Of the dev speakers: the share whose recordings were farther from such a profile than another recording of its own
    speaker. None if a recording is too short to have an agreement.
    """
    agreements, seconds = [], []
    for recording in profile.recordings:
        if recording.agreement is None:
            return None
        agreements.append(recording.agreement)
        seconds.append(recording.speech_seconds)
    if not sum(seconds) or not profile.speech_seconds:  # which is rounded
        return None
    features = trust_features(
        float(np.average(agreements, weights=seconds)), profile.snr_db, profile.speech_seconds
    )
    return float(1 / (1 + np.exp(-features @ np.array(TRUST_WEIGHTS))))


def trust_features(agreement: float, snr_db: float, speech_seconds: float) -> NDArray[np.float64]:
    """What ``TRUST_WEIGHTS`` are for, (4,)."""
    return np.array([1.0, agreement, min(snr_db, _HIGHEST_SNR_DB) / 10, np.log(speech_seconds)])


def agreement(
    embeddings: NDArray[np.float32], speech: NDArray[np.bool_], frame_seconds: float, space: VoiceSpace
) -> float | None:
    """How well the two halves of the speech in a recording agree: the cosine of their mean embeddings, in ``space``.

    ``embeddings``: (frames, embedding_size), ``speech``: (frames,). None for less than two seconds of speech.
    """
    spoken = embeddings[speech]
    half = len(spoken) // 2
    if half * frame_seconds < PART_SECONDS / 2:
        return None
    return space.cosine(spoken[:half].mean(axis=0), spoken[half:].mean(axis=0))
