"""Whether a network that has learnt one voice is better than the general one, on what it did not learn from.

A part of the reading is held out, and some voices, noises and rooms are. Fixed scenes are made of them: the same for
one reading, whatever has been learnt. Each candidate hears each scene, so that what differs is the candidate alone.

What was learnt of a reading looks better on that reading, held out or not, than on another day: the microphone, the
room, the hour and the effort are the same. So the voice comes through a simulated microphone of its own in each scene,
in half of them in a room, a little slower or faster; in the scenes of another microphone farther from the reading than
anything that learning presents.

The rule. A candidate is admissible unless a row is worse than with the general weights: by more than 0.2 dB of gain,
suppression or level, or by more than half a percent of lost frames. A row has few clips, whose differences from the
general weights vary; so half a standard error is in favour of the candidate, and a row with two talkers counts as if
twelve clips more of it had the mean of all such rows. Of those that are admissible the one with the best score is kept:
the mean over the rows of what is gained, a decibel of suppression for a fifth of one of gain, and losses doubled. Where
none scores 0.1 dB or more the general weights are kept.

Why means of both weights are candidates: what is learnt goes on to gain beside similar voices long after it has begun
to lose in noise, or where the voice is another day's. The gains grow with the share of what was learnt, the losses with
its square: half of it has half of the gains and a quarter of the losses. For the same reason weights of earlier moments
are candidates: as they were after a third and after two thirds of the time of learning, and half of each. What the rule
chose for eight voices, and what that was worth on other recordings of them, is in ``docs/history.md``.

Where time is short the last of the candidates are not judged: see ``Judge.choose``.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.metrics.signal import CEILING_DB, level_change_db, over_suppression, si_sdr, suppression_db
from training.dev import enhance
from training.mean import mean
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ, Network
from training.simulation.augmentation import convolve, random_equaliser
from training.simulation.corpus import Bank, active_level
from training.simulation.rooms import EARLY_SAMPLES, POSITIONS, Rooms

Item = TypeVar("Item")
Made = TypeVar("Made")
Samples = NDArray[np.float32]
Scores = dict[str, NDArray[np.float64]]
"""By row: what its metric says of each clip, (clip,)."""

SIMILAR, OTHER, NAMED = "similar voices", "other voices", "the one you named"
ALONE, NOISE, CLEAN = "others alone", "noise at 5 dB", "clean"
HALF_BAND, MICROPHONE = "half of the band", "another microphone"
LEVEL, LOST = "level, clean", "lost frames, clean"

CLIP_S = 3.0
_SIRS_DB = (-5.0, 0.0, 5.0)
_LIGHT_SNR_DB, _NOISE_SNR_DB = 20.0, 5.0
_LEVELS_DBFS = -34.0, -20.0
_SPEEDS, _FAR_SPEEDS = (1.0, 0.97, 1.03), (0.95, 1.05, 0.97, 1.03)
_EQUALISER_DB, _FAR_EQUALISER_DB = 3.0, 8.0
_CANDIDATE_WINDOWS = 3
"""Of each voice; the loudest is taken, so that few clips are silence."""
_SIMILAR_VOICES = 12
_MOST_SUPPRESSION_DB = 40.0
"""What is fainter nobody hears."""
_LEAST_CLIPS = 3
SHARES = (1.0, 0.5, 0.7, 0.3)
"""Of what was learnt, in the candidates, as they are judged one after the other; the rest is general."""
SNAPSHOTS = {1 / 3: "third", 2 / 3: "two thirds"}
"""Of the time of learning: what was learnt by then is among the candidates, too. With words for it."""
SNAPSHOT_SHARES = (1.0, 0.5)
FEWEST_CANDIDATES = 2
"""Are judged, whatever time that takes."""
INTERIM_SHARE = 1 / 3
"""Of the scenes, while learning goes on."""
_POOLED_CLIPS = 12
_DOUBT = 0.5
_SUPPRESSION_WORTH = 0.2
_LOSS_WEIGHT = 2.0
LEAST_SCORE_DB = 0.1
_AT_ONCE = 3


class Voices(NamedTuple):
    """Who is beside the voice, what else sounds, and where: none of it is learnt from."""

    speech: Bank
    similar: NDArray[np.intp]
    """Tracks of ``speech``, the nearest first."""
    noise: Bank
    rooms: Rooms


@dataclass(frozen=True)
class Row:
    """A kind of scene."""

    name: str
    clips: int
    wanted: bool = True
    """Whether the voice is in it."""
    beside: str | None = None
    """Who else talks: SIMILAR, OTHER or NAMED; both of the first two in turn where the voice is not wanted."""
    snr_db: float | None = _LIGHT_SNR_DB
    """None: no noise, and of the room no more than the reference keeps."""
    half_band: bool = False
    far: bool = False
    """From the reading: another microphone, another room, another day."""


ROWS = (
    Row(SIMILAR, 18, beside=SIMILAR),
    Row(OTHER, 12, beside=OTHER),
    Row(NAMED, 9, beside=NAMED),
    Row(ALONE, 12, wanted=False, beside=SIMILAR),
    Row(NOISE, 15, snr_db=_NOISE_SNR_DB),
    Row(CLEAN, 9, snr_db=None),
    Row(HALF_BAND, 9, beside=SIMILAR, half_band=True),
    Row(MICROPHONE, 18, beside=SIMILAR, far=True),
)


@dataclass(frozen=True)
class Scenes:
    """What is heard, and what is wanted of it."""

    rows: list[str]
    """(clip,)"""
    mixtures: Tensor
    """(clip, sample)"""
    references: Tensor
    """(clip, sample); zeros where the voice is absent."""

    def some(self, share: float) -> Scenes:
        """So much of each row."""
        step = max(1, round(1 / share))
        chosen = [i for i in range(len(self.rows)) if i % step == 0]
        return Scenes([self.rows[i] for i in chosen], self.mixtures[chosen], self.references[chosen])


def draw_scenes(
    held: Sequence[Samples], voices: Voices, named: Sequence[Samples] = (), share: float = 1.0
) -> Scenes:
    """The scenes of one reading: the same at every call.

    ``held``: recordings of the voice that are held out, (sample,) each. ``named``: the same of those who share its
    room. ``share``: of the clips of each row, where there is little time; three at least.
    """
    maker = _SceneMaker(held, voices, named)
    drawn = [
        (row.name, *maker.clip(row, number))
        for row in ROWS
        if named or row.beside != NAMED
        for number in range(max(_LEAST_CLIPS, round(share * row.clips)))
    ]
    names, mixtures, references = zip(*drawn, strict=True)
    return Scenes(list(names), torch.stack(mixtures), torch.stack(references))


class _SceneMaker:
    """Draws clips one after the other."""

    def __init__(self, held: Sequence[Samples], voices: Voices, named: Sequence[Samples]):
        self.held, self.voices, self.named = held, voices, named
        self.random = np.random.default_rng(0)
        longest = max(map(len, held)) / max(_FAR_SPEEDS)
        self.length = min(round(CLIP_S * SAMPLE_RATE_HZ), int(longest)) // HOP_SAMPLES * HOP_SAMPLES
        tracks = np.arange(len(voices.speech.tracks))
        self.similar = voices.similar[: min(_SIMILAR_VOICES, len(tracks))]
        rest = np.setdiff1d(tracks, self.similar)
        self.other = self.random.permutation(rest if len(rest) else tracks)

    def clip(self, row: Row, number: int) -> tuple[Tensor, Tensor]:
        """Mixture and reference, (sample,) each."""
        room = int(self.random.integers(len(self.voices.rooms.responses)))
        in_room = row.far or number % 2 == 1
        mixture = reference = torch.zeros(self.length)
        if row.wanted:
            speeds = _FAR_SPEEDS if row.far else _SPEEDS
            said = self._cut(self.held[number % len(self.held)], speeds[number % len(speeds)])
            mixture, reference = self._heard(said, room, 0) if in_room else (said, said)
        if row.snr_db is None:
            mixture = reference
        if row.beside is not None:
            other = self._other(row, number)
            if in_room:
                other, _ = self._heard(other, room, 1 + number % (POSITIONS - 1))
            sir_db = _SIRS_DB[number % len(_SIRS_DB)] if row.wanted else 0.0
            mixture = mixture + other * 10 ** (-sir_db / 20)
        if row.snr_db is not None:
            mixture = mixture + self._noise() * 10 ** (-row.snr_db / 20)
        # Of clean speech the question is not whether another microphone is known: other rows ask that.
        return self._recorded(row, torch.stack([mixture, reference]), in_room and row.name != CLEAN)

    def _recorded(self, row: Row, both: Tensor, equalised: bool) -> tuple[Tensor, Tensor]:
        """Mixture and reference through a microphone, at some level."""
        if equalised:
            spread_db = _FAR_EQUALISER_DB if row.far else _EQUALISER_DB
            both = convolve(both, random_equaliser(self.random, 1, spread_db).expand(2, -1))
        if row.half_band:
            both = torch.stack([_half_band(sound) for sound in both])
        level = 10 ** (self.random.uniform(*_LEVELS_DBFS) / 20)
        both = both * (level / both[0].square().mean().sqrt().clamp_min(1e-5))
        both = both / both.abs().max().clamp_min(1.0)
        return both[0], both[1]

    def _cut(self, recording: Samples, speed: float = 1.0) -> Tensor:
        """The loudest of some windows, at unit active level: (sample,)."""
        if speed != 1:
            recording = soxr.resample(recording, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
        most = max(len(recording) - self.length, 0)
        starts = (self.random.random(_CANDIDATE_WINDOWS) * most).astype(int)
        return self._loudest([np.resize(recording[start:], self.length) for start in starts])

    def _other(self, row: Row, number: int) -> Tensor:
        if row.beside == NAMED:
            return self._cut(self.named[number % len(self.named)])
        similar = row.beside == SIMILAR and (row.wanted or number % 2 == 0)
        tracks = self.similar if similar else self.other
        track = int(tracks[number % len(tracks)])
        starts = self.random.integers(self.voices.speech.tracks[track].length, size=_CANDIDATE_WINDOWS)
        clips = self.voices.speech.cut([track] * _CANDIDATE_WINDOWS, starts, self.length)
        return self._loudest(list(clips.cpu().numpy()))

    def _loudest(self, windows: list[Samples]) -> Tensor:
        best = max(windows, key=lambda window: float(np.square(window).mean()))
        return torch.from_numpy((best / active_level(best)).astype(np.float32))

    def _noise(self) -> Tensor:
        """At unit power: (sample,)."""
        bank = self.voices.noise
        track = int(self.random.integers(len(bank.tracks)))
        start = int(self.random.integers(bank.tracks[track].length))
        noise = bank.cut([track], [start], self.length)[0].cpu()
        return noise / noise.square().mean().sqrt().clamp_min(1e-3)

    def _heard(self, sound: Tensor, room: int, position: int) -> tuple[Tensor, Tensor]:
        """In a room, and what of that the reference keeps: (sample,) each."""
        response = self.voices.rooms.responses[room, position].cpu()[None]
        return convolve(sound[None], response)[0], convolve(sound[None], response[:, :EARLY_SAMPLES])[0]


def _half_band(sound: Tensor) -> Tensor:
    """What 8 kHz carry of it, as telephones do."""
    carried = soxr.resample(sound.numpy(), SAMPLE_RATE_HZ, SAMPLE_RATE_HZ // 2)
    return torch.from_numpy(
        np.resize(soxr.resample(carried, SAMPLE_RATE_HZ // 2, SAMPLE_RATE_HZ), len(sound))
    )


def measure(network: Network, profile: Tensor, scenes: Scenes) -> Scores:
    """SI-SDR gain in dB of the rows with the voice, suppression in dB of the one without, level change in dB and lost
    frames (TSOS) in % of clean speech. ``profile``: (embedding,).
    """

    def measured(start: int) -> list[dict[str, float]]:
        some = slice(start, start + _AT_ONCE)
        heard = scenes.mixtures[some]
        outputs = enhance(network, heard, profile.expand(len(heard), -1)).numpy()
        sounds = zip(scenes.rows[some], heard.numpy(), scenes.references[some].numpy(), outputs, strict=True)
        return [_measured(*clip) for clip in sounds]

    values: dict[str, list[float]] = {}
    for clips in in_threads(measured, range(0, len(scenes.rows), _AT_ONCE)):
        for clip in clips:
            for row, value in clip.items():
                # A metric is not defined of silence, or of what is not finite: nothing is worse.
                values.setdefault(row, []).append(value if math.isfinite(value) else -CEILING_DB)
    return {row: np.array(of_clips) for row, of_clips in values.items()}


def in_threads(work: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
    """``work`` of each item, in as many threads as PyTorch has here: threads inside every small operation would wait
    for each other wherever something else runs on one of their cores.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=_start_thread) as pool:
        made = list(pool.map(work, items))
    torch.set_num_threads(threads)
    return made


def _start_thread() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # each thread for itself


def _measured(name: str, mixture: Samples, reference: Samples, output: Samples) -> dict[str, float]:
    if name == CLEAN:
        lost = 100 * over_suppression(reference, output).share
        return {LEVEL: level_change_db(reference, output), LOST: -lost}
    if name == ALONE:
        return {name: min(suppression_db(mixture, output), _MOST_SUPPRESSION_DB)}
    return {name: si_sdr(reference, output) - si_sdr(reference, mixture)}


GAINS = (SIMILAR, OTHER, NAMED, NOISE, HALF_BAND, MICROPHONE)
"""Rows whose metric is a gain in SI-SDR."""
_TWO_TALKERS = (SIMILAR, OTHER, HALF_BAND, MICROPHONE)
MOST_LOSS_DB = 0.2
MOST_LOST_FRAMES = 0.5
"""In %."""


def changes(general: Scores, candidate: Scores) -> dict[str, float]:
    """By row: how much better the candidate is than the general weights, a mean over the clips."""
    return {row: float(np.mean(candidate[row] - values)) for row, values in general.items()}


def is_admissible(general: Scores, candidate: Scores) -> bool:
    """Whether no row is worse than it may be; see the module's docstring."""
    differences = {row: candidate[row] - values for row, values in general.items()}
    pooled = float(np.mean(np.concatenate([differences[row] for row in _TWO_TALKERS if row in differences])))
    for row, values in differences.items():
        change = float(values.mean())
        if row in _TWO_TALKERS:
            change = (len(values) * change + _POOLED_CLIPS * pooled) / (len(values) + _POOLED_CLIPS)
        doubt = _DOUBT * float(values.std()) / len(values) ** 0.5
        if change + doubt < -(MOST_LOST_FRAMES if row == LOST else MOST_LOSS_DB):
            return False
    return True


def mean_gain_db(general: Scores, candidate: Scores) -> float:
    """What is gained over the general weights, a mean over the rows whose metric is a gain."""
    of_rows = changes(general, candidate)
    return float(np.mean([of_rows[row] for row in GAINS if row in of_rows]))


def score_db(general: Scores, candidate: Scores) -> float:
    """What admissible candidates are compared by; see the module's docstring."""
    of_rows = changes(general, candidate)
    worth = [of_rows[row] for row in GAINS if row in of_rows] + [_SUPPRESSION_WORTH * of_rows[ALONE]]
    return float(np.mean([_LOSS_WEIGHT * gain if gain < 0 else gain for gain in worth]))


class Moment(NamedTuple):
    """What was learnt by some time."""

    network: Network
    time_share: float = 1.0
    """Of the time of learning."""


@dataclass(frozen=True)
class Proposal:
    """Weights between the general ones and those learnt."""

    learnt: Moment
    share: float
    """Of what was learnt."""
    earlier: bool = False
    """What was learnt before this time."""


@dataclass(frozen=True)
class Candidate:
    """Weights, and what they score."""

    proposal: Proposal
    network: Network
    scores: Scores

    def about(self) -> dict[str, Any]:
        """What they are: plain values."""
        proposal = self.proposal
        return {
            "share": proposal.share,
            "time_share": round(proposal.learnt.time_share, 3),
            "earlier": proposal.earlier,
        }


@dataclass(frozen=True)
class Verdict:
    """Which weights are kept."""

    general: Scores
    ranked: list[Candidate]
    """Those that are better, the best first."""
    candidates: list[Candidate]
    """All that were judged."""

    @property
    def chosen(self) -> Candidate | None:
        """What is kept; None: the general weights."""
        return self.ranked[0] if self.ranked else None

    def without_best(self) -> Verdict:
        """What is kept if the best can't be used."""
        return replace(self, ranked=self.ranked[1:])

    @property
    def network(self) -> Network | None:
        """Of the weights that are kept; None: the general ones."""
        return None if self.chosen is None else self.chosen.network

    def scores(self) -> dict[str, Any]:
        """Means of each row, general and kept, and which candidates there were: plain values."""
        kept = self.general if self.chosen is None else self.chosen.scores
        return {
            "share": 0.0 if self.chosen is None else self.chosen.proposal.share,
            "rows": {
                row: {"general": _mean(values), "kept": _mean(kept[row]), "clips": len(values)}
                for row, values in self.general.items()
            },
            "candidates": [
                {
                    **candidate.about(),
                    "admissible": is_admissible(self.general, candidate.scores),
                    "score_db": round(score_db(self.general, candidate.scores), 3),
                }
                for candidate in self.candidates
            ],
        }

    def sentences(self) -> list[str]:
        """Three lines for a person."""
        if self.chosen is None:
            if not self.candidates:
                why = "it ended before anything was learnt"
            else:
                why = "on held-out pieces of the reading nothing that was learnt was better"
            return [
                f"The general weights are kept: {why}.",
                f"Beside similar voices they gain {_mean(self.general[SIMILAR])} dB, in noise "
                f"{_mean(self.general[NOISE])} dB.",
                "A longer reading, more minutes or a quieter room may help.",
            ]
        kept = self.chosen.scores
        first = NAMED if NAMED in kept else SIMILAR
        who = "the one you named" if first == NAMED else "similar voices"
        proposal = self.chosen.proposal
        share = "all" if proposal.share == 1 else f"{proposal.share:.0%}"
        part = SNAPSHOTS.get(proposal.learnt.time_share)
        by_then = f" in the first {part} of the time" if part else ""
        return [
            f"Beside {who} your voice gains {_mean(kept[first])} dB, with the general weights "
            f"{_mean(self.general[first])} dB.",
            f"When only others talk, they are {_mean(kept[ALONE])} dB fainter, with the general weights "
            f"{_mean(self.general[ALONE])} dB.",
            f"In noise it gains {_mean(kept[NOISE])} dB, with the general weights {_mean(self.general[NOISE])} dB; "
            f"{share} of what was learnt{by_then} is kept.",
        ]


class Judge:
    """Of one reading: the ``general`` weights against what is learnt. ``profile``: (embedding,)."""

    def __init__(self, general: Network, profile: Tensor, scenes: Scenes):
        self._network, self._profile, self._scenes = general, profile, scenes
        self.clip_s = 0.0
        """What a clip took the last time: on a busy machine more."""
        self.general = self._measure(general, scenes)
        self._some: tuple[Scenes, Scores] | None = None

    @property
    def judging_s(self) -> float:
        """What judging a candidate takes, as far as that is known."""
        return self.clip_s * len(self._scenes.rows)

    def interim_gain_db(self, network: Network) -> float:
        """What it has gained so far, by a part of the scenes."""
        if self._some is None:
            some = self._scenes.some(INTERIM_SHARE)
            self._some = some, self._measure(self._network, some)
        some, general = self._some
        return mean_gain_db(general, self._measure(network, some))

    def choose(
        self,
        learnt: Sequence[Moment],
        earlier: Network | None = None,
        left_s: Callable[[], float] = lambda: math.inf,
    ) -> Verdict:
        """The best of what was ``learnt``, of means of that and the general weights, of what was learnt ``earlier``,
        and of the general weights, by the rule of this module.

        ``learnt``: the latest last; empty where there was no time. ``left_s``: how many seconds judging may still take.
        FEWEST_CANDIDATES are judged in any case, the others as long as there is time.
        """
        candidates: list[Candidate] = []
        for proposal in _proposals(learnt, earlier):
            if len(candidates) >= FEWEST_CANDIDATES and left_s() < self.judging_s:
                break
            candidates.append(self._candidate(proposal))
        better = [
            candidate
            for candidate in candidates
            if is_admissible(self.general, candidate.scores)
            and score_db(self.general, candidate.scores) >= LEAST_SCORE_DB
        ]
        better.sort(key=lambda candidate: score_db(self.general, candidate.scores), reverse=True)
        return Verdict(self.general, better, candidates)

    def _candidate(self, proposal: Proposal) -> Candidate:
        network = proposal.learnt.network
        if proposal.share != 1:
            network = mean(self._network, copy.deepcopy(network), proposal.share)
        return Candidate(proposal, network, self._measure(network, self._scenes))

    def _measure(self, network: Network, scenes: Scenes) -> Scores:
        began_s = time.monotonic()
        scores = measure(network, self._profile, scenes)
        self.clip_s = (time.monotonic() - began_s) / len(scenes.rows)
        return scores


def _proposals(learnt: Sequence[Moment], earlier: Network | None) -> Iterator[Proposal]:
    """What is judged, in this order: what an earlier time has learnt is not given away for what is not better."""
    if earlier is not None:
        yield Proposal(Moment(earlier), 1.0, earlier=True)
    if learnt:
        for share in SHARES:
            yield Proposal(learnt[-1], share)
    for share in SNAPSHOT_SHARES:
        for moment in reversed(learnt[:-1]):
            yield Proposal(moment, share)


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), 1)
