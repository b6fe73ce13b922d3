"""Who else talks, and when: several others, more or less at the same time, and without the enrolled speaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluation.metrics.signal import SAMPLE_RATE_HZ, suppression_db
from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from evaluation.sets.builder import SetBuilder
from evaluation.sets.render import Clip
from evaluation.sets.scene import Scene
from studies.questions.measuring import (
    GAIN_LABEL,
    SEXES,
    SIR_DB,
    SNR_DB,
    Measured,
    Studio,
    cell,
    command,
    two_talkers,
)
from studies.questions.page import Answer
from studies.questions.plot import Panel, draw

COUNTS = (1, 2, 3)
OVERLAPS_PERCENT = (0, 25, 50, 75, 100)
TALK_SECONDS = 4.0
LATE_S = (2, 4, 8)
ABSENT = "absent"


def _sexes(sexes: str) -> str:
    return f"{sexes}-sex"


def _others(count: int, sexes: str) -> str:
    return f"{count}, {_sexes(sexes)}"


def other_talkers(studio: Studio, clips: int = 32, counts: Sequence[int] = COUNTS) -> Answer:
    """Gain and conditioning gap with one, two and three others of the target's sex, and of the other one."""
    build = studio.builder("others")
    conditions: dict[str, list[Scene]] = {_others(n, sexes): [] for n in counts for sexes in SEXES}
    for _ in range(clips):
        for sexes in SEXES:
            most = two_talkers(build, sexes, others=max(counts))
            for count in counts:
                fewer = replace(most, interferers=most.interferers[:count])
                conditions[_others(count, sexes)].append(build.balance(fewer, SIR_DB, SNR_DB))
    measured = studio.measure(conditions)
    rows = [
        [
            str(count),
            _sexes(sexes),
            measured.cell(label, "si_sdr_gain"),
            measured.cell(label, "si_sdr_gain", minus=_others(counts[0], sexes)),
            cell(measured.gap(label)),
            measured.cell(label, "wrong_talker"),
            measured.cell(label, "tsos_active"),
        ]
        for sexes in SEXES
        for count in counts
        for label in [_others(count, sexes)]
    ]
    panels = [
        Panel(
            ylabel,
            list(map(str, counts)),
            {_sexes(s): [summarise(measure(measured, _others(n, s))) for n in counts] for s in SEXES},
            xlabel="other talkers",
        )
        for ylabel, measure in ((GAIN_LABEL, _gain), ("right minus wrong profile, dB", Measured.gap))
    ]
    header = ["others", "sexes", GAIN_LABEL, f"minus that with {counts[0]}", "right minus wrong profile, dB"]
    return Answer(
        "others",
        "How many others may talk, and does their sex matter?",
        command("others"),
        f"{studio.system.info.description}. {clips} mixtures in each row, all others together as loud as the target, "
        f"in noise at {SNR_DB:.0f} dB; the others of a row are those of the row above and one more. The wrong profile "
        "is that of the first of them.",
        table([*header, "wrong talker, %", "TSOS, active frames, %"], rows),
        draw(panels),
    )


def _gain(measured: Measured, condition: str) -> np.ndarray:
    return measured.values(condition, "si_sdr_gain")


def _in_turn(scene: Scene, percent: int, target_first: bool) -> Scene:
    """Target and other for as long, the second beginning before the end of the first."""
    assert scene.target
    later = round(TALK_SECONDS * (1 - percent / 100), 2)
    starts = (0.0, later) if target_first else (later, 0.0)
    return replace(
        scene,
        seconds=TALK_SECONDS + later,
        target=replace(scene.target, at=starts[0]),
        interferers=(replace(scene.interferers[0], at=starts[1]),),
    )


def _suppression_of_other(clip: Clip, output: np.ndarray) -> dict[str, float]:
    """While the other talks alone."""
    assert clip.scene.target
    later = clip.scene.target.at or clip.scene.interferers[0].at
    edge = round((TALK_SECONDS if clip.scene.target.at == 0 else later) * SAMPLE_RATE_HZ)
    alone = slice(edge, None) if clip.scene.target.at == 0 else slice(edge)
    return {"suppression_db": suppression_db(clip.mixture[alone], output[alone]) if later else np.nan}


def overlap(studio: Studio, clips: int = 36, overlaps_percent: Sequence[int] = OVERLAPS_PERCENT) -> Answer:
    """Gain, suppression of the other and loss of the target when they talk in turn, or more or less at once."""
    build = studio.builder("overlap")
    conditions: dict[str, list[Scene]] = {str(percent): [] for percent in overlaps_percent}
    for number in range(clips):
        drawn = two_talkers(build, SEXES[number % 2])
        talkers = {talker.speaker: talker for talker in build.talkers}
        assert drawn.right and drawn.wrong
        own, other = (
            build.voice(talkers[enrollment.speaker], TALK_SECONDS, 0.0)
            for enrollment in (drawn.right, drawn.wrong)
        )
        scene = build.balance(replace(drawn, target=own, interferers=(other,)), SIR_DB, SNR_DB)
        for percent in overlaps_percent:
            conditions[str(percent)].append(_in_turn(scene, percent, target_first=number % 4 < 2))
    measured = studio.measure(conditions, _suppression_of_other)
    rows = [
        [
            share,
            measured.cell(share, "si_sdr_gain"),
            cell(measured.gap(share)),
            measured.cell(share, "suppression_db"),
            measured.cell(share, "tsos_active"),
        ]
        for share in conditions
    ]
    curves = {
        "gain": [summarise(measured.values(share, "si_sdr_gain")) for share in conditions],
        "right minus wrong profile": [summarise(measured.gap(share)) for share in conditions],
        "suppression of the other alone": [
            summarise(measured.values(share, "suppression_db")) for share in conditions
        ],
    }
    header = ["overlap, % of the time of either", GAIN_LABEL, "right minus wrong profile, dB"]
    return Answer(
        "overlap",
        "Does it matter how much the two talk at once?",
        command("overlap"),
        f"{studio.system.info.description}. {clips} mixtures of two talkers, half of them of one sex, each for "
        f"{TALK_SECONDS:.0f} s and as loud, in noise at {SNR_DB:.0f} dB; in half of them the target begins.",
        table([*header, "suppression while the other talks alone, dB", "TSOS, active frames, %"], rows),
        draw([Panel("dB", list(conditions), curves, xlabel="overlap, %")]),
    )


def _late(seconds: int) -> str:
    return f"{seconds} s late"


def _late_scenes(build: SetBuilder, sexes: str, late_s: Sequence[int]) -> dict[str, Scene]:
    """Another talker all the time; the target comes in later, or not at all."""
    drawn = two_talkers(build, sexes, ("right", "none"))
    talkers = {talker.speaker: talker for talker in build.talkers}
    assert drawn.right and drawn.wrong
    longest = replace(drawn, seconds=max(late_s) + TALK_SECONDS)
    own, other = talkers[drawn.right.speaker], talkers[drawn.wrong.speaker]
    voice = build.voice(other, longest.seconds, 0.0)
    present = replace(longest, target=build.voice(own, TALK_SECONDS, max(late_s)), interferers=(voice,))
    present = replace(build.balance(present, SIR_DB, SNR_DB), set="target-late")
    assert present.target
    scenes = {ABSENT: replace(present, set="interferer-only", target=None)}
    for late in late_s:
        target = replace(present.target, at=float(late))
        scenes[_late(late)] = replace(present, target=target, seconds=late + TALK_SECONDS)
    return scenes


def absence(studio: Studio, clips: int = 16, late_s: Sequence[int] = LATE_S) -> Answer:
    """How far others are suppressed while the enrolled speaker is silent, and how that speaker then comes through."""
    longest = max(late_s) + TALK_SECONDS
    build = studio.builder(
        "absence", [t for t in studio.talkers if sum(segment.seconds for segment in t.mixing) >= longest]
    )
    conditions: dict[str, list[Scene]] = {}
    for _ in range(clips):
        for sexes in SEXES:
            for label, scene in _late_scenes(build, sexes, late_s).items():
                conditions.setdefault(f"{label}, {_sexes(sexes)}", []).append(scene)
    measured = studio.measure(conditions)
    labels = [*map(_late, late_s), ABSENT]
    rows = []
    for label in labels:
        for sexes in SEXES:
            condition = f"{label}, {_sexes(sexes)}"
            metric = "suppression_db" if label == ABSENT else "suppression_before_db"
            rows.append(
                [
                    label,
                    _sexes(sexes),
                    measured.cell(condition, metric),
                    f"{np.nanmedian(measured.values(condition, metric)):.1f}",
                    measured.cell(condition, metric, "none"),
                    measured.cell(condition, "si_sdr_gain"),
                    measured.cell(condition, "tsos_onset"),
                    measured.cell(condition, "tsos_active"),
                ]
            )
    header = [
        "target",
        "sexes",
        "suppression of the other until then, dB",
        "median",
        "the same without a profile",
    ]
    after = ["SI-SDR gain from then on, dB", "TSOS, its first second, %", "TSOS, active frames, %"]
    return Answer(
        "absence",
        "What if the enrolled speaker comes in late, or not at all?",
        command("absence"),
        f"{studio.system.info.description}. {clips} clips in each row: another talker all the time, in noise at "
        f"{SNR_DB:.0f} dB, and the target for {TALK_SECONDS:.0f} s, as loud, from some time on; where it is absent, "
        f"the clip has {longest:.0f} s.",
        table([*header, *after], rows),
        draw(_absence_panels(measured, labels)),
    )


def _absence_panels(measured: Measured, labels: Sequence[str]) -> list[Panel]:
    suppressed = {
        f"{_sexes(sexes)}{', no profile' if profile == 'none' else ''}": [
            summarise(
                measured.values(
                    f"{label}, {_sexes(sexes)}",
                    "suppression_db" if label == ABSENT else "suppression_before_db",
                    profile,
                )
            )
            for label in labels
        ]
        for profile in ("right", "none")
        for sexes in SEXES
    }
    gains = {
        _sexes(sexes): [
            summarise(measured.values(f"{label}, {_sexes(sexes)}", "si_sdr_gain")) for label in labels[:-1]
        ]
        for sexes in SEXES
    }
    dashed = [name for name in suppressed if "no profile" in name]
    return [
        Panel("suppression of the other until then, dB", labels, suppressed, xlabel="target", dashed=dashed),
        Panel("SI-SDR gain from then on, dB", labels[:-1], gains, xlabel="target"),
    ]
