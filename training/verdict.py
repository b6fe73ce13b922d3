"""Whether weights are better than those before, by the scores of ``training.dev``: a rule, stated once.

Weights are **better** where no score is worse by more than its tolerance, and the mean of what all scores have gained
is LEAST_GAIN_DB or more. A decibel of suppression counts for a fifth of one of gain, and no more than 40 dB of it at
all, for what is fainter nobody hears; a percent of lost frames counts for a decibel, a percent of equal error rate for
a tenth of one, and a tenth of a point of PESQ for half of one. They are **harmless** where no score is worse by more
than its tolerance.

The quick set has few clips: the tolerance of suppression is wide, for it differs most between them, and that of the
equal error rate is a little more than the step from one pair of voices to the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

LEAST_GAIN_DB = 0.1
_MOST_SUPPRESSION_DB = 40.0


@dataclass(frozen=True)
class _Score:
    worth: float  # in decibels of gain; negative where less is better
    tolerance: float
    most: float = math.inf


_GAIN = _Score(1.0, 0.3)
_SUPPRESSION = _Score(0.2, 3.0, _MOST_SUPPRESSION_DB)
SCORES = {
    "same_sex_gain_right": _GAIN,
    "cross_sex_gain_right": _GAIN,
    "noise_gain_right": _GAIN,
    "noise_gain_none": _GAIN,
    "noise_pesq_right": _Score(5.0, 0.05),
    "interferer_suppression_mean": _SUPPRESSION,
    "clean_tsos": _Score(-100.0, 0.005),
    "eer": _Score(-10.0, 0.03),
    "echo_erle_real": _SUPPRESSION,
    "echo_erle_synthetic": _SUPPRESSION,
    "echo_double_talk_gain": _GAIN,
    "echo_near_end_gain": _GAIN,
}


@dataclass(frozen=True)
class Verdict:
    """How weights compare with those before."""

    gain_db: float  # the mean over all scores
    worse: tuple[str, ...]  # beyond their tolerances, in words

    @property
    def harmless(self) -> bool:
        """Whether nothing is worse."""
        return not self.worse

    @property
    def better(self) -> bool:
        """Whether they should take the place of those before."""
        return self.harmless and self.gain_db >= LEAST_GAIN_DB

    def __str__(self) -> str:
        worse = f"; worse: {', '.join(self.worse)}" if self.worse else ""
        return f"{self.gain_db:+.2f} dB on average{worse}"


def compare(before: Mapping[str, float], after: Mapping[str, float]) -> Verdict:
    """By the scores that there were before; what is no number any more is worse. Raises ValueError without any."""
    gains, worse = [], []
    for name, score in SCORES.items():
        old = before.get(name, math.nan)
        if math.isnan(old):
            continue
        new = after.get(name, math.nan)
        change = min(new, score.most) - min(old, score.most)
        if math.isnan(change) or math.copysign(1, score.worth) * change < -score.tolerance:
            worse.append(f"{name} {old:g} -> {new:g}")
        gains.append(score.worth * change)
    if not gains:
        raise ValueError("There are no scores to compare.")
    return Verdict(sum(gains) / len(gains), tuple(worse))
