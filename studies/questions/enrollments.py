"""What an enrollment must be like: how long, through which microphone and room, and how clean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from evaluation.sets.builder import ENROLLMENT_SECONDS, INDOOR_ROOMS, SetBuilder, is_adult
from evaluation.sets.corpus import Talker, take
from evaluation.sets.scene import Enrollment, Scene, Voice
from studies.embedding import MICROPHONES, Place
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

LENGTHS_S = (1, 2, 3, 5, 10, 20, 30)
USUAL_LENGTH_S = 10
MIXING_SECONDS = 5.0
"""What is left for mixtures where everything else is for a long enrollment."""
PLACES: dict[str, Place] = {
    **MICROPHONES,
    "laptop": ("laptop", None),
    "headset in a room": ("headset", INDOOR_ROOMS[-1]),
}
"""The same for all speakers."""
NEAR = "headset"
OTHER_PLACES = ("laptop", "headset in a room", "laptop in a room")
SNRS_DB = (20, 15, 10, 5, 0)
SHARES_PERCENT = (10, 20, 30, 50)
CLEAN = "clean"


def _with_long_enrollment(talker: Talker) -> Talker:
    """The first recordings for mixtures, all others for enrollment."""
    recordings = talker.mixing + talker.enrollment
    cut, seconds = 0, 0.0
    while cut < len(recordings) - 1 and seconds < MIXING_SECONDS:
        seconds += recordings[cut].seconds
        cut += 1
    return replace(talker, mixing=recordings[:cut], enrollment=recordings[cut:])


def _long_talkers(talkers: Sequence[Talker], seconds: float) -> list[Talker]:
    """Adults who have that much for enrollment beside what they say in mixtures."""
    split = [_with_long_enrollment(talker) for talker in talkers if is_adult(talker)]
    return [talker for talker in split if sum(segment.seconds for segment in talker.enrollment) >= seconds]


def enrollment_length(studio: Studio, clips: int = 30, lengths_s: Sequence[int] = LENGTHS_S) -> Answer:
    """Gain and conditioning gap after enrollments of 1 to 30 s, the shorter ones the beginnings of the longer."""
    talkers = _long_talkers(studio.talkers, max(lengths_s))
    build = studio.builder("length", talkers)
    by_name = {talker.speaker: talker for talker in talkers}
    conditions: dict[str, list[Scene]] = {str(seconds): [] for seconds in lengths_s}
    for number in range(clips):
        scene = build.balance(two_talkers(build, SEXES[number % 2]), SIR_DB, SNR_DB)
        assert scene.right and scene.wrong
        own, other = by_name[scene.right.speaker], by_name[scene.wrong.speaker]
        for seconds in lengths_s:
            right, wrong = (build.enrollment(talker, seconds) for talker in (own, other))
            conditions[str(seconds)].append(replace(scene, right=right, wrong=wrong))
    measured = studio.measure(conditions)
    base = str(USUAL_LENGTH_S if USUAL_LENGTH_S in lengths_s else max(lengths_s))
    rows = [
        [
            length,
            measured.cell(length, "si_sdr_gain"),
            measured.cell(length, "si_sdr_gain", minus=base),
            cell(measured.gap(length)),
            f"{np.nanmedian(measured.gap(length)):.1f}",
            measured.cell(length, "wrong_talker"),
        ]
        for length in conditions
    ]
    header = ["enrollment, s", GAIN_LABEL, f"minus that after {base} s", "right minus wrong profile, dB"]
    curves = {
        "gain": [summarise(measured.values(length, "si_sdr_gain")) for length in conditions],
        "right minus wrong profile": [summarise(measured.gap(length)) for length in conditions],
    }
    return Answer(
        "length",
        "How long must an enrollment be?",
        command("length"),
        f"{studio.system.info.description}. {clips} mixtures of two talkers at {SIR_DB:.0f} dB in noise at "
        f"{SNR_DB:.0f} dB, half of them of one sex, by {len(talkers)} adults who have that much beside what they "
        "say in the mixtures. The shorter enrollments are the beginnings of the longer ones. The wrong profile is the "
        "other talker's, of the same length.",
        table([*header, "median", "wrong talker, %"], rows),
        draw([Panel("SI-SDR, dB", list(conditions), curves, xlabel="enrollment, s")]),
    )


def _between(enrolled: str, mixed: str) -> str:
    return f"{enrolled} > {mixed}"


def _at_places(scene: Scene, enrolled: str, mixed: str) -> Scene:
    assert scene.right and scene.wrong
    (device, room), (mixture_device, mixture_room) = PLACES[enrolled], PLACES[mixed]
    return replace(
        scene,
        device=mixture_device,
        room=mixture_room,
        right=replace(scene.right, device=device, room=room),
        wrong=replace(scene.wrong, device=device, room=room),
    )


def _rows_of_places(measured: Measured, other: str) -> list[list[str]]:
    rows = []
    for mixed, elsewhere in ((NEAR, other), (other, NEAR)):
        match, mismatch = _between(mixed, mixed), _between(elsewhere, mixed)
        rows.append(
            [
                mixed,
                elsewhere,
                measured.cell(match, "si_sdr_gain"),
                measured.cell(mismatch, "si_sdr_gain"),
                measured.cell(mismatch, "si_sdr_gain", minus=match),
                cell(measured.gap(match)),
                cell(measured.gap(mismatch)),
            ]
        )
    return rows


def enrollment_place(studio: Studio, clips: int = 24, others: Sequence[str] = OTHER_PLACES) -> Answer:
    """Gain where enrollment and mixture went through the same microphone and room, and where not."""
    pairs = [(NEAR, NEAR)] + [
        pair for place in others for pair in ((NEAR, place), (place, NEAR), (place, place))
    ]
    conditions: dict[str, list[Scene]] = {_between(*pair): [] for pair in pairs}
    build = studio.builder("place")
    for number in range(clips):
        scene = build.balance(two_talkers(build, SEXES[number % 2]), SIR_DB, SNR_DB)
        for pair in pairs:
            conditions[_between(*pair)].append(_at_places(scene, *pair))
    measured = studio.measure(conditions)
    gain = "si_sdr_gain"
    panels = [
        Panel(
            GAIN_LABEL,
            [NEAR, place],
            {
                "enrolled there too": [
                    summarise(measured.values(_between(p, p), gain)) for p in (NEAR, place)
                ],
                "enrolled at the other": [
                    summarise(measured.values(_between(*pair), gain))
                    for pair in ((place, NEAR), (NEAR, place))
                ],
            },
            f"{NEAR} and {place}",
            "mixture",
            joined=False,
        )
        for place in others
    ]
    header = [
        "mixture",
        "elsewhere",
        "gain, enrolled there too, dB",
        "gain, enrolled elsewhere, dB",
        "difference, dB",
    ]
    return Answer(
        "place",
        "May the enrollment come through another microphone, or from another room?",
        command("place"),
        f"{studio.system.info.description}. {clips} mixtures of two talkers at {SIR_DB:.0f} dB in noise at "
        f"{SNR_DB:.0f} dB, half of them of one sex; enrollments of {ENROLLMENT_SECONDS:.0f} s. Headset and laptop are "
        "band-passes of our own (`evaluation/sets/render.py`), without a room if none is named; the room is a measured "
        "kitchen. The wrong profile is the other talker's, enrolled as the right one.",
        table(
            [*header, "right minus wrong profile, there too", "the same, elsewhere"],
            [row for place in others for row in _rows_of_places(measured, place)],
        ),
        draw(panels),
    )


def _intruded(own: Enrollment, other: Enrollment, percent: int) -> Enrollment:
    """Another voice, as loud, takes over for the last part of the time."""
    seconds = sum(segment.seconds for segment in own.segments)
    kept = round(seconds * (1 - percent / 100), 2)
    voice = Voice(other.speaker, take(other.segments, seconds - kept), at=kept, gain_db=other.gain_db)
    return replace(own, segments=take(own.segments, kept), intruder=voice)


def _disturbed(build: SetBuilder, scene: Scene, snrs_db: Sequence[int]) -> dict[str, Scene]:
    assert scene.right and scene.wrong
    first = build.noisy_enrollment(scene.right, float(snrs_db[0]))
    assert first.noise
    enrollments = {CLEAN: scene.right}
    for snr_db in snrs_db:
        louder = round(first.noise.gain_db + snrs_db[0] - snr_db, 2)
        enrollments[f"{snr_db} dB"] = replace(first, noise=replace(first.noise, gain_db=louder))
    for percent in SHARES_PERCENT:
        enrollments[f"{percent} %"] = _intruded(scene.right, scene.wrong, percent)
    return {label: replace(scene, right=enrollment) for label, enrollment in enrollments.items()}


def enrollment_disturbance(studio: Studio, clips: int = 24, snrs_db: Sequence[int] = SNRS_DB) -> Answer:
    """Gain after enrollments with noise, or with the other talker, in them."""
    build = studio.builder("disturbance")
    conditions: dict[str, list[Scene]] = {}
    for number in range(clips):
        scene = build.balance(two_talkers(build, SEXES[number % 2], ("right",)), SIR_DB, SNR_DB)
        for label, disturbed in _disturbed(build, scene, snrs_db).items():
            conditions.setdefault(label, []).append(disturbed)
    measured = studio.measure(conditions)
    names = {CLEAN: CLEAN} | {
        label: f"noise at {label} SNR"
        if label.endswith("dB")
        else f"the other talker for {label} of the time"
        for label in conditions
        if label != CLEAN
    }
    rows = [
        [
            names[label],
            measured.cell(label, "si_sdr_gain"),
            measured.cell(label, "si_sdr_gain", minus=CLEAN),
            measured.cell(label, "wrong_talker"),
            measured.cell(label, "tsos_active"),
        ]
        for label in conditions
    ]
    panels = []
    for ending, xlabel in (("dB", "SNR of the enrollment"), ("%", "share of the other talker in it")):
        labels = [CLEAN, *(label for label in conditions if label.endswith(ending))]
        gains = [summarise(measured.values(label, "si_sdr_gain")) for label in labels]
        panels.append(Panel(GAIN_LABEL, labels, {"gain": gains}, xlabel=xlabel))
    return Answer(
        "disturbance",
        "How much noise, or how much of another voice, may be in the enrollment?",
        command("disturbance"),
        f"{studio.system.info.description}. {clips} mixtures of two talkers at {SIR_DB:.0f} dB in noise at "
        f"{SNR_DB:.0f} dB, half of them of one sex. Enrollments of {ENROLLMENT_SECONDS:.0f} s, in which the same noise "
        "gets louder, or in which at the end the other talker of the mixture takes over, as loud: the worst of all "
        "voices that it could be. (`edge-pse enroll` refuses an enrollment that sounds noisy, and warns of a second "
        "voice; here neither is done.)",
        table(
            [
                "enrollment",
                GAIN_LABEL,
                "minus that of a clean one",
                "wrong talker, %",
                "TSOS, active frames, %",
            ],
            rows,
        ),
        draw(panels),
    )
