"""Auto-enrollment on dev speakers: ``python -m studies auto-enrollment``.

Each of some speakers sits at a microphone for a minute: alone in two rooms, and with another one who talks in turn,
from farther away, across the end of each turn, or as loud and as much. What `edge_pse.enrollment.automatic` makes of
it is held against a profile of ten seconds of the speaker alone, by the cosine to a third, independent recording and by
SI-SDR on a mixture of the two talkers at 0 dB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import numpy as np

from edge_pse.enhancer import Enhancer, FrameFeatures
from edge_pse.enrollment import embed
from edge_pse.enrollment.automatic import AutoEnrollment, Gathered, Rule, Stretch, gather
from edge_pse.model import Model
from edge_pse.profiles import Profile, Recording
from edge_pse.voice_space import VoiceSpace
from evaluation.metrics.signal import HOP_SAMPLES, SAMPLE_RATE_HZ, active_rms, si_sdr
from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from evaluation.sets.builder import SetBuilder, is_adult
from evaluation.sets.corpus import Talker, read_noises, read_talkers
from evaluation.sets.render import read_segment, render_enrollment
from studies import options

STREAM_SECONDS = 60
NEAR_DBFS = -26.0
EXPLICIT_SECONDS = 10
MIXTURE_SECONDS = 6
AS_GOOD = 0.02
"""A cosine this far below the explicit enrollment's is as good."""
FOREIGN_SHARE = 0.2
"""Of what was taken: from here on a profile counts as one with another voice in it."""


@dataclass(frozen=True)
class Setting:
    """Who talks at the microphone, and how."""

    snr_db: float
    other_db: float | None = None
    """Level of the other talker against the speaker's; None without another."""
    speaker_share: float = 0.6
    """Of the turns."""
    overlap_seconds: float = -0.7
    """How far the next talker begins before the end of a turn; negative is a pause."""


SETTINGS = {
    "alone, quiet room": Setting(30.0),
    "alone, noise at 15 dB": Setting(15.0),
    "another in turn, 10 dB fainter": Setting(25.0, -10.0),
    "another interrupts, 6 dB fainter": Setting(25.0, -6.0, overlap_seconds=1.0),
    "two in turn, as loud and as much": Setting(25.0, 0.0, speaker_share=0.5),
}
OTHER_RULES = (
    {"enough_seconds": 10.0},
    {"enough_seconds": 20.0},
    {"alike": 0.4, "alike_known": 0.3},
    {"alike": 0.6, "alike_known": 0.5},
    {"halves_alike": 0.0},
    {"halves_alike": 0.45},
    {"fainter_db": 4.0},
    {"fainter_db": 100.0},
    {"rivals_share": 0.4},
    {"rivals_share": 1.0},
)


@dataclass
class Minute:
    """One speaker at the microphone in one setting, and what was heard."""

    speaker: Speaker
    stretches: list[Stretch] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)
    """When each stretch was complete."""
    foreign: list[float] = field(default_factory=list)
    """How much of each is the other talker's, 0 to 1."""

    def until_ready(self, rule: Rule, known: bool) -> Outcome | None:
        """What the rule takes, as soon as it does."""
        for count in range(1, len(self.stretches) + 1):
            gathered = gather(
                self.stretches[:count], rule, self.speaker.space, self.speaker.explicit if known else None
            )
            if gathered.ready:
                return Outcome(self.ends_s[count - 1], gathered, self._foreign_share(gathered))
        return None

    def until_as_good(self) -> float | None:
        """Seconds until the leading voice, ready or not, is as near to the independent recording as the explicit."""
        rule = Rule(enough_seconds=0.0, rivals_share=1.0)
        for count in range(1, len(self.stretches) + 1):
            gathered = gather(self.stretches[:count], rule, self.speaker.space)
            if gathered.ready and self.speaker.cosine_gap(gathered.recording().embedding) >= -AS_GOOD:
                return self.ends_s[count - 1]
        return None

    def _foreign_share(self, gathered: Gathered) -> float:
        taken = [self.stretches.index(stretch) for stretch in gathered.taken]
        weights = [self.stretches[index].seconds for index in taken]
        return float(np.average([self.foreign[index] for index in taken], weights=weights))


@dataclass(frozen=True)
class Outcome:
    """A profile that the rule made."""

    seconds: float
    """Of the stream, until then."""
    gathered: Gathered
    foreign_share: float


@dataclass(frozen=True)
class Speaker:
    """One who is enrolled, with two recordings that are in no stream."""

    talker: Talker
    other: Talker
    explicit: np.ndarray
    """Embedding of ten seconds alone."""
    independent: np.ndarray
    """The same of what comes after them."""
    mixture: np.ndarray
    reference: np.ndarray
    space: VoiceSpace

    def cosine_gap(self, embedding: np.ndarray) -> float:
        """How much nearer to the independent recording than the explicit enrollment is."""
        explicit = self.space.cosine(self.explicit, self.independent)
        return self.space.cosine(embedding, self.independent) - explicit


class StreamSimulator:
    """Renders what the speakers do and lets the network hear it."""

    def __init__(self, root: Path, model: Model) -> None:
        self.root, self.model = root, model
        self.build = SetBuilder("auto-enrollment", root, read_talkers(root), read_noises(root))
        self.random = self.build.random

    def speaker(self, number: int) -> Speaker:
        """The next one, with another of the same sex every second time."""
        talker = self.build.next_talker("speaker", is_adult)
        other = self.build.other_talker(talker, sex=talker.sex, like=number % 2 == 0)
        pool = render_enrollment(self.root, self.build.enrollment(talker, 2 * EXPLICIT_SECONDS))
        half = min(EXPLICIT_SECONDS * SAMPLE_RATE_HZ, len(pool) // 2)
        size = MIXTURE_SECONDS * SAMPLE_RATE_HZ
        reference, interference = (np.resize(self._speech(one), size) for one in (talker, other))
        return Speaker(
            talker,
            other,
            embed(pool[:half], self.model),
            embed(pool[half:], self.model),
            reference + interference,
            reference,
            self.model.contract.voice_space,
        )

    def minute(self, speaker: Speaker, setting: Setting) -> Minute:
        """One stream through the network."""
        samples, activity = self._stream(speaker, setting)
        minute = Minute(speaker)
        gatherer = AutoEnrollment(HOP_SAMPLES / SAMPLE_RATE_HZ, self.model.contract.voice_space)
        enhancer = Enhancer(self.model)
        hops = 0

        def hear(heard: FrameFeatures) -> None:
            nonlocal hops
            hops += 1
            if gatherer.add(heard):
                stretch = gatherer.stretches[-1]
                minute.stretches.append(stretch)
                minute.ends_s.append(hops * HOP_SAMPLES / SAMPLE_RATE_HZ)
                minute.foreign.append(_foreign(activity, hops, stretch))

        enhancer.observe(hear)
        enhancer.process(samples)
        return minute

    def gain_db(self, speaker: Speaker, embedding: np.ndarray) -> float:
        """SI-SDR gain on the mixture of the two talkers with a profile of that embedding."""
        recording = Recording(embedding, half_band=embedding, speech_seconds=0.0, snr_db=0.0)
        profile = Profile("", self.model.contract.profiles_of, (recording,))
        enhanced = Enhancer(self.model, profile).enhance(speaker.mixture, SAMPLE_RATE_HZ)
        return si_sdr(speaker.reference, enhanced) - si_sdr(speaker.reference, speaker.mixture)

    def _speech(self, talker: Talker) -> np.ndarray:
        joined = np.concatenate([read_segment(self.root, segment) for segment in talker.mixing])
        return (joined * 10 ** (NEAR_DBFS / 20) / active_rms(joined)).astype(np.float32)

    def _stream(self, speaker: Speaker, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
        """Samples, and who talks in each hop, (2, hops): the speaker, the other."""
        size = STREAM_SECONDS * SAMPLE_RATE_HZ
        source = self.build.noise_source().segment
        noise = np.resize(read_segment(self.root, source), size).astype(np.float64)
        level = 10 ** ((NEAR_DBFS - setting.snr_db) / 20)
        samples = noise * level / np.sqrt(np.mean(noise**2))
        activity = np.zeros((2, size // HOP_SAMPLES))
        speech = [
            self._speech(speaker.talker),
            self._speech(speaker.other) * 10 ** ((setting.other_db or 0.0) / 20),
        ]
        at, said = self.random.uniform(0.5, 1.5), [0, 0]
        while at < STREAM_SECONDS - 2:
            who = 0 if setting.other_db is None or self.random.random() < setting.speaker_share else 1
            seconds = min(self.random.uniform(3.0, 8.0), STREAM_SECONDS - at)
            start, count = round(at * SAMPLE_RATE_HZ), round(seconds * SAMPLE_RATE_HZ)
            count = min(count, size - start)
            samples[start : start + count] += np.take(
                speech[who], np.arange(said[who], said[who] + count), mode="wrap"
            )
            activity[who, start // HOP_SAMPLES : (start + count) // HOP_SAMPLES] = 1
            said[who] += count
            at += seconds - setting.overlap_seconds
        return samples.astype(np.float32), activity


def _foreign(activity: np.ndarray, hops: int, stretch: Stretch) -> float:
    """Share of the other talker's hops in a stretch that has just become complete.

    One that ended for want of speech did so a second ago; a pause within it makes this a little wrong.
    """
    count = round(stretch.seconds * SAMPLE_RATE_HZ / HOP_SAMPLES)
    end = hops if stretch.seconds > 2.9 else hops - SAMPLE_RATE_HZ // HOP_SAMPLES
    speaker, other = activity[:, max(0, end - count) : end].sum(axis=1)
    return float(other / max(speaker + other, 1))


def _with_interval(values: Sequence[float], digits: int) -> str:
    summary = summarise(list(values))
    if summary is None:
        return "-"
    return f"{summary.mean:.{digits}f} [{summary.low:.{digits}f}, {summary.high:.{digits}f}]"


def _median(values: Sequence[float]) -> str:
    return f"{np.median(values):.0f}" if values else "-"


def setting_table(minutes: dict[str, list[Minute]], simulator: StreamSimulator) -> str:
    """What becomes of each setting without a profile."""
    explicit: dict[int, float] = {}
    rows = []
    for name, several in minutes.items():
        made = [
            (minute, outcome) for minute in several if (outcome := minute.until_ready(Rule(), known=False))
        ]
        as_good = [seconds for minute in several if (seconds := minute.until_as_good()) is not None]
        right = [pair for pair in made if pair[1].foreign_share < 0.5]
        gains = []
        for minute, outcome in right:
            key = id(minute.speaker)
            if key not in explicit:
                explicit[key] = simulator.gain_db(minute.speaker, minute.speaker.explicit)
            gains.append(
                simulator.gain_db(minute.speaker, outcome.gathered.recording().embedding) - explicit[key]
            )
        gaps = [
            minute.speaker.cosine_gap(outcome.gathered.recording().embedding) for minute, outcome in right
        ]
        rows.append(
            [
                name,
                f"{_median(as_good)} ({len(as_good)})",
                f"{len(made)} of {len(several)}",
                _median([outcome.seconds for _, outcome in made]),
                _with_interval(gaps, 2),
                _with_interval(gains, 1),
                *_foreign_cells([outcome for _, outcome in made]),
            ]
        )
    header = [
        "a minute",
        f"s until within {AS_GOOD} of explicit (of how many)",
        "made a profile",
        "after s, median",
    ]
    header += ["cosine, minus explicit", "SI-SDR gain, minus explicit, dB", *_FOREIGN_HEADER]
    return table(header, rows)


_FOREIGN_HEADER = ["other voice in it, %", "over 20 % of it", "over 50 %: the wrong voice"]


def _foreign_cells(outcomes: Sequence[Outcome]) -> list[str]:
    shares = [outcome.foreign_share for outcome in outcomes]
    mean = f"{100 * np.mean(shares):.0f}" if shares else "-"
    return [mean, *(str(sum(share > limit for share in shares)) for limit in (FOREIGN_SHARE, 0.5))]


def known_table(minutes: dict[str, list[Minute]]) -> str:
    """What becomes of each setting when the explicit profile is there to be refined."""
    rows = []
    for name, several in minutes.items():
        made = [outcome for minute in several if (outcome := minute.until_ready(Rule(), known=True))]
        seconds = _median([outcome.seconds for outcome in made])
        rows.append([name, f"{len(made)} of {len(several)}", seconds, *_foreign_cells(made)])
    return table(["a minute, the profile known", "added to it", "after s, median", *_FOREIGN_HEADER], rows)


def rule_table(minutes: dict[str, list[Minute]]) -> str:
    """The rule and others beside it, over all settings."""
    every = [minute for several in minutes.values() for minute in several]
    rows = []
    for changed in ({}, *OTHER_RULES):
        cells = []
        for known in (False, True):
            rule = replace(Rule(), **changed)
            made = [outcome for minute in every if (outcome := minute.until_ready(rule, known))]
            cells += [f"{len(made)} of {len(every)}", *_foreign_cells(made)[1:]]
        rows.append([", ".join(f"{name} {value:g}" for name, value in changed.items()) or "as it is", *cells])
    header = ["rule", "made a profile", "over 20 % another", "over 50 %"]
    return table([*header, "added to a known one", "over 20 % another", "over 50 %"], rows)


def report(simulator: StreamSimulator, count: int) -> str:
    """All tables, as Markdown."""
    minutes: dict[str, list[Minute]] = {name: [] for name in SETTINGS}
    for number in options.progress(range(count), "speakers"):
        speaker = simulator.speaker(number)
        for name, setting in SETTINGS.items():
            minutes[name].append(simulator.minute(speaker, setting))
    return "\n\n".join(
        [
            f"{count} dev speakers, {STREAM_SECONDS} s each; means with 95 % intervals where they are given.",
            setting_table(minutes, simulator),
            known_table(minutes),
            rule_table(minutes),
        ]
    )


@click.command()
@options.data
@options.model
@options.backend
@click.option(
    "--speakers",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    help="How many sit at the microphone.",
)
def main(root: Path, model_name: str, backend: str, speakers: int) -> None:
    """Say how long auto-enrollment takes to be as good as an explicit one, and how often it takes the wrong voice."""
    click.echo(report(StreamSimulator(root, Model.load(model_name, backend)), speakers))
