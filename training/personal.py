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
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.checkpoint import take_profiles
from training.decoding import decode
from training.losses import LossWeights
from training.memory import give_back_memory
from training.network import SAMPLE_RATE_HZ, Network
from training.optimizer import Optimizer
from training.schedule import Stage, load_schedule
from training.simulation.corpus import Bank, Track, active_level
from training.simulation.rooms import Rooms
from training.simulation.scenes import Cast, KnownVoices, SceneBatch, SceneSettings, SceneSimulator
from training.spectral import analyse
from training.step import StepLoss, output_losses
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
_EMBEDDED_AT_ONCE = 6
"""Voices: more take no less time, and memory."""
_MOST_CLIPS = 2
"""At once through the decoder, in each thread: what they keep for the way back is most of the memory."""
_FIT_AFTER_STEPS = 20
_USED_SHARE = 0.97  # of the minutes: a step may take longer than those before it


class FixedProfiles:
    """In the place of a profile network: profiles that are known, whatever is enrolled."""

    def __init__(self, profiles: Tensor):
        """``profiles``: (enrollment, embedding), or (1, embedding) for all enrollments."""
        self._profiles = profiles

    def embed(self, spectrum: Tensor) -> Tensor:
        """(enrollment, 2, frame, bin) -> (enrollment, embedding)."""
        return self._profiles.expand(len(spectrum), -1)


class PersonalScenes(SceneSimulator):
    """Scenes around one voice: in mixtures with one or two of the others, in noise alone, and absent.

    The outputs of these have the profile of that voice; where it is absent, the target is silence. In replay mixtures
    two of the others talk, and one of them is wanted, by the profile of that one. Without them, a network soon takes
    for somebody else whatever does not sound as the reading did, the voice itself on another day among it: it forgets
    to ask the profile. What was learnt before is presented again against forgetting since Robins (Connection Science
    7(2), 1995).
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

    def draw(self, settings: SceneSettings, embeddings: np.ndarray | None = None) -> SceneBatch:
        """As a simulator does. Enrollments are silent: profiles are known. Raises ValueError where there are fewer
        others than replay mixtures.
        """
        if settings.replay_mixtures >= settings.speakers:
            raise ValueError(
                f"{settings.replay_mixtures} replay mixtures need as many others in a group: give it "
                f"{settings.replay_mixtures + 1} speakers."
            )
        return super().draw(settings, embeddings)

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
        talkers += [[other, 1 + other % others] for other in self._replayed(settings)]
        return Cast(talkers, np.zeros(len(talkers), int))

    def _replayed(self, settings: SceneSettings) -> list[int]:
        """Who of the group is wanted in the replay mixtures, the last mixtures of all."""
        return list(range(settings.speakers - settings.replay_mixtures, settings.speakers))

    def _outputs(
        self, settings: SceneSettings, cast: Cast, per_talker: Tensor
    ) -> tuple[np.ndarray, np.ndarray, Tensor]:
        mixtures = np.arange(len(cast.talkers))
        replayed = self._replayed(settings)
        wanted = [0] * (len(mixtures) - len(replayed)) + replayed
        targets = [
            per_talker[mixture, who.index(of)] if of in who else torch.zeros_like(per_talker[mixture, 0])
            for mixture, (who, of) in enumerate(zip(cast.talkers, wanted, strict=True))
        ]
        profiles = np.maximum(mixtures - (len(mixtures) - len(replayed)) + 1, 0)
        return mixtures, profiles, torch.stack(targets)

    def _enroll(
        self, settings: SceneSettings, speakers: np.ndarray, spots: np.ndarray, length: int
    ) -> tuple[Tensor, np.ndarray]:
        """Of the voice and of who is wanted in replay mixtures, for nobody to listen to: profiles are known."""
        enrolled = speakers[[0, *self._replayed(settings)]]
        return self.speech.samples.new_zeros((len(enrolled), length), dtype=torch.float32), enrolled


class _Learner(Trainer):
    """A trainer that runs a step in as many parts as there are threads, and meanwhile draws the next.

    Parts share nothing but the weights, and wait for each other once a step: threads inside every small operation of
    the recurrent layers and of the optimizer would do so a thousand times. In single precision: bf16 is hardly faster
    here.
    """

    def __init__(self, network: Network, stage: Stage, scenes: PersonalScenes, seed: int, profile: Tensor):
        if stage.norm_statistics:
            raise ValueError(
                "Statistics of batch norms are of many voices: set norm_statistics of the stage to false."
            )
        super().__init__(network, [stage], scenes, None, seed, FixedProfiles(profile[None]))
        self.bfloat16 = False
        self.optimizer = Optimizer(network, bfloat16=False)
        self._threads = torch.get_num_threads()
        self._profile = profile[None]
        self._pool = ThreadPoolExecutor(self._threads + 2, initializer=_start_thread)
        self._following: Future[SceneBatch] | None = None

    def embed(self, embed: Callable[[Tensor], Tensor], known: Tensor | None) -> None:
        """Find what is near to the voice, in one of the threads: threads inside an operation wait for each other."""
        if known is not None:
            self.embeddings[: len(known)] = known
        self._pool.submit(self.embed_voices, at_once=_EMBEDDED_AT_ONCE, embed=embed).result()

    def step(self, stage: Stage) -> dict[str, Tensor]:
        """As a trainer's, in one of the threads."""
        return self._pool.submit(super().step, stage).result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)

    def _draw(self, stage: Stage) -> SceneBatch:
        drawing = self._following or self._pool.submit(super()._draw, stage)
        batch = drawing.result()
        self._following = self._pool.submit(super()._draw, stage)
        return batch

    def _add_gradients(self, stage: Stage, batch: SceneBatch) -> StepLoss:
        weights = stage.loss_weights(self.stage_step / stage.steps)
        outputs = len(batch.targets)
        parts = np.array_split(np.arange(outputs), min(self._threads, outputs))
        losses = list(self._pool.map(lambda part: self._add_part(batch, part, weights), parts))
        self.clock.lap("parts")
        means = {name: torch.cat([loss[name] for loss in losses]).mean() for name in losses[0]}
        return StepLoss(means.pop("total"), means, self._profiles(batch))

    def _profiles(self, batch: SceneBatch) -> Tensor:
        """Of all who are enrolled, the voice first: (enrollment, embedding)."""
        return torch.cat([self._profile, self.embeddings[batch.enrollment_voices[1:]]])

    def _add_part(self, batch: SceneBatch, part: np.ndarray, weights: LossWeights) -> dict[str, Tensor]:
        """Add the gradient of some of the outputs, each of a mixture of its own; the losses of each, (output,).

        The recurrent layers take all at once: a frame of one takes them nearly as long. The decoder takes few, and what
        they keep for the way back is freed before the next. So its inputs are cut off from what has made them, whose
        way back begins when all gradients of these inputs are known.
        """
        mixtures, targets = batch.mixtures[part], batch.targets[part]
        spectrum = analyse(mixtures)
        encoded = self.network.encode(spectrum)
        speaker = self.network.condition(self._profiles(batch))[batch.output_profile[part]]
        made = [self.network.temporal(encoded.latent, speaker), speaker, *encoded.skips]
        cut = [x.detach().requires_grad_(x.requires_grad) for x in made]
        losses: list[dict[str, Tensor]] = []
        few = (x.split(_MOST_CLIPS) for x in (mixtures, targets, spectrum, *cut))
        for mixture, target, noisy, temporal, voice, *skips in zip(*few, strict=True):
            enhanced = decode(self.network, temporal, skips, voice, noisy)
            total, of_parts = output_losses(enhanced, mixture, target, weights)
            (total.sum() / len(batch.targets)).backward()
            losses.append({"total": total.detach(), **{name: x.detach() for name, x in of_parts.items()}})
        learning = [(x, inside.grad) for x, inside in zip(made, cut, strict=True) if x.requires_grad]
        if learning:
            torch.autograd.backward([x for x, _ in learning], [gradient for _, gradient in learning])
        return {name: torch.cat([loss[name] for loss in losses]) for name in losses[0]}


def _start_thread() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # each thread for itself


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
    known: Tensor | None = None,
) -> Network:
    """The network after learning for so long: averaged weights, in evaluation mode; ``network`` itself stays. It takes
    the profiles that ``network`` takes.

    ``profile``: (embedding,) float32, that of the voice, as the profile network makes it. ``minutes``: the number of
    steps becomes what they hold; None for that of the stage. ``stage``: that of ``personal.toml``, or another.
    ``on_log`` is given the means of the losses now and then. ``embed``: the profile network's, (clip, 2, frame, bin) ->
    (clip, embedding), to find the voices that are near, and for replay mixtures; without it all voices are as near, and
    ValueError is raised for a stage with replay mixtures. ``start``: earlier personal weights of ``network``, to go on
    from. ``keep_going`` is asked after each step, with the number of steps so far and the averaged weights as they are
    then, in evaluation mode and not to be changed; False ends it. The time it takes is part of the minutes. ``known``:
    what ``embed`` makes of the first of the other voices, (voice, embedding).
    """
    began = time.monotonic()
    ends = np.inf if minutes is None else began + _USED_SHARE * 60 * minutes
    stage = stage or load_schedule(SCHEDULE)[0]
    if embed is None and stage.scenes.replay_mixtures:
        raise ValueError(
            "Replay mixtures need the profiles of the others: give embed, or set replay_mixtures to 0."
        )
    learner = _Learner(copy.deepcopy(start or network), stage, scenes, seed, profile)
    if embed is not None:
        learner.embed(embed, known)
        give_back_memory()
    try:
        _learn(learner, ends, on_log, keep_going)
    finally:
        learner.close()
    # What it makes of a recording now is no profile of anybody's: it goes on taking those that it was taught with.
    take_profiles(learner.averaged, network)
    return learner.averaged


def _learn(
    learner: _Learner, ends: float, on_log: Callable[[dict[str, Any]], None],
    keep_going: Callable[[int, Network], bool],
) -> None:  # fmt: skip
    """Steps until ``ends`` of the monotonic clock, which the stage is fitted to again and again."""
    entries: list[dict[str, Tensor]] = []
    learner.clock.restart()
    began = time.monotonic()
    while learner.stage_step < learner.stages[0].steps and time.monotonic() < ends:
        entries.append(learner.step(learner.stages[0]))
        if not keep_going(learner.steps, learner.averaged):
            break
        if len(entries) == _FIT_AFTER_STEPS:
            on_log(learner.summarise(learner.stages[0], entries))
            now = time.monotonic()
            if ends < np.inf:
                learner.fit(ends - now, (now - began) / learner.steps)
            entries = []
            learner.clock.restart()


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
