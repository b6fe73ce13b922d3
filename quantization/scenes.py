"""What the check listens to: the dev scenes of ``evaluation.quick``, in short form the tests' recordings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evaluation.quick import QuickSet
from quantization.calibration import CHECK, SAMPLE_RATE_HZ, Samples, mixtures

STREAM_MINUTES = 3
MINUTE_SECONDS = 60
STREAMS = (0, 1, 2, 3)
NEAREST_STREAMS = {"pvqe-s": (1,), "pvqe-s-far": (3,), "pvqe-xs": (0,)}
"""Of the short scenes, by network: that in which the files that ship come nearest to ``MIN_MINUTE_SNR_DB`` of the bars:
27.5, 27.4 and 39.2 dB. ``training.adopt`` hears all four, and what it prints says which is nearest then.
"""


@dataclass(frozen=True)
class Scene:
    """One mixture and what a good output of it is."""

    kind: str
    """Wanted in ``two-talkers`` and ``noise``: the voice; ``clean``: all; ``interferer-only``: nothing."""
    noisy: Samples
    reference: Samples | None
    profile: int
    """Index of the enrollment."""
    far_end: Samples | None = None
    """What the loudspeaker was given, None for nothing."""


@dataclass(frozen=True)
class SceneSet:
    """Scenes, the recordings that profiles come from, and a minute that is heard again and again."""

    enrollments: list[Samples]
    scenes: list[Scene]
    minute: Samples
    """Does an error pile up in the states? Only time differs from one minute to the next."""
    minutes: int = STREAM_MINUTES
    streams: tuple[int, ...] = STREAMS
    """Which of the voices hear it, by their place."""

    def job(self) -> dict[str, np.ndarray]:
        """What ``quantization.worker`` is to do with the scenes."""
        far_ends = [scene.far_end for scene in self.scenes]
        return {
            **self._job([scene.profile for scene in self.scenes], [scene.noisy for scene in self.scenes]),
            **{
                f"far_end_{number}": samples for number, samples in enumerate(far_ends) if samples is not None
            },
        }

    def stream_job(self) -> dict[str, np.ndarray]:
        """The same with the minute, over and over without a stop, once for each of the voices of ``streams``."""
        voices = list(dict.fromkeys(scene.profile for scene in self.scenes))
        profiles = [voice for place, voice in enumerate(voices) if place in self.streams]
        return self._job(profiles, [np.tile(self.minute, self.minutes)] * len(profiles))

    def _job(self, profiles: list[int], noisy: list[Samples]) -> dict[str, np.ndarray]:
        return {
            "profiles": np.array(profiles),
            **{f"enrollment_{number}": samples for number, samples in enumerate(self.enrollments)},
            **{f"noisy_{number}": samples for number, samples in enumerate(noisy)},
        }

    def wanted(self) -> SceneSet:
        """Only the scenes of which a voice is wanted out of something."""
        scenes = [scene for scene in self.scenes if scene.kind in ("two-talkers", "noise")]
        return replace(self, scenes=scenes)


def short_scenes(far_end: bool = False, streams: tuple[int, ...] = STREAMS) -> SceneSet:
    """Four mixtures out of ``tests/fixtures``, their voices alone, and one of these with another's profile.

    ``far_end``: what lies over the voice is an echo.
    """
    enrollments: list[Samples] = []
    scenes: list[Scene] = []
    for number, mixture in enumerate(mixtures(CHECK)):
        assert mixture.enrollment is not None
        enrollments.append(mixture.enrollment)
        played = mixture.far_end if far_end else None
        scenes.append(Scene("two-talkers", mixture.noisy, mixture.voice, number, played))
    minute = _minute([scene.noisy for scene in scenes])
    voices = [scene.reference for scene in scenes if scene.reference is not None]
    scenes += [Scene("clean", voice, voice, number) for number, voice in enumerate(voices)]
    scenes.append(Scene("interferer-only", voices[0], None, 1))
    return SceneSet(enrollments, scenes, minute, streams=streams)


def dev_scenes(data: Path | None, far_end: bool = False) -> SceneSet:
    """Every other quick scene with the right profile; with ``far_end`` the short scenes, too, for their echo.

    Half of them are enough: int8 and fp32 are compared scene by scene, and differ little from scene to scene.
    """
    enrollments: dict[str, Samples] = {}
    scenes = []
    right = [task for task in QuickSet.load(data).tasks if task.profile == "right"]
    for task in right[::2]:
        if task.enrollment is not None and task.enrolled_speaker is not None:
            enrollments.setdefault(task.enrolled_speaker, task.enrollment)
            profile = list(enrollments).index(task.enrolled_speaker)
            scenes.append(Scene(task.clip.scene.set, task.noisy, task.clip.reference, profile))
    talkers = [scene.noisy for scene in scenes if scene.kind == "two-talkers"]
    known = list(enrollments.values())
    if far_end:
        echoes = short_scenes(far_end)
        scenes += [replace(scene, profile=len(known) + scene.profile) for scene in echoes.scenes]
        known += echoes.enrollments
    return SceneSet(known, scenes, _minute(talkers))


def _minute(parts: list[Samples]) -> Samples:
    """One after the other, again and again, for a minute."""
    return np.resize(np.concatenate(parts), MINUTE_SECONDS * SAMPLE_RATE_HZ)
