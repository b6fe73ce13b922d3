"""Whether a network that has learnt one voice is better than the general one, on what it did not learn from.

A part of the reading is held out, and some voices, noises and rooms are. Fixed scenes are made of them
(``personalisation.scenes``). Each candidate hears each scene, so that what differs is the candidate alone.

The rule. A candidate is admissible unless a row is worse than with the general weights: by more than 0.2 dB of gain,
suppression or level, by more than half a percent of lost frames, or by more than two percent of the first second after
others. A row has few clips, whose differences from the general weights vary; so half a standard error is in favour of
the candidate, and a row with two talkers that is measured in dB counts as if twelve clips more of it had the mean of
all such rows. In the first second after others the clips count that lose more than with the general weights: what is
heard in one of them does not make up for what is lost in another. Of those that are admissible the one with the best
score is kept: the mean over the rows of what is gained, a decibel of suppression for a fifth of one of gain, and losses
doubled. Where none scores 0.1 dB or more the general weights are kept.

Why means of both weights are candidates: what is learnt goes on to gain beside similar voices long after it has begun
to lose in noise, or where the voice is another day's. The gains grow with the share of what was learnt, the losses with
its square: half of it has half of the gains and a quarter of the losses. Where all of it is not admissible, the largest
share that is gets looked for by halving. For the same reason weights of earlier moments are candidates: as they were
after a third and after two thirds of the time of learning, and half of each. What the rule chose for eight voices, and
what that was worth on other recordings of them, is in ``docs/history.md``.

Where time is short the last of the candidates are not judged: see ``Judge.choose``.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.metrics.signal import (
    CEILING_DB,
    level_change_db,
    onset_loss,
    over_suppression,
    si_sdr,
    suppression_db,
)
from personalisation.scenes import (
    ALONE,
    CLEAN,
    HALF_BAND,
    LATE,
    LEVEL,
    LOST,
    MICROPHONE,
    NAMED,
    NOISE,
    OTHER,
    SIMILAR,
    Samples,
    Scenes,
)
from training.dev import enhance
from training.mean import mean
from training.network import Network

Item = TypeVar("Item")
Made = TypeVar("Made")
Scores = dict[str, NDArray[np.float64]]
"""By row: what its metric says of each clip, (clip,)."""

_MOST_SUPPRESSION_DB = 40.0
"""What is fainter nobody hears."""
SHARES = 4
"""How many shares of what was learnt are candidates; the rest of those weights is general."""
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


def measure(network: Network, profile: Tensor, scenes: Scenes) -> Scores:
    """SI-SDR gain in dB of the rows with the voice, suppression in dB of the one without, level change in dB and lost
    frames (TSOS) in % of clean speech, lost frames in % of the first second after others. What is lost has a minus.
    ``profile``: (embedding,).
    """

    def measured(some: slice) -> list[dict[str, float]]:
        heard = torch.stack(scenes.mixtures[some])
        outputs = enhance(network, heard, profile.expand(len(heard), -1)).numpy()
        references = [reference.numpy() for reference in scenes.references[some]]
        sounds = zip(scenes.rows[some], heard.numpy(), references, outputs, strict=True)
        return [_measured(*clip) for clip in sounds]

    values: dict[str, list[float]] = {}
    for clips in in_threads(measured, _of_one_length(scenes.mixtures)):
        for clip in clips:
            for row, value in clip.items():
                # A metric is not defined of silence, or of what is not finite: nothing is worse.
                values.setdefault(row, []).append(value if math.isfinite(value) else -CEILING_DB)
    return {row: np.array(of_clips) for row, of_clips in values.items()}


def _of_one_length(mixtures: Sequence[Tensor]) -> Iterator[slice]:
    """A few clips each."""
    start = 0
    while start < len(mixtures):
        end = start + 1
        while end - start < _AT_ONCE and end < len(mixtures) and len(mixtures[end]) == len(mixtures[start]):
            end += 1
        yield slice(start, end)
        start = end


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
    if name == LATE:
        return {name: -100 * onset_loss(reference, output)}
    return {name: si_sdr(reference, output) - si_sdr(reference, mixture)}


GAINS = (SIMILAR, OTHER, NAMED, NOISE, HALF_BAND, MICROPHONE)
"""Rows whose metric is a gain in SI-SDR."""
_TWO_TALKERS = (SIMILAR, OTHER, HALF_BAND, MICROPHONE)
MOST_LOSS_DB = 0.2
MOST_LOST_FRAMES, MOST_LOST_FIRST_SECOND = 0.5, 2.0
"""In %: of all frames, and of those of the first second, which are fewer."""


def changes(general: Scores, candidate: Scores) -> dict[str, float]:
    """By row: how much better the candidate is than the general weights, a mean over the clips."""
    return {row: float(np.mean(candidate[row] - values)) for row, values in general.items()}


def worse_rows(general: Scores, candidate: Scores) -> list[str]:
    """Rows that are worse than they may be; see the module's docstring."""
    differences = {row: candidate[row] - values for row, values in general.items()}
    pooled = float(np.mean(np.concatenate([differences[row] for row in _TWO_TALKERS if row in differences])))
    worse = []
    for row, values in differences.items():
        if row == LATE:
            values = np.minimum(values, 0.0)
        change = float(values.mean())
        if row in _TWO_TALKERS:
            change = (len(values) * change + _POOLED_CLIPS * pooled) / (len(values) + _POOLED_CLIPS)
        doubt = _DOUBT * float(values.std()) / len(values) ** 0.5
        if change + doubt < -_most_loss(row):
            worse.append(row)
    return worse


def _most_loss(row: str) -> float:
    """In the unit of the row."""
    return {LOST: MOST_LOST_FRAMES, LATE: MOST_LOST_FIRST_SECOND}.get(row, MOST_LOSS_DB)


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
                    "worse": worse_rows(self.general, candidate.scores),
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
            f"{_mean(self.general[ALONE])} dB; of your first second after them {-_mean(kept[LATE])} % is lost, with "
            f"the general weights {-_mean(self.general[LATE])} %.",
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
        for proposal in self._proposals(learnt, earlier, candidates):
            if len(candidates) >= FEWEST_CANDIDATES and left_s() < self.judging_s:
                break
            candidates.append(self._candidate(proposal))
        better = [
            candidate
            for candidate in candidates
            if not worse_rows(self.general, candidate.scores)
            and score_db(self.general, candidate.scores) >= LEAST_SCORE_DB
        ]
        better.sort(key=lambda candidate: score_db(self.general, candidate.scores), reverse=True)
        return Verdict(self.general, better, candidates)

    def _proposals(
        self, learnt: Sequence[Moment], earlier: Network | None, judged: Sequence[Candidate]
    ) -> Iterator[Proposal]:
        """What is to be judged, the most promising first: what an earlier time has learnt is not given away for what
        is not better. ``judged`` are those proposed so far.
        """
        if earlier is not None:
            yield Proposal(Moment(earlier), 1.0, earlier=True)
        if learnt:
            admissible: dict[float, bool] = {}
            while len(admissible) < SHARES:
                share = next_share(admissible)
                yield Proposal(learnt[-1], share)
                admissible[share] = not worse_rows(self.general, judged[-1].scores)
        for share in SNAPSHOT_SHARES:
            for moment in reversed(learnt[:-1]):
                yield Proposal(moment, share)

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


def next_share(admissible: Mapping[float, bool]) -> float:
    """Of what was learnt, to be judged next, after shares that were admissible or not; all of it is the first.

    The largest admissible one is looked for by halving. Where that is all of it, less may still score more.
    """
    if not admissible:
        return 1.0
    if admissible[1.0]:
        return 1 - len(admissible) / SHARES
    refused = 1.0
    for share in sorted(admissible, reverse=True):
        if admissible[share]:
            return (share + refused) / 2
        refused = share
    return refused / 2


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), 1)
