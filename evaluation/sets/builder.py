"""How scenes are drawn: talkers in turn, levels measured once and written down.

Gains are settled here, so that scoring needs no second opinion on what an active speech level is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from evaluation.metrics.signal import active_rms
from evaluation.sets.corpus import NoiseSource, Talker, take
from evaluation.sets.render import render, render_enrollment
from evaluation.sets.scene import Echo, Enrollment, Noise, ProfileKind, Scene, TalkType, Voice

SEED = 2024
CLIP_SECONDS = 6.0
ENROLLMENT_SECONDS = 10.0
TARGET_LEVELS_DBFS = (-32.0, -22.0)
PEAK_LIMIT = 0.95
INDOOR_ROOMS = (
    "rir/dev/room/piper-ir_bathroom1.flac",
    "rir/dev/room/pymixconsole-small_room.flac",
    "rir/dev/room/reverbjs-DomesticLivingRoom.flac",
    "rir/dev/room/reverbjs-StairwayUniversityOfYork.flac",
    "rir/dev/room/spatialaudio-rir_clap.flac",
    "rir/dev/room/web-kitchen-true-stereo.flac",
)
"""Rooms in which people talk to a microphone; the car park and the museum (over 2 s) are left out."""


def _db(amplitude: float) -> float:
    return 20.0 * float(np.log10(amplitude))


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


Part = TypeVar("Part", Voice, Noise)


def _quieter(part: Part, by_db: float) -> Part:
    return replace(part, gain_db=round(part.gain_db - by_db, 2))


class SetBuilder:
    """Draws scenes for one set: its own random stream, so that one set can change without the others."""

    def __init__(self, name: str, root: Path, talkers: list[Talker], noises: list[NoiseSource]) -> None:
        self.name = name
        self.set_name = name
        """The set that the scenes stand for; the quick set holds scenes of several."""
        self.root = root
        self.talkers = talkers
        self.noises = noises
        self.random = np.random.default_rng([SEED, zlib.crc32(name.encode())])
        self.scenes: list[Scene] = []
        self._turns: dict[str, list[Talker]] = {}

    def next_talker(self, group: str, accepts: Callable[[Talker], bool]) -> Talker:
        """The next of the accepted talkers in a shuffled round, so that each has about as many clips."""
        if not self._turns.get(group):
            accepted = [talker for talker in self.talkers if accepts(talker)]
            self._turns[group] = [accepted[index] for index in self.random.permutation(len(accepted))]
        return self._turns[group].pop()

    def other_talker(self, *avoid: Talker, sex: str | None = None, like: bool = True) -> Talker:
        """An adult other than `avoid`, of the given sex (or, with like=False, of the other one)."""
        names = {talker.speaker for talker in avoid}
        fitting = [
            talker
            for talker in self.talkers
            if is_adult(talker)
            and talker.speaker not in names
            and (sex is None or (talker.sex == sex) == like)
        ]
        return fitting[int(self.random.integers(len(fitting)))]

    def voice(self, talker: Talker, seconds: float, at: float) -> Voice:
        first = int(self.random.integers(len(talker.mixing)))
        segments = take(talker.mixing, seconds, first)
        return Voice(talker.speaker, segments, at=round(at, 2), sex=talker.sex)

    def noise_source(self, babble: bool = False) -> NoiseSource:
        """A noise whose label is drawn first, so that frequent labels do not rule the set."""
        fitting = [noise for noise in self.noises if noise.babble == babble]
        labels = sorted({noise.label for noise in fitting})
        label = labels[int(self.random.integers(len(labels)))]
        same = [noise for noise in fitting if noise.label == label]
        return same[int(self.random.integers(len(same)))]

    def room(self) -> str:
        return INDOOR_ROOMS[int(self.random.integers(len(INDOOR_ROOMS)))]

    def _level_db(self, scene: Scene) -> float:
        return _db(active_rms(render(scene, self.root).mixture))

    def _alone(self, like: Scene, **part: object) -> Scene:
        """The scene with nothing in it but `part`, in the same room."""
        bare = Scene(like.name, like.set, like.seconds, {}, room=like.room)
        return replace(bare, **part)  # type: ignore[arg-type]

    def balance(self, scene: Scene, sir_db: float | None = None, snr_db: float | None = None) -> Scene:
        """Set the gains: the target at a drawn level, the other talkers' sum and the noise below it.

        Without a target the interferers are put at the drawn level and the noise below them.
        """
        level = float(self.random.uniform(*TARGET_LEVELS_DBFS))
        if scene.target:
            gain = level - self._level_db(self._alone(scene, target=scene.target))
            scene = replace(scene, target=replace(scene.target, gain_db=round(gain, 2)))
        if scene.interferers:
            wanted = level - (sir_db or 0.0)
            equal = tuple(
                replace(voice, gain_db=-self._level_db(self._alone(scene, interferers=(voice,))))
                for voice in scene.interferers
            )
            gain = wanted - self._level_db(self._alone(scene, interferers=equal))
            voices = tuple(replace(voice, gain_db=round(voice.gain_db + gain, 2)) for voice in equal)
            scene = replace(scene, interferers=voices)
        if scene.noise and snr_db is not None:
            alone = render(self._alone(scene, noise=replace(scene.noise, gain_db=0.0)), self.root).mixture
            gain = level - snr_db - _db(_rms(alone))
            scene = replace(scene, noise=replace(scene.noise, gain_db=round(gain, 2)))
        return self.without_clipping(scene)

    def without_clipping(self, scene: Scene) -> Scene:
        """All parts softer by what the mixture would be over `PEAK_LIMIT`."""
        peak = float(np.abs(render(scene, self.root).mixture).max())
        if peak <= PEAK_LIMIT:
            return scene
        back = round(_db(peak / PEAK_LIMIT) + 0.01, 2)

        return replace(
            scene,
            target=scene.target and _quieter(scene.target, back),
            interferers=tuple(_quieter(voice, back) for voice in scene.interferers),
            noise=scene.noise and _quieter(scene.noise, back),
        )

    def enrollment(self, talker: Talker, seconds: float = ENROLLMENT_SECONDS) -> Enrollment:
        """The talker's enrollment at -26 dBFS: the same for every clip, so that a profile is made once."""
        plain = Enrollment(talker.speaker, take(talker.enrollment, seconds))
        gain = -26.0 - _db(active_rms(render_enrollment(self.root, plain)))
        return replace(plain, gain_db=round(gain, 2))

    def noisy_enrollment(self, enrollment: Enrollment, snr_db: float) -> Enrollment:
        """The same enrollment with background noise."""
        speech_db = _db(active_rms(render_enrollment(self.root, enrollment)))
        source = self.noise_source().segment
        alone = self._alone(self.scene({}, ()), noise=Noise(source, 0.0))
        gain = speech_db - snr_db - _db(_rms(render(alone, self.root).mixture))
        return replace(enrollment, noise=Noise(source, round(gain, 2)))

    def with_echo(self, scene: Scene, far: Talker, talk_type: TalkType, room: str) -> Scene:
        """A far-end talker at -26 dBFS whose echo, through `room`, is 0..10 dB weaker than that."""
        voice = self.voice(far, scene.seconds, 0.0)
        loopback = self._level_db(self._alone(scene, interferers=(voice,)))
        in_room = self._level_db(self._alone(replace(scene, room=room), interferers=(voice,)))
        return replace(
            scene,
            echo=Echo(
                voice.segments,
                gain_db=round(-26.0 - loopback, 2),
                room=room,
                delay_seconds=round(float(self.random.uniform(0.02, 0.12)), 3),
                echo_gain_db=round(loopback - in_room - float(self.random.uniform(0.0, 10.0)), 2),
                talk_type=talk_type,
            ),
        )

    def scene(
        self, tags: dict[str, str], profiles: tuple[ProfileKind, ...], seconds: float = CLIP_SECONDS
    ) -> Scene:
        """An empty scene with the next running number in its name."""
        prefix = [] if self.set_name.startswith(self.name) else [self.name]
        words = [*prefix, self.set_name, *tags.values()]
        label = "_".join(word.replace(" ", "-") for word in words)
        return Scene(f"{label}_{len(self.scenes):03d}", self.set_name, seconds, tags, profiles)

    def talkers_scene(
        self, scene: Scene, target: Talker, others: list[Talker], noisy: bool, room: bool
    ) -> Scene:
        """Target and others talking over each other to the end of the clip; gains still to be set."""
        late = float(self.random.uniform(0.2, 0.8))
        return replace(
            scene,
            target=self.voice(target, scene.seconds - late, late),
            interferers=tuple(
                self.voice(other, scene.seconds, float(self.random.uniform(0.0, 0.5))) for other in others
            ),
            noise=Noise(self.noise_source().segment, 0.0) if noisy else None,
            room=self.room() if room else None,
            right=self.enrollment(target),
            wrong=self.enrollment(others[0] if others else self.other_talker(target, sex=target.sex)),
        )

    def add(self, scene: Scene) -> None:
        self.scenes.append(scene)


def is_adult(talker: Talker) -> bool:
    """Adults whose sex the manifest gives: the only ones for same-sex and cross-sex pairs."""
    return talker.sex is not None and not talker.is_child
