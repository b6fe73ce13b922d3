"""A profile from what the microphone picks up anyway: which voice is there most, and when there is enough of it.

The motivation of arXiv 2406.09928: the embedding of an enrollment is what the network computes in every hop, so a
voice can be enrolled while it is in use. Nothing is kept but sums of embeddings and levels, of minutes of talk.

The rule. Half seconds in which somebody speaks, well above the noise and without a long pause, make a stretch of two or
three seconds; a stretch whose halves differ holds two voices, or starts with the end of another, and does not count.
Nor do those much fainter than the loud ones: they come from farther away. Of the rest, those near one of them, by the
cosine of their embeddings, are one voice; the voice with the most of them leads. It is ready when there is enough of
it and little of others: a second voice holds it back. With a known voice only stretches near that one count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_pse.enhancer import FrameFeatures
from edge_pse.enrollment.quality import MIN_SNR_DB, MIN_SPEECH_LEVEL_DBFS
from edge_pse.enrollment.speech import find_speech
from edge_pse.profiles import Recording
from edge_pse.spectral import Samples
from edge_pse.voice_space import VoiceSpace


@dataclass(frozen=True)
class Rule:
    """The numbers of the rule; ``python -m studies auto-enrollment`` measures them, and others beside them."""

    enough_seconds: float = 15.0
    """Of stretches of the leading voice."""
    alike: float = 0.5
    """Cosine from which two stretches are one voice."""
    alike_known: float = 0.4
    """The same of a stretch and a known voice."""
    halves_alike: float = 0.3
    """The same of the halves of a stretch, which are short and so less alike."""
    fainter_db: float = 6.0
    """Below the loud stretches (their 90th percentile), a stretch comes from farther away."""
    rivals_share: float = 0.25
    """Of the stretches near the microphone, the most that other voices may have."""


_BLOCK_SECONDS = 0.5
_LEAST_BLOCKS, _MOST_BLOCKS = 4, 6  # of a stretch
_PAUSE_BLOCKS = 1  # within a stretch: after more than a second somebody else may go on
_TALK_SHARE = 0.4  # of a block: fluent reading is speech for 55 to 85 % of the time by this measure
_NOISE_SECONDS = 10.0  # the pauses of so long say how loud the noise is; the first judgement is after three
_FIRST_SECONDS = 3.0
_LOUD_PERCENTILE = 90
_REMEMBERED = 60  # stretches, two to three minutes of talk


@dataclass(frozen=True, eq=False)
class Stretch:
    """Two or three seconds of somebody's speech."""

    embedding: NDArray[np.float64]
    """Mean over its hops, (embedding_size,)."""
    seconds: float
    speech_seconds: float
    level_db: float
    snr_db: float
    agreement: float
    """Cosine of the embeddings of its halves."""
    half_band: NDArray[np.float64]
    """The same without the upper half of the band, see ``edge_pse.band``."""


@dataclass(frozen=True)
class Gathered:
    """How far it has come."""

    seconds: float
    """Of the leading voice."""
    rivals_share: float
    """What other voices near the microphone have of all the talk there."""
    taken: tuple[Stretch, ...]
    """Of the leading voice."""
    ready: bool
    space: VoiceSpace = field(repr=False)

    def recording(self, microphone: str = "") -> Recording:
        """What a profile keeps of the leading voice; there must be one."""
        weights = [stretch.seconds for stretch in self.taken]
        middle = len(self.taken) // 2
        halves = self.taken[:middle], self.taken[middle:]
        return Recording(
            embedding=_weighted_mean(self.taken).astype(np.float32),
            half_band=np.average([stretch.half_band for stretch in self.taken], axis=0, weights=weights),
            speech_seconds=round(sum(stretch.speech_seconds for stretch in self.taken), 2),
            snr_db=round(float(np.average([stretch.snr_db for stretch in self.taken], weights=weights)), 1),
            microphone=microphone,
            agreement=self.space.cosine(*(_weighted_mean(half) for half in halves)) if all(halves) else None,
        )


def gather(
    stretches: Sequence[Stretch], rule: Rule, space: VoiceSpace, known: NDArray[np.floating] | None = None
) -> Gathered:
    """Apply the rule, comparing in ``space``; ``known``: the embedding of the voice to look for, None to find one."""
    whole = [stretch for stretch in stretches if stretch.agreement >= rule.halves_alike]
    if not whole:
        return Gathered(0.0, 0.0, (), False, space)
    loud_db = float(np.percentile([stretch.level_db for stretch in whole], _LOUD_PERCENTILE))
    near = [stretch for stretch in whole if stretch.level_db >= loud_db - rule.fainter_db]
    units = space.project(np.stack([stretch.embedding for stretch in near]))
    threshold = rule.alike if known is None else rule.alike_known
    if known is None:
        alike = units @ units.T >= rule.alike
        leading = alike[int(np.argmax(alike @ [stretch.seconds for stretch in near]))]
        # Around one stretch at first, then around the mean of those: the voice and not one phrase of it.
        known = _weighted_mean([near[index] for index in np.flatnonzero(leading)])
    taken = tuple(near[index] for index in np.flatnonzero(units @ space.project(known) >= threshold))
    if not taken:
        return Gathered(0.0, 1.0, (), False, space)
    seconds = sum(stretch.seconds for stretch in taken)
    rivals_share = 1 - seconds / sum(stretch.seconds for stretch in near)
    ready = seconds >= rule.enough_seconds and rivals_share <= rule.rivals_share
    return Gathered(seconds, rivals_share, taken, ready, space)


@dataclass
class _Block:
    embedding_sums: NDArray[np.float64]
    """Of the whole band and of half of it, (2, embedding_size)."""
    hops: int
    speech_hops: int
    power: float
    """Mean over the speech."""
    noise_power: float


class AutoEnrollment:
    """Gathers a voice from a stream, hop by hop: ``enhancer.observe(auto_enrollment.add)``.

    ``hop_seconds``: length of a hop. ``space``: that of the model of the stream. ``known``: the embedding of the
    voice to gather more of, (embedding_size,), None to find one.
    """

    def __init__(
        self, hop_seconds: float, space: VoiceSpace, known: Samples | None = None, rule: Rule | None = None
    ):
        self.known = known
        self._space = space
        self.rule = rule or Rule()
        self.stretches: deque[Stretch] = deque(maxlen=_REMEMBERED)
        self._hop_seconds = hop_seconds
        self._block_hops = round(_BLOCK_SECONDS / hop_seconds)
        self._hops: list[FrameFeatures] = []
        self._run: list[_Block] = []
        self._pause_blocks = 0
        past = round(_NOISE_SECONDS / hop_seconds)
        self._powers: deque[float] = deque(maxlen=past)
        self._kept_powers: deque[float] = deque(maxlen=past)
        self._in_speech_band: deque[tuple[float, float]] = deque(maxlen=past)

    def add(self, features: FrameFeatures) -> bool:
        """One hop more -> whether it has completed a stretch."""
        self._hops.append(features)
        self._powers.append(features.power)
        self._kept_powers.append(features.kept_power)
        self._in_speech_band.append(features.in_speech_band)
        if len(self._hops) < self._block_hops:
            return False
        block, self._hops = self._hops, []
        if len(self._powers) * self._hop_seconds < _FIRST_SECONDS:
            return False
        return self._add_block(block)

    def gathered(self) -> Gathered:
        """The leading voice and whether it is ready."""
        return gather(tuple(self.stretches), self.rule, self._space, self.known)

    def forget(self) -> None:
        """All that was gathered."""
        self.stretches.clear()

    def _add_block(self, block: list[FrameFeatures]) -> bool:
        speech = find_speech(self._powers, self._kept_powers, self._in_speech_band)
        spoken = speech.where[-len(block) :]
        if spoken.mean() >= _TALK_SHARE:
            power = float(speech.powers[-len(block) :][spoken].mean())
            total = np.stack([(hop.embedding, hop.half_band) for hop in block]).sum(axis=0, dtype=np.float64)
            self._run.append(_Block(total, len(block), int(spoken.sum()), power, speech.noise_power))
            self._pause_blocks = 0
            if len(self._run) < _MOST_BLOCKS:
                return False
        else:
            self._pause_blocks += 1
            if self._pause_blocks <= _PAUSE_BLOCKS:
                return False
        run, self._run = self._run, []
        return len(run) >= _LEAST_BLOCKS and self._add_stretch(run)

    def _add_stretch(self, run: list[_Block]) -> bool:
        speech_hops = sum(block.speech_hops for block in run)
        power = sum(block.power * block.speech_hops for block in run) / speech_hops
        level_db = float(10 * np.log10(power))
        snr_db = float(10 * np.log10(max(power / run[-1].noise_power - 1, 1e-3)))
        if snr_db < MIN_SNR_DB or level_db < MIN_SPEECH_LEVEL_DBFS:
            return False
        middle = len(run) // 2
        embedding, half_band = _means(run)
        self.stretches.append(
            Stretch(
                embedding=embedding,
                seconds=sum(block.hops for block in run) * self._hop_seconds,
                speech_seconds=speech_hops * self._hop_seconds,
                level_db=level_db,
                snr_db=snr_db,
                agreement=self._space.cosine(_means(run[:middle])[0], _means(run[middle:])[0]),
                half_band=half_band,
            )
        )
        return True


def _means(blocks: Sequence[_Block]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.sum([block.embedding_sums for block in blocks], axis=0)
    return total / sum(block.hops for block in blocks)


def _weighted_mean(stretches: Sequence[Stretch]) -> NDArray[np.float64]:
    weights = [stretch.seconds for stretch in stretches]
    mean: NDArray[np.float64] = np.average([s.embedding for s in stretches], axis=0, weights=weights)
    return mean
