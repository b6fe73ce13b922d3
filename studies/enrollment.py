"""``python -m studies enrollment``: what `edge_pse.enrollment.verification` rests on, measured on the dev speakers.

Each speaker has a reference and enrolls from other recordings: briefly and for longer, in noise, through another
microphone, and with another talker taking over half way. An enrollment tells a voice apart if its embedding is nearer
to the reference of its own speaker than to that of the other; trust is the share of the voices that it tells apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from edge_pse.enrollment import verification
from edge_pse.enrollment.features import FeatureCollector
from edge_pse.enrollment.verification import FAIR_TRUST, GOOD_TRUST, trust_features
from edge_pse.model import Model
from edge_pse.voice_space import VoiceSpace
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.report.markdown import table
from evaluation.sets.corpus import NoiseSource, Talker, read_noises, read_talkers, take
from evaluation.sets.render import DEVICES, render_enrollment
from evaluation.sets.scene import Enrollment, Noise
from studies import options

REFERENCE_SECONDS = 8.0
CLEAN_SECONDS = (3, 6, 10)
SHORT_SECONDS = 6.0
OWN_SECONDS, OTHER_SECONDS = 4.0, 4.0
SNR_DB = (0.0, 5.0, 10.0, 15.0)
LISTEN_SECONDS = 0.5
REFERENCE, MICROPHONE, INTRUDER = "reference", "another microphone", "another talker from the middle"
_CLEAN = [f"clean, {seconds} s" for seconds in CLEAN_SECONDS]
_NOISE = [f"noise, {snr_db:.0f} dB" for snr_db in SNR_DB]
_CONDITIONS = [*_CLEAN, *_NOISE, MICROPHONE, INTRUDER]

FALSE_MATCHES, FALSE_REFUSALS, FALSE_ALARMS = 0.05, 0.02, 0.05
"""What the thresholds allow: of other speakers, of the same one, of enrollments by one voice."""
RIDGE = 0.001


@dataclass(frozen=True)
class Trial:
    """One enrollment of one speaker."""

    speaker: int
    condition: str
    embedding: NDArray[np.float32]
    speech_seconds: float
    snr_db: float
    agreement: float | None
    continuity: float
    """The least so far, see ``FeatureCollector.continuity``; infinite if it was never known."""


def _snapshot(collector: FeatureCollector, speaker: int, condition: str, continuity: float) -> Trial:
    report = collector.report(clipped_share=0.0)
    seconds, snr_db = report.speech_seconds, report.snr_db
    return Trial(
        speaker,
        condition,
        collector.embedding(collector.voice()),
        seconds,
        snr_db,
        collector.agreement(),
        continuity,
    )


def _listen(
    model: Model, samples: NDArray[np.float32], speaker: int, stops: Sequence[tuple[float, str]]
) -> Iterator[Trial]:
    """What is known of an enrollment at each of ``stops``, (seconds, condition)."""
    collector = FeatureCollector(model, half_band=False)
    step = round(LISTEN_SECONDS * SAMPLE_RATE_HZ)
    least = np.inf
    waiting = list(stops)
    for start in range(0, samples.size, step):
        collector.add(samples[start : start + step])
        continuity = collector.continuity()
        least = min(least, np.inf if continuity is None else continuity)
        at_end = start + step >= samples.size
        while waiting and (collector.seconds >= waiting[0][0] or at_end):
            yield _snapshot(collector, speaker, waiting.pop(0)[1], least)


def _noisy(root: Path, enrollment: Enrollment, noise: NoiseSource, snr_db: float) -> NDArray[np.float32]:
    clean = render_enrollment(root, enrollment)
    alone = render_enrollment(root, replace(enrollment, noise=Noise(noise.segment, 0.0))) - clean
    power = max(float(np.mean(alone**2)), 1e-12)
    gain = np.sqrt(float(np.mean(clean**2)) / power) * 10 ** (-snr_db / 20)
    return clean + np.float32(gain) * alone


def _trials_of(
    root: Path, model: Model, talkers: list[Talker], noises: list[NoiseSource], index: int
) -> Iterator[Trial]:
    """All enrollments of one speaker, the reference first."""
    talker, other = talkers[index], talkers[(index + len(talkers) // 2) % len(talkers)]
    reference = Enrollment(talker.speaker, take(talker.mixing, REFERENCE_SECONDS))
    yield from _listen(model, render_enrollment(root, reference), index, [(np.inf, REFERENCE)])

    whole = Enrollment(talker.speaker, take(talker.enrollment, CLEAN_SECONDS[-1]))
    stops = list(zip(map(float, CLEAN_SECONDS), _CLEAN, strict=True))
    yield from _listen(model, render_enrollment(root, whole), index, stops)

    short = replace(whole, segments=take(talker.enrollment, SHORT_SECONDS))
    snr_db, noise = SNR_DB[index % len(SNR_DB)], noises[index % len(noises)]
    condition = [(np.inf, _NOISE[index % len(_NOISE)])]
    yield from _listen(model, _noisy(root, short, noise, snr_db), index, condition)

    device = list(DEVICES)[index % len(DEVICES)]
    microphone = replace(short, device=device)
    yield from _listen(model, render_enrollment(root, microphone), index, [(np.inf, MICROPHONE)])

    own = render_enrollment(root, replace(whole, segments=take(talker.enrollment, OWN_SECONDS)))
    intruder = render_enrollment(root, Enrollment("", take(other.enrollment, OTHER_SECONDS)))
    level = np.sqrt(np.mean(own**2) / np.mean(intruder**2))
    both = np.concatenate([own, np.float32(level) * intruder])
    yield from _listen(model, both, index, [(np.inf, INTRUDER)])


class Calibration:
    """The trials, and the constants that they give."""

    def __init__(self, trials: Sequence[Trial], space: VoiceSpace):
        self._space = space
        self.references = {trial.speaker: trial.embedding for trial in trials if trial.condition == REFERENCE}
        self.trials = [trial for trial in trials if trial.condition != REFERENCE]
        self.clean = [trial for trial in self.trials if trial.condition == _CLEAN[-1]]
        compared = [trial for trial in self.trials if trial.condition in (*_CLEAN[1:], MICROPHONE)]
        self.genuine = np.array([self.similarity(trial, trial.speaker) for trial in compared])
        self.impostors = np.array(
            [
                self.similarity(trial, other)
                for trial in compared
                for other in self.references
                if other != trial.speaker
            ]
        )
        limits = np.quantile(self.impostors, 1 - FALSE_MATCHES), np.quantile(self.genuine, FALSE_REFUSALS)
        self.no_match_cosine, self.match_cosine = (float(round(limit, 3)) for limit in sorted(limits))
        alarms = np.quantile([trial.continuity for trial in self.clean], FALSE_ALARMS, method="lower")
        self.other_voice_cosine = float(round(float(alarms), 3))
        self.usable = [
            trial for trial in self.trials if trial.agreement is not None and np.isfinite(trial.snr_db)
        ]
        self._features = np.array([_features(trial) for trial in self.usable])
        self._apart = np.array([self.told_apart(trial) for trial in self.usable])
        self.trust_weights = tuple(float(w) for w in _fit(self._features, self._apart).round(3))
        self.trust = 1 / (1 + np.exp(-self._features @ np.array(self.trust_weights)))

    def similarity(self, trial: Trial, speaker: int) -> float:
        """Cosine with the reference of a speaker."""
        return self._space.cosine(trial.embedding, self.references[speaker])

    def told_apart(self, trial: Trial) -> float:
        """Share of the other speakers whose reference is farther away than the own one."""
        own = self.similarity(trial, trial.speaker)
        return float(
            np.mean([self.similarity(trial, s) < own for s in self.references if s != trial.speaker])
        )

    def conditions(self) -> str:
        """A row for each kind of enrollment."""
        groups: dict[str, list[Trial]] = defaultdict(list)
        for trial in self.trials:
            groups[trial.condition].append(trial)
        trusted = {id(trial): value for trial, value in zip(self.usable, self.trust, strict=True)}
        rows = []
        for condition in sorted(groups, key=_CONDITIONS.index):
            group = groups[condition]
            known = [trial.agreement for trial in group if trial.agreement is not None]
            trusts = [trusted[id(trial)] for trial in group if id(trial) in trusted]
            rows.append(
                [
                    condition,
                    str(len(group)),
                    f"{np.mean([trial.speech_seconds for trial in group]):.1f}",
                    f"{np.median([trial.snr_db for trial in group]):.0f}",
                    _mean(known),
                    _mean([self.similarity(trial, trial.speaker) for trial in group]),
                    f"{np.mean([self.told_apart(trial) for trial in group]):.1%}",
                    f"{np.mean([self.told_apart(trial) == 1 for trial in group]):.0%}",
                    f"{np.mean(trusts):.1%}" if trusts else "-",
                    f"{np.mean([trial.continuity < self.other_voice_cosine for trial in group]):.0%}",
                ]
            )
        headings = ["enrollment", "n", "speech, s", "SNR, dB", "agreement", "cosine with the reference"]
        return table([*headings, "told apart", "from all", "trust", "another voice heard"], rows)

    def trust_table(self) -> str:
        """Whether trust keeps its promise: enrollments by what it says of them."""
        rows = []
        for low, high in pairwise((0.0, 0.5, 0.7, FAIR_TRUST, GOOD_TRUST, 1.0)):
            inside = (self.trust >= low) & (self.trust < high)
            if inside.any():
                means = f"{self.trust[inside].mean():.1%}", f"{self._apart[inside].mean():.1%}"
                rows.append([f"{low} to {high}", str(int(inside.sum())), *means])
        return table(["trust", "n", "mean", "told apart"], rows)

    def verification_table(self) -> str:
        """How often each answer is given."""
        rows = []
        for who, scores in (("the same speaker", self.genuine), ("another speaker", self.impostors)):
            matched, refused = scores >= self.match_cosine, scores < self.no_match_cosine
            shares = matched.mean(), 1 - matched.mean() - refused.mean(), refused.mean()
            quantiles = " ".join(f"{value:.2f}" for value in np.quantile(scores, (0.02, 0.5, 0.98)))
            rows.append([who, str(scores.size), quantiles, *(f"{share:.1%}" for share in shares)])
        return table(
            ["recording of", "n", "cosine: 2 %, median, 98 %", "match", "doubtful", "no match"], rows
        )

    def constants(self) -> str:
        """Lines of edge_pse/enrollment/verification.py."""
        return "\n".join(
            [
                f"MATCH_COSINE = {self.match_cosine}",
                f"NO_MATCH_COSINE = {self.no_match_cosine}",
                f"OTHER_VOICE_COSINE = {self.other_voice_cosine}",
                f"TRUST_WEIGHTS = {self.trust_weights}",
            ]
        )


def _features(trial: Trial) -> NDArray[np.float64]:
    assert trial.agreement is not None
    return trust_features(trial.agreement, trial.snr_db, trial.speech_seconds)


def _fit(features: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic regression in which nothing good can lower the trust: all weights but the first are >= 0."""

    def loss(weights: NDArray[np.float64]) -> float:
        logits = features @ weights
        return float(
            np.mean(np.logaddexp(0, logits) - shares * logits) + RIDGE * weights[1:] @ weights[1:] / 2
        )

    bounds = [(None, None), *[(0.0, None)] * (features.shape[1] - 1)]
    return np.asarray(minimize(loss, np.zeros(features.shape[1]), method="L-BFGS-B", bounds=bounds).x)


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f}" if len(values) else "-"


def with_constants(source: str, constants: str) -> str:
    """The source of `edge_pse.enrollment.verification` with other constants, a line each. Raises ValueError where it
    has not all of them.
    """
    for line in constants.splitlines():
        name = line.partition(" = ")[0]
        source, count = re.subn(rf"^{name} = .*$", line, source, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"There is no {name} in the source.")
    return source


@click.command()
@options.model
@options.backend
@options.data
@click.option("--write", is_flag=True, help="Put the constants into edge_pse/enrollment/verification.py.")
def main(model_name: str, backend: str, root: Path, write: bool) -> None:
    """Calibrate verification and trust on the dev speakers: a minute or two of one core."""
    talkers = read_talkers(root)
    noises = [noise for noise in read_noises(root) if not noise.babble]
    model = Model.load(model_name, backend).profile_network()
    trials: list[Trial] = []
    for index in options.progress(range(len(talkers)), "speakers"):
        trials += _trials_of(root, model, talkers, noises, index)
    calibration = Calibration(trials, model.contract.voice_space)
    click.echo(f"{model.contract.profiles_of}, {len(talkers)} speakers\n\n{calibration.conditions()}\n")
    click.echo(f"{calibration.trust_table()}\n\n{calibration.verification_table()}\n")
    click.echo(f"For edge_pse/enrollment/verification.py:\n\n{calibration.constants()}")
    if write:
        source = Path(verification.__file__)
        source.write_text(with_constants(source.read_text("utf-8"), calibration.constants()), "utf-8")
