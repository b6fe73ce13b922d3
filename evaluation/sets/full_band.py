"""Scenes at 48 kHz, of the recordings that have sound above 8 kHz.

Levels and ratios are those of the band below 8 kHz, as in all other sets.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

from evaluation.metrics.upper_band import above, carries
from evaluation.sets import FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_OTHERS, FULL_BAND_TALKERS
from evaluation.sets.builder import ENROLLMENT_SECONDS, SetBuilder, is_adult
from evaluation.sets.corpus import NoiseSource, Talker, read_full_band, take
from evaluation.sets.render import read_segment
from evaluation.sets.scene import (
    Enrollment,
    Noise,
    ProfileKind,
    Scene,
    Segment,
    Synthetic,
    SyntheticKind,
    Voice,
)

RATE_HZ = 48_000
PROFILES: tuple[ProfileKind, ...] = ("right", "none")
LATE_SECONDS = 0.5
NOISE_ALONE_SECONDS = 1.5
"""How long the noise is heard before the voice."""
AFTER_SECONDS = 0.3
SYNTHETIC_SECONDS = 8.0
SNRS_DB = (5, 15)
SIRS_DB = (0, 5)
ABSENT = 6
"""Enrolled talkers who are silent while each clip is heard."""


def full_band(build: SetBuilder) -> None:
    """Clean, in noise, beside another talker, and others alone. Profiles are from the same talker's other recordings;
    those of absent talkers are from the data at 16 kHz, where there are many.
    """
    talkers, noises = read_full_band(build.root)
    wide = [talker for talker in talkers if _is_wide(build, talker)]
    clips = [(talker, clip) for talker in wide for clip in talker.mixing]
    build.set_name = FULL_BAND_CLEAN
    for talker, clip in clips:
        _add(build, _target(build, {}, talker, clip))
    build.set_name = FULL_BAND_NOISE
    for snr_db, (talker, clip) in product(SNRS_DB, clips):
        for label, noise in _noises(build, noises).items():
            scene = _target(build, {"noise": label, "snr": f"{snr_db} dB"}, talker, clip, NOISE_ALONE_SECONDS)
            _add(build, replace(scene, noise=noise), snr_db=snr_db)
    build.set_name = FULL_BAND_TALKERS
    for sir_db, (talker, clip), (other, said) in product(SIRS_DB, clips, clips):
        if other is not talker:
            scene = _target(build, {"sir": f"{sir_db} dB"}, talker, clip)
            length = scene.seconds - LATE_SECONDS
            first = other.mixing.index(said)
            voice = Voice(other.speaker, take(other.mixing, length, first), at=0.0)
            _add(build, replace(scene, interferers=(voice,)), sir_db=sir_db)
    build.set_name = FULL_BAND_OTHERS
    for _, (other, clip) in product(range(ABSENT), clips):
        absent = _absent(build, other)
        scene = build.scene({}, PROFILES, _seconds(clip, LATE_SECONDS))
        voice = Voice(other.speaker, (clip,), at=LATE_SECONDS)
        _add(build, replace(scene, interferers=(voice,), right=build.enrollment(absent)))


def _is_wide(build: SetBuilder, talker: Talker) -> bool:
    clips = [read_segment(build.root, clip, RATE_HZ) for clip in talker.mixing]
    return all(carries(samples, above(samples, RATE_HZ)) for samples in clips)


def _noises(build: SetBuilder, recorded: list[NoiseSource]) -> dict[str, Noise]:
    """What is recorded, and a new stretch of each kind that is computed."""
    chosen = recorded[int(build.random.integers(len(recorded)))].segment
    noises = {"recorded": Noise(chosen, 0.0)}
    for kind in get_args(SyntheticKind):
        seed = int(build.random.integers(1 << 16))
        noises[kind] = Noise(Synthetic(kind, seed, SYNTHETIC_SECONDS), 0.0)
    return noises


def _seconds(clip: Segment, late: float) -> float:
    return round(late + clip.seconds + AFTER_SECONDS, 2)


def _target(
    build: SetBuilder, tags: dict[str, str], talker: Talker, clip: Segment, late: float = LATE_SECONDS
) -> Scene:
    return replace(
        build.scene(tags, PROFILES, _seconds(clip, late)),
        target=Voice(talker.speaker, (clip,), at=late),
        right=_enrollment(build, talker, clip),
    )


def _absent(build: SetBuilder, other: Talker) -> Talker:
    """Somebody else, in turn."""
    return build.next_talker(
        f"not {other.speaker}", lambda talker: is_adult(talker) and talker.speaker != other.speaker
    )


def _enrollment(build: SetBuilder, talker: Talker, but: Segment) -> Enrollment:
    others = tuple(clip for clip in talker.mixing if clip != but)
    return build.enrollment(replace(talker, enrollment=others), ENROLLMENT_SECONDS)


def _add(build: SetBuilder, scene: Scene, sir_db: float | None = None, snr_db: float | None = None) -> None:
    build.add(build.without_clipping(replace(build.balance(scene, sir_db, snr_db), rate_hz=RATE_HZ)))
