"""Streams in which enrolled voices and strangers take turns, and what an Enhancer says of each second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import embed
from edge_pse.model import Model
from edge_pse.profiles import Profile, Recording
from edge_pse.speakers import LEAST_SPEECH_SECONDS, Heard
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.sets.builder import SetBuilder, is_adult
from evaluation.sets.corpus import Talker, read_noises, read_talkers
from evaluation.sets.render import render, render_enrollment
from evaluation.sets.scene import Noise

ENROLLED, STRANGERS = 4, 2
TURN_SECONDS = 6
SNR_DB = (10.0, 30.0)


@dataclass(frozen=True)
class Said:
    """Some seconds of one turn, as they are compared."""

    group: int
    speaker: int
    """Number of the enrolled voice; those from ``ENROLLED`` on are strangers."""
    seconds: int
    """How many were taken together."""
    speech_seconds: float
    cosines: NDArray[np.floating]
    """With each enrolled voice, (ENROLLED,)."""


class TurnBuilder:
    """Draws people of whom some are enrolled, and lets all of them speak."""

    def __init__(self, root: Path, model: Model):
        self._root, self._model = root, model
        self._build = SetBuilder("who-spoke", root, read_talkers(root), read_noises(root))

    def group(self, number: int) -> Iterator[Said]:
        """One stream: second by second, two and three seconds together, and whole turns."""
        people = [self._build.next_talker("people", is_adult)]
        while len(people) < ENROLLED + STRANGERS:
            like = len(people) % 2 == 0
            people.append(self._build.other_talker(*people, sex=people[0].sex, like=like))
        order = self._build.random.permutation(len(people))
        heard = self._hear(np.concatenate([self._turn(people[one]) for one in order]))
        profiles = [self._profile(one) for one in people[:ENROLLED]]
        space = self._model.contract.voice_space
        enrolled = space.project(np.stack([profile.embedding for profile in profiles]))
        for place, speaker in enumerate(order):
            turn = heard[place * TURN_SECONDS : (place + 1) * TURN_SECONDS]
            for seconds in (1, 2, 3, TURN_SECONDS):
                for start in range(0, TURN_SECONDS, seconds):
                    part = turn[start : start + seconds]
                    speech = np.array([second.speech_seconds for second in part])
                    if speech.sum() < LEAST_SPEECH_SECONDS:
                        continue
                    mean = np.average([second.embedding for second in part], axis=0, weights=speech)
                    yield Said(
                        number, int(speaker), seconds, float(speech.sum()), enrolled @ space.project(mean)
                    )

    def _hear(self, samples: NDArray[np.float32]) -> list[Heard]:
        heard: list[Heard] = []
        enhancer = Enhancer(self._model)
        enhancer.identify(heard.append)
        enhancer.process(samples)
        return heard

    def _turn(self, talker: Talker) -> NDArray[np.float32]:
        """Some seconds in a room, at a level and in noise of their own."""
        scene = self._build.scene({}, (), TURN_SECONDS)
        room = self._build.room() if self._build.random.random() < 0.5 else None
        voice = self._build.voice(talker, TURN_SECONDS, 0.0)
        noise = Noise(self._build.noise_source().segment, 0.0)
        scene = replace(scene, target=voice, noise=noise, room=room)
        snr_db = float(self._build.random.uniform(*SNR_DB))
        return render(self._build.balance(scene, snr_db=snr_db), self._root).mixture[
            : TURN_SECONDS * SAMPLE_RATE_HZ
        ]

    def _profile(self, talker: Talker) -> Profile:
        embedding = embed(render_enrollment(self._root, self._build.enrollment(talker)), self._model)
        recording = Recording(embedding, half_band=embedding, speech_seconds=0.0, snr_db=0.0)
        return Profile(talker.speaker, self._model.contract.profiles_of, (recording,))
