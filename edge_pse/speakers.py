"""Who speaks: which of some profiles the voice of a stream is nearest to, second by second, and how sure that is.

Everybody is compared in the space in which profiles are (``edge_pse.voice_space``), by what the network says of the
stream without a profile. That is a guess, for captions, notes and tags. It keeps nobody out: a stranger who sounds
alike is taken for somebody; ``ERRORS`` says how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_pse.profiles import Profile
from edge_pse.spectral import Samples
from edge_pse.voice_space import VoiceSpace

SECONDS = 1.0
LEAST_SPEECH_SECONDS = 0.3
"""In a second with less of it nobody spoke, or too little to tell who."""
WEIGHTS = (-2.984, 4.956, 2.304, -0.369)
"""Logistic regression on ``features``, as ``python -m studies who`` prints it for the shipped weights."""
_LIKELY = 0.5
_PAUSE_SECONDS = 2
ERRORS = (
    "With two enrolled voices, 81 % of their seconds are named rightly, 0 % as the other and 18 % as nobody; of a "
    "stranger's seconds 23 % are taken for one of them, of turns of 6 seconds 18 %."
)
"""How often that is wrong, as `python -m studies who` has measured it; to be said wherever somebody is named."""

_SPEECH_KEPT = 0.2  # in power, of what there is without a profile: as `edge_pse.enrollment.speech` has it
_SPEECH_RANGE = 1e-3  # in power, from the loud hops down
_FORGOTTEN = 10 ** (-0.1 / 100)  # a hop, of the loudest: 1 dB a second
_SMOOTHING = 0.3  # of powers, a hop: shorter than a pause between words


@dataclass(frozen=True, eq=False)
class Heard:
    """What was heard in a second of a stream, or in several."""

    start_s: float
    """Since the stream began."""
    seconds: float
    """How long it is: 1, at the end of a stream less."""
    speech_seconds: float
    """How long somebody spoke in it."""
    nearest: Profile | None = field(repr=False)
    """The profile that the voice is nearest to; None where nobody spoke, or too little to tell."""
    probability: float
    """That it was the one who speaks, 0 to 1, if strangers speak as often as those who are enrolled."""
    among: tuple[Profile, ...] = field(repr=False)
    """Those whom it might have been."""
    embedding: Samples = field(repr=False)
    """Mean over the speech, (embedding_size,) float32; zeros without any."""
    _space: VoiceSpace = field(repr=False)

    @property
    def profile(self) -> Profile | None:
        """The nearest one if that is more likely than not; else None: nobody spoke, or somebody else."""
        return self.nearest if self.probability >= _LIKELY else None


def together(heard: Sequence[Heard]) -> Heard:
    """Several seconds as one, if one voice speaks in them: a turn, or a whole command. ValueError for none.

    More speech is surer than each of the seconds.
    """
    if not heard:
        raise ValueError("nothing was heard")
    first, last = heard[0], heard[-1]
    speech = np.array([second.speech_seconds for second in heard])
    embedding = np.zeros_like(last.embedding)
    if speech.any():
        mean = np.average([second.embedding for second in heard], axis=0, weights=speech)
        embedding = mean.astype(np.float32)
    seconds = float(sum(second.seconds for second in heard))
    return _judge(first.start_s, seconds, float(speech.sum()), embedding, last.among, last._space)


def turns(heard: Sequence[Heard]) -> list[Heard]:
    """The seconds of a stream -> who spoke one after the other, each turn as a whole; pauses are left out.

    A second is judged with the two beside it, because one alone is often wrong. A pause of two seconds at most is part
    of a turn.
    """
    with_neighbours = [together(heard[max(0, place - 1) : place + 2]) for place in range(len(heard))]
    runs: list[list[Heard]] = []
    pause: list[Heard] = []
    speaker: Profile | None = None
    for second, around in zip(heard, with_neighbours, strict=True):
        if second.nearest is None:
            pause.append(second)
            continue
        if runs and around.profile is speaker and len(pause) <= _PAUSE_SECONDS:
            runs[-1] += [*pause, second]
        else:
            runs.append([second])
        pause, speaker = [], around.profile
    return [together(run) for run in runs]


class SpeakerTracker:
    """Follows one stream, hop by hop, and tells of each second."""

    def __init__(self, space: VoiceSpace, embedding_size: int, hop_seconds: float):
        self._space, self._size, self._hop_seconds = space, embedding_size, hop_seconds
        self._hops_a_second = round(SECONDS / hop_seconds)
        self.reset()

    def reset(self) -> None:
        """A new stream begins."""
        self._hops = 0
        self._power = self._kept_power = self._loudest = 0.0
        self._begin()

    def _begin(self) -> None:
        self._start = self._hops
        self._spoken = 0
        self._sum: NDArray[np.float64] = np.zeros(self._size)

    def add(
        self, embedding: Samples, power: float, kept_power: float, among: tuple[Profile, ...]
    ) -> Heard | None:
        """One hop more, without a profile: its embedding, its power, what is kept of that -> a second, if one ends."""
        self._power += _SMOOTHING * (power - self._power)
        self._kept_power += _SMOOTHING * (kept_power - self._kept_power)
        self._loudest = max(self._kept_power, _FORGOTTEN * self._loudest)
        kept = self._kept_power
        if kept > _SPEECH_KEPT * self._power and kept > _SPEECH_RANGE * self._loudest:
            self._spoken += 1
            self._sum += embedding
        self._hops += 1
        if self.hops_begun < self._hops_a_second:
            return None
        return self.rest(among)

    @property
    def hops_begun(self) -> int:
        """Of the second that has begun."""
        return self._hops - self._start

    def rest(self, among: tuple[Profile, ...]) -> Heard:
        """What there is of the second that has begun."""
        embedding = (self._sum / max(1, self._spoken)).astype(np.float32)
        start_s, seconds, speech_seconds = (
            hops * self._hop_seconds for hops in (self._start, self._hops - self._start, self._spoken)
        )
        heard = _judge(start_s, seconds, speech_seconds, embedding, among, self._space)
        self._begin()
        return heard


def features(cosines: NDArray[np.floating], speech_seconds: float) -> NDArray[np.float64]:
    """What ``WEIGHTS`` are for, (4,): of the cosines with all profiles the greatest and how far it is from the next
    one, which counts as 0 at least, and the logarithm of the seconds of speech.
    """
    ordered = np.sort(cosines)[::-1]
    following = max(0.0, float(ordered[1])) if ordered.size > 1 else 0.0
    return np.array([1.0, ordered[0], ordered[0] - following, np.log(speech_seconds)])


def _judge(
    start_s: float,
    seconds: float,
    speech_seconds: float,
    embedding: Samples,
    among: tuple[Profile, ...],
    space: VoiceSpace,
) -> Heard:
    nearest, probability = None, 0.0
    if among and speech_seconds >= LEAST_SPEECH_SECONDS:
        enrolled = np.stack([profile.embedding for profile in among])
        cosines = space.project(enrolled) @ space.project(embedding)
        nearest = among[int(cosines.argmax())]
        odds = float(features(cosines, speech_seconds) @ np.array(WEIGHTS))
        probability = float(1 / (1 + np.exp(-odds)))
    return Heard(start_s, seconds, speech_seconds, nearest, probability, among, embedding, space)
