"""Personal weights: a trained network goes on learning one voice, from some seconds of it.

A network that serves everybody tells voices apart by the profile alone. For one voice it can learn more than that:
small personal models match larger general ones (Kim and Kim, arXiv 2105.03544; Sivaraman and Kim, arXiv 2104.02017).
The profile stays what the general network made of it. Whether personal weights are better than general ones must be
judged on other recordings of the voice: ``python -m studies personal``.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.checkpoint import model_id
from training.network import SAMPLE_RATE_HZ, Network
from training.schedule import Stage, load_schedule
from training.simulation.corpus import Bank, Track, active_level
from training.simulation.rooms import Rooms
from training.simulation.scenes import Cast, KnownVoices, SceneSettings, SceneSimulator
from training.train import Trainer

SCHEDULE = Path(__file__).with_name("personal.toml")
SHORTEST_READING_S = 8.0
"""A clip and two more that don't overlap it must fit."""
_FACTORS = (1.0, 0.97, 1.03)
"""Of speed: nobody speaks alike every day. Farther off it is another voice."""
_CLOSEST_SHARE = 1 / 6
"""Of the other voices, those nearest to the profile, which are the hardest."""
_AGAINST_SHARE = 0.6
"""Of the steps in which those who share the room are among the others."""
_FIT_AFTER_STEPS = 20
_USED_SHARE = 0.97  # of the minutes: a step may take longer than those before it


class FixedProfile:
    """In the place of a profile network: one profile, whatever is enrolled."""

    def __init__(self, profile: Tensor):
        """``profile``: (embedding,)."""
        self._profile = profile

    def embed(self, spectrum: Tensor) -> Tensor:
        """(enrollment, 2, frame, bin) -> (enrollment, embedding), all the same."""
        return self._profile.expand(len(spectrum), -1)


class PersonalScenes(SceneSimulator):
    """Scenes around one voice: in mixtures with one or two of the others, in noise alone, and absent.

    Every output has the profile of that voice; where it is absent, the target is silence.
    """

    def __init__(
        self, others: Bank, noise: Bank, rooms: Rooms, random: np.random.Generator,
        reading: NDArray[np.float32], against: Sequence[NDArray[np.float32]] = (),
    ):  # fmt: skip
        """``others``: voices that it learns to leave out, of none of whom ``reading`` is.

        ``reading``, ``against``: (sample,) float32 at 16 kHz, of the voice, and of each of those who share its room.
        Raises ValueError for a recording that is too short.
        """
        count = len(others.tracks)
        bank = _with_recordings(
            others, {"reading": reading, **{f"against-{i}": x for i, x in enumerate(against)}}
        )
        super().__init__(bank, noise, rooms, random)
        self.voices = np.arange(count, count + len(_FACTORS))
        """Tracks of the voice, one for each speed."""
        self._against = np.arange(count + len(_FACTORS), len(bank.tracks))
        self._others = np.arange(count)

    def _pick_group(
        self, settings: SceneSettings, eligible: np.ndarray, known: KnownVoices | None
    ) -> np.ndarray:
        """The voice first, then the others."""
        eligible = np.intersect1d(eligible, self._others)
        candidates = self.random.permutation(eligible)
        if known is not None and self.random.random() < settings.close_share:
            voice = np.flatnonzero(known.voices == self.voices[0])
            if len(voice):
                nearest = known.closest(int(voice[0]), len(self.voices) + int(_CLOSEST_SHARE * len(eligible)))
                candidates = np.r_[self.random.permutation(np.intersect1d(nearest, eligible)), candidates]
        if len(self._against) and self.random.random() < _AGAINST_SHARE:
            candidates = np.r_[self.random.choice(self._against), candidates]
        return self._distinct_speakers(np.r_[self.random.choice(self.voices), candidates], settings.speakers)

    def _cast(self, settings: SceneSettings) -> Cast:
        random, others = self.random, settings.speakers - 1
        talkers: list[list[int]] = []
        for other in range(1, others + 1):
            # The first one is the reference of the level.
            pair = [0, other] if random.random() < 0.5 else [other, 0]
            if random.random() < settings.third_talker_share:
                pair.append(1 + other % others)
            talkers.append(pair)
        talkers += [[0]] * settings.single_mixtures
        talkers += [[1], [2, 3]][: settings.absent_outputs]
        return Cast(talkers, np.zeros(len(talkers), int))

    def _outputs(
        self, settings: SceneSettings, cast: Cast, per_talker: Tensor
    ) -> tuple[np.ndarray, np.ndarray, Tensor]:
        mixtures = np.arange(len(cast.talkers))
        targets = [
            per_talker[mixture, who.index(0)] if 0 in who else torch.zeros_like(per_talker[mixture, 0])
            for mixture, who in enumerate(cast.talkers)
        ]
        return mixtures, np.zeros(len(mixtures), int), torch.stack(targets)

    def _enroll(
        self, settings: SceneSettings, speakers: np.ndarray, spots: np.ndarray, length: int
    ) -> tuple[Tensor, np.ndarray]:
        """One enrollment, which nobody listens to: the profile is fixed."""
        return self.speech.samples.new_zeros((1, length), dtype=torch.float32), speakers[:1]


def learn_voice(
    network: Network,
    profile: Tensor,
    scenes: PersonalScenes,
    minutes: float | None,
    stage: Stage | None = None,
    on_log: Callable[[dict[str, Any]], None] = lambda entry: None,
    embed: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
    start: Network | None = None,
    keep_going: Callable[[int, Network], bool] = lambda steps, averaged: True,
) -> Network:
    """The network after learning for so long: averaged weights, in evaluation mode; ``network`` itself stays. It takes
    the profiles that ``network`` takes.

    ``profile``: (embedding,) float32, that of the voice, as the profile network makes it. ``minutes``: the number of
    steps becomes what they hold; None for that of the stage. ``stage``: that of ``personal.toml``, or another.
    ``on_log`` is given the means of the losses now and then. ``embed``: the profile network's, (clip, 2, frame, bin) ->
    (clip, embedding), to find the voices that are near; without it all are as near. ``start``: earlier personal weights
    of ``network``, to go on from. ``keep_going`` is asked after each step, with the number of steps so far and the
    averaged weights as they are then, in evaluation mode and not to be changed; False ends it. The time it takes is
    part of the minutes.
    """
    began = time.monotonic()
    ends = np.inf if minutes is None else began + _USED_SHARE * 60 * minutes
    trainer = Trainer(
        copy.deepcopy(start or network), [stage or load_schedule(SCHEDULE)[0]], scenes, None, seed,
        FixedProfile(profile),
    )  # fmt: skip
    if embed is not None:
        trainer.embed_voices(embed=embed)
    trainer.clock.restart()
    entries: list[dict[str, Tensor]] = []
    first_step = time.monotonic()
    while trainer.stage_step < trainer.stages[0].steps and time.monotonic() < ends:
        entries.append(trainer.step(trainer.stages[0]))
        if not keep_going(trainer.steps, trainer.averaged):
            break
        if len(entries) == _FIT_AFTER_STEPS:
            on_log(trainer.summarise(trainer.stages[0], entries))
            now = time.monotonic()
            if minutes is not None:
                trainer.fit(ends - now, (now - first_step) / trainer.steps)
            entries = []
            trainer.clock.restart()
    # What it makes of a recording now is no profile of anybody's: it goes on taking those that it was taught with.
    trainer.averaged.profiles_of = network.profiles_of or model_id(network)
    return trainer.averaged


def _with_recordings(bank: Bank, recordings: dict[str, NDArray[np.float32]]) -> Bank:
    """A bank and further voices behind it, each at all speeds."""
    tracks, pieces = list(bank.tracks), [bank.samples.cpu().numpy()]
    offset = len(pieces[0])
    for name, samples in recordings.items():
        if len(samples) < SHORTEST_READING_S * SAMPLE_RATE_HZ:
            seconds = len(samples) / SAMPLE_RATE_HZ
            raise ValueError(
                f"{seconds:.0f} s of a voice are too little to learn from: record {SHORTEST_READING_S:.0f} or more."
            )
        for factor in _FACTORS:
            faster = soxr.resample(samples, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ)
            pcm = (np.clip(faster, -1, 1) * 32767).astype(np.int16)
            level = active_level(pcm / np.float32(32768))
            tracks.append(Track(f"{name}@{factor}", offset, len(pcm), level, (0,)))
            pieces.append(pcm)
            offset += len(pcm)
    return Bank(torch.from_numpy(np.concatenate(pieces)).to(bank.samples.device), tracks)
