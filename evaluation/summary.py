"""From rows to tables: means per set, condition and profile, the conditioning gap, the worst clips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from evaluation.metrics.signal import pooled_suppression_db
from evaluation.metrics.statistics import Summary, summarise
from evaluation.results import Row, SystemResult
from evaluation.sets import FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_OTHERS, FULL_BAND_TALKERS
from evaluation.sets.scene import PROFILE_KINDS, ProfileKind

WORST_COUNT = 10


@dataclass(frozen=True)
class Metric:
    """How a metric is called and written."""

    label: str
    digits: int = 2
    scale: float = 1.0


PERCENT = 100.0
METRICS: dict[str, Metric] = {
    "si_sdr": Metric("SI-SDR dB", 1),
    "si_sdr_gain": Metric("SI-SDR gain dB", 1),
    "pesq": Metric("PESQ-WB"),
    "stoi": Metric("STOI", 3),
    "dnsmos_ovrl": Metric("DNSMOS OVRL"),
    "dnsmos_sig": Metric("DNSMOS SIG"),
    "dnsmos_bak": Metric("DNSMOS BAK"),
    "pdnsmos_ovrl": Metric("pDNSMOS OVRL"),
    "pdnsmos_sig": Metric("pDNSMOS SIG"),
    "pdnsmos_bak": Metric("pDNSMOS BAK"),
    "wrong_talker": Metric("wrong talker %", 0, PERCENT),
    "suppression_db": Metric("BAK SUPPR dB", 1),
    "suppression_before_db": Metric("BAK SUPPR before the target dB", 1),
    "tsos": Metric("TSOS %", 1, PERCENT),
    "tsos_active": Metric("TSOS, active frames %", 1, PERCENT),
    "tsos_onset": Metric("TSOS, first second %", 1, PERCENT),
    "tsos_longest_ms": Metric("longest gap ms", 0),
    "level_change_db": Metric("level change dB", 1),
    "si_sdr_above": Metric("SI-SDR above 8 kHz dB", 1),
    "si_sdr_gain_above": Metric("SI-SDR gain above 8 kHz dB", 1),
    "lsd_above_db": Metric("LSD above 8 kHz dB", 1),
    "level_change_above_db": Metric("level change above 8 kHz dB", 1),
    "suppression_above_db": Metric("suppression above 8 kHz dB", 1),
    "suppression_shortfall_db": Metric("suppression: less above than below dB", 1),
    "erle_db": Metric("ERLE dB", 1),
    "aecmos_echo": Metric("AECMOS echo"),
    "aecmos_degradation": Metric("AECMOS degradation"),
}

SET_METRICS: dict[str, tuple[str, ...]] = {
    "two-talkers": (
        "si_sdr_gain", "si_sdr", "pesq", "stoi", "pdnsmos_ovrl", "pdnsmos_sig", "pdnsmos_bak", "wrong_talker",
        "tsos_active",
    ),
    "three-talkers": ("si_sdr_gain", "si_sdr", "pesq", "stoi", "wrong_talker", "tsos_active"),
    "noise": (
        "si_sdr_gain", "si_sdr", "pesq", "stoi", "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "tsos_active",
    ),
    "voicebank": ("si_sdr_gain", "si_sdr", "pesq", "stoi", "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"),
    "pairs": ("si_sdr_gain", "si_sdr", "pesq", "stoi", "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"),
    "interferer-only": ("suppression_db",),
    "clean": (
        "tsos", "tsos_active", "tsos_longest_ms", "level_change_db", "si_sdr", "pesq", "stoi", "dnsmos_ovrl",
    ),
    "target-late": ("suppression_before_db", "si_sdr_gain", "tsos_onset", "tsos_active"),
    "narrow-band": ("tsos_active", "si_sdr_gain", "level_change_db", "wrong_talker"),
    "enrollment": ("si_sdr_gain", "wrong_talker", "tsos_active"),
    "voices": ("si_sdr_gain", "pesq", "stoi", "wrong_talker", "tsos_active"),
    "echo": ("erle_db", "aecmos_echo", "aecmos_degradation", "si_sdr", "pesq"),
    FULL_BAND_TALKERS: (
        "si_sdr_gain", "si_sdr_gain_above", "si_sdr_above", "lsd_above_db", "pesq", "stoi", "wrong_talker",
    ),
    FULL_BAND_OTHERS: ("suppression_db", "suppression_above_db", "suppression_shortfall_db"),
    FULL_BAND_NOISE: (
        "si_sdr_gain", "si_sdr_gain_above", "si_sdr_above", "lsd_above_db", "pesq", "stoi", "suppression_db",
        "suppression_above_db", "suppression_shortfall_db",
    ),
    FULL_BAND_CLEAN: (
        "level_change_db", "level_change_above_db", "lsd_above_db", "si_sdr", "si_sdr_above", "pesq", "stoi", "tsos",
    ),
}  # fmt: skip
"""Columns of each set's table; the first is what the set is about, and is broken down by its conditions."""

CONDITION_METRICS: dict[str, tuple[str, ...]] = {
    "echo": ("erle_db", "aecmos_echo", "aecmos_degradation"),
    "narrow-band": ("tsos_active", "si_sdr_gain"),
    FULL_BAND_TALKERS: ("si_sdr_gain", "si_sdr_gain_above"),
    FULL_BAND_NOISE: ("si_sdr_gain", "si_sdr_gain_above", "suppression_shortfall_db"),
}
"""Sets whose conditions need more than the first metric."""


def select(rows: Iterable[Row], set_name: str, profile: ProfileKind, **tags: str) -> list[Row]:
    """The rows of a set and profile, with the given tags."""
    return [
        row
        for row in rows
        if row.set == set_name
        and row.profile == profile
        and all(row.tags.get(key) == value for key, value in tags.items())
    ]


def main_rows(result: SystemResult, set_name: str, **tags: str) -> list[Row]:
    """The rows that stand for a system on a set: with the right profile if it takes one."""
    return select(result.rows, set_name, result.main_profile(set_name), **tags)


def over(rows: Iterable[Row], metric: str) -> Summary | None:
    """Mean, interval and median of a metric over the rows that have it."""
    return summarise([row.metrics[metric] for row in rows if metric in row.metrics])


def formatted(summary: Summary | None, metric: Metric, interval: bool = True) -> str:
    """'3.2 [1.1, 5.0]', or '-' where nothing is defined."""
    if summary is None:
        return "-"
    mean, low, high = (
        f"{value * metric.scale:.{metric.digits}f}" for value in (summary.mean, summary.low, summary.high)
    )
    return f"{mean} [{low}, {high}]" if interval else mean


def sets_of(results: list[SystemResult]) -> list[str]:
    """The sets that have rows, in the order of SET_METRICS."""
    found = {row.set for result in results for row in result.rows}
    return [name for name in SET_METRICS if name in found]


def conditioning_gaps(result: SystemResult, set_name: str = "two-talkers", **tags: str) -> list[float]:
    """SI-SDR with the right profile minus that with the wrong one, dB, per clip that has both."""
    right = {row.clip: row.metrics for row in select(result.rows, set_name, "right", **tags)}
    wrong = {row.clip: row.metrics for row in select(result.rows, set_name, "wrong", **tags)}
    return [
        right[clip]["si_sdr"] - wrong[clip]["si_sdr"]
        for clip in right
        if "si_sdr" in right[clip] and "si_sdr" in wrong.get(clip, {})
    ]


def pooled_suppression(rows: list[Row]) -> float | None:
    """BAK SUPPR of all clips as one, dB."""
    energies = [
        (row.metrics["input_energy"], row.metrics["output_energy"])
        for row in rows
        if "input_energy" in row.metrics
    ]
    return pooled_suppression_db(energies) if energies else None


def worst_clips(result: SystemResult) -> list[tuple[Row, float]]:
    """The ten clips on which the system gains least SI-SDR with its main profile, worst first.

    The scenes of the enrollment set are one mixture many times over for a system that takes no profile.
    """
    sets = [name for name in sets_of([result]) if name != "enrollment" or result.info.uses_profile]
    rows = [row for name in sets for row in main_rows(result, name) if "si_sdr_gain" in row.metrics]
    ranked = sorted(rows, key=lambda row: (row.metrics["si_sdr_gain"], row.clip))
    return [(row, row.metrics["si_sdr_gain"]) for row in ranked[:WORST_COUNT]]


def conditions(results: list[SystemResult], set_name: str) -> dict[str, list[str]]:
    """Tags of a set with their values in the order of appearance, without those that never change."""
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for result in results:
        for row in result.rows:
            if row.set == set_name:
                for key, value in row.tags.items():
                    values[key][value] = None
    return {key: list(found) for key, found in values.items() if len(found) > 1}


def failures(results: list[SystemResult]) -> list[tuple[str, str, str, list[str]]]:
    """(system, set, reason, clips) for everything that has no score or not all of them."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        if result.reason:
            grouped[result.name, "all", result.reason] = []
        for row in result.rows:
            if row.reason:
                grouped.setdefault((result.name, row.set, row.reason), []).append(
                    f"{row.clip} ({row.profile})"
                )
    return [(system, set_name, reason, clips) for (system, set_name, reason), clips in grouped.items()]


Cell = Callable[[SystemResult], str]


def _mean_of(set_name: str, metric: str, **tags: str) -> Cell:
    def cell(result: SystemResult) -> str:
        return formatted(over(main_rows(result, set_name, **tags), metric), METRICS[metric])

    return cell


def _gap(**tags: str) -> Cell:
    def cell(result: SystemResult) -> str:
        summary = summarise(conditioning_gaps(result, **tags))
        if summary is None:
            return "-"
        return f"{formatted(summary, METRICS['si_sdr_gain'])}, median {summary.median:.1f}"

    return cell


def _median_suppression(result: SystemResult) -> str:
    rows = main_rows(result, "interferer-only")
    summary, pooled = over(rows, "suppression_db"), pooled_suppression(rows)
    return "-" if summary is None or pooled is None else f"{summary.median:.1f} / {pooled:.1f}"


HEADLINES: dict[str, Cell] = {
    "two talkers: SI-SDR gain dB": _mean_of("two-talkers", "si_sdr_gain"),
    "of it same-sex": _mean_of("two-talkers", "si_sdr_gain", sexes="same"),
    "of it cross-sex": _mean_of("two-talkers", "si_sdr_gain", sexes="cross"),
    "right minus wrong profile dB": _gap(),
    "wrong talker %": _mean_of("two-talkers", "wrong_talker"),
    "noise: SI-SDR gain dB": _mean_of("noise", "si_sdr_gain"),
    "noise: PESQ-WB": _mean_of("noise", "pesq"),
    "noise: DNSMOS OVRL": _mean_of("noise", "dnsmos_ovrl"),
    "VoiceBank subset: PESQ-WB": _mean_of("voicebank", "pesq"),
    "only others: suppression dB, median / pooled": _median_suppression,
    "clean: TSOS %": _mean_of("clean", "tsos"),
    "clean: PESQ-WB": _mean_of("clean", "pesq"),
    "far end only: ERLE dB": _mean_of("echo", "erle_db"),
}
"""The one table to look at first: a column's name and how to fill its cells."""


def headline_columns(results: list[SystemResult]) -> dict[str, Cell]:
    """The headline columns in which some system has a value."""
    return {
        label: cell for label, cell in HEADLINES.items() if any(cell(result) != "-" for result in results)
    }


PROFILE_LINES = (
    ("two-talkers", "si_sdr_gain"),
    ("two-talkers", "wrong_talker"),
    ("three-talkers", "si_sdr_gain"),
    ("noise", "si_sdr_gain"),
    ("interferer-only", "suppression_db"),
    ("clean", "tsos"),
    ("clean", "level_change_db"),
    ("target-late", "suppression_before_db"),
    ("target-late", "tsos_onset"),
    ("narrow-band", "tsos_active"),
)
"""(set, metric) of what a profile does."""


def profile_table(result: SystemResult) -> list[tuple[str, list[str]]]:
    """(label, one cell per kind of profile) for a system that obeys a profile."""
    lines = []
    for set_name, metric in PROFILE_LINES:
        cells = [
            formatted(over(select(result.rows, set_name, profile), metric), METRICS[metric])
            for profile in PROFILE_KINDS
        ]
        if set(cells) != {"-"}:
            lines.append((f"{set_name}: {METRICS[metric].label}", cells))
    return lines
