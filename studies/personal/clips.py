"""What is asked of a network about one voice: clips of its other recordings, and what comes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.metrics.signal import (
    SAMPLE_RATE_HZ,
    is_wrong_talker,
    level_change_db,
    onset_loss,
    over_suppression,
    si_sdr,
    suppression_db,
)
from evaluation.sets.builder import SetBuilder
from evaluation.sets.corpus import Talker
from evaluation.sets.render import NARROW_BAND, Clip, render, through_device
from evaluation.sets.scene import Scene

SIRS_DB, LIGHT_SNR_DB, NOISE_SNR_DB = (-5.0, 0.0, 5.0), 20.0, 5.0
OTHER_MICROPHONE = "telephone"
LATE_S, LATE_SIR_DB = 5.0, 5.0
SAME, CROSS, NEAREST = "same sex", "cross sex", "most similar voice"
MICROPHONE, HALF = "same sex, other microphone", "same sex, half of the band"
NOISE, ALONE, LATE = "noise at 5 dB", "alone", "after others"
ABSENT, NEAREST_ABSENT = "others alone", "most similar voice alone"
WORST, WRONG = "others alone, worst tenth", "wrong talker heard"
LEVEL, LOST, ONSET = "alone, level", "alone, frames lost", "first second after others, frames lost"

Samples = np.ndarray
Enhance = Callable[[Sequence[Samples]], list[Samples]]
"""Mixtures -> what a network makes of each with the profile of the voice, aligned."""
Scores = Mapping[str, Sequence[float]]
"""By name of a score, a value a clip."""


@dataclass(frozen=True)
class Row:
    """A score as tables show it: of one voice, over its clips."""

    unit: str
    of: str
    """The score in the results file."""
    better: int = 1
    """Of which sign a gain is."""
    reduce: Callable[[Sequence[float]], float] = lambda values: float(np.mean(values))

    def worst(self, gains: Sequence[float]) -> float:
        """The gain that is least welcome."""
        return self.better * min(self.better * gain for gain in gains)


def _lowest_tenth(values: Sequence[float]) -> float:
    return float(np.percentile(values, 10))


ROWS = {
    **{name: Row("SI-SDR gain, dB", name) for name in (SAME, MICROPHONE, HALF, CROSS, NEAREST)},
    ABSENT: Row("suppression, dB", ABSENT),
    WORST: Row("suppression, dB", ABSENT, reduce=_lowest_tenth),
    NEAREST_ABSENT: Row("suppression, dB", NEAREST_ABSENT),
    NOISE: Row("SI-SDR gain, dB", NOISE),
    LEVEL: Row("dB", LEVEL),
    LOST: Row("TSOS, %", LOST, -1),
    WRONG: Row("% of clips", WRONG, -1),
    ONSET: Row("% of its frames", ONSET, -1),
}


@dataclass(frozen=True)
class Trial:
    """A clip, and what is asked about it."""

    condition: str
    mixture: Samples
    reference: Samples | None = None
    interference: Samples | None = None
    """The others as they sound in it, where it is asked who comes through."""


def trials_of(talker: Talker, build: SetBuilder, nearest: Talker, clips: int) -> list[Trial]:
    """So many clips of each condition, the same at every call. ``nearest``: the one that is most like ``talker``."""
    return [trial for number in range(clips) for trial in _trials(talker, build, nearest, number)]


def _trials(talker: Talker, build: SetBuilder, nearest: Talker, number: int) -> Iterator[Trial]:
    sir_db = SIRS_DB[number % len(SIRS_DB)]
    for condition in (SAME, CROSS, NEAREST):
        other = nearest
        if condition != NEAREST:
            other = build.other_talker(talker, sex=talker.sex, like=condition == SAME)
        scene = build.talkers_scene(build.scene({}, ()), talker, [other], noisy=True, room=False)
        clip = _rendered(build, build.balance(scene, sir_db, LIGHT_SNR_DB))
        yield Trial(condition, clip.mixture, clip.reference, clip.interference)
        if condition == SAME and clip.reference is not None:
            for changed, device in ((MICROPHONE, OTHER_MICROPHONE), (HALF, NARROW_BAND)):
                heard = (through_device(sound, device) for sound in (clip.mixture, clip.reference))
                yield Trial(changed, *heard)
        if condition == NEAREST or number % 2 == (condition == CROSS):
            alone = build.balance(replace(scene, target=None), snr_db=LIGHT_SNR_DB)
            absent = NEAREST_ABSENT if condition == NEAREST else ABSENT
            yield Trial(absent, _rendered(build, alone).mixture)
    noisy = build.talkers_scene(build.scene({}, ()), talker, [], noisy=True, room=False)
    clip = _rendered(build, build.balance(noisy, snr_db=NOISE_SNR_DB))
    yield Trial(NOISE, clip.mixture, clip.reference)
    if clip.reference is not None:
        yield Trial(ALONE, clip.reference, clip.reference)
    yield _late(talker, build, like=number % 2 == 0)


def _late(talker: Talker, build: SetBuilder, like: bool) -> Trial:
    """Somebody else talks all the time; the voice comes in half way."""
    other = build.other_talker(talker, sex=talker.sex, like=like)
    scene = build.talkers_scene(build.scene({}, (), 2 * LATE_S), talker, [other], noisy=False, room=False)
    scene = replace(scene, target=build.voice(talker, LATE_S, LATE_S))
    clip = _rendered(build, build.balance(scene, LATE_SIR_DB))
    return Trial(LATE, clip.mixture, clip.reference)


def _rendered(build: SetBuilder, scene: Scene) -> Clip:
    return render(scene, build.root)


def score(enhance: Enhance, trials: Sequence[Trial]) -> dict[str, list[float]]:
    """By name of a score: a value for each clip that has it."""
    scores: dict[str, list[float]] = {}
    outputs = enhance([trial.mixture for trial in trials])
    for trial, output in zip(trials, outputs, strict=True):
        for name, value in _of(trial, output):
            scores.setdefault(name, []).append(round(float(value), 2))
    return scores


def _of(trial: Trial, output: Samples) -> Iterator[tuple[str, float]]:
    reference, mixture = trial.reference, trial.mixture
    if reference is None:
        yield trial.condition, suppression_db(mixture, output)
    elif trial.condition == ALONE:
        yield LEVEL, level_change_db(reference, output)
        yield LOST, 100 * over_suppression(reference, output).share
    elif trial.condition == LATE:
        late = slice(round(LATE_S * SAMPLE_RATE_HZ), None)
        yield ONSET, 100 * onset_loss(reference[late], output[late])
    else:
        yield trial.condition, si_sdr(reference, output) - si_sdr(reference, mixture)
        if trial.condition in (SAME, CROSS) and trial.interference is not None:
            yield WRONG, 100 * is_wrong_talker(reference, trial.interference, output)
