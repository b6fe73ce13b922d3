"""One voice learnt from a reading, within so many minutes: loading, learning, judging, and the files made of it.

A part of the reading is held out, and what was learnt is kept only if it is better on that: see
``personalisation.judging``.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import training
from edge_pse.errors import EdgePseError, ProfileError
from edge_pse.profiles import PersonalFile, PersonalNetwork, PersonalWeights
from evaluation.metrics.signal import active_frames
from personalisation.files import FilesError, files_of, general_of
from personalisation.judging import (
    FEWEST_CANDIDATES,
    SHARES,
    SNAPSHOT_SHARES,
    SNAPSHOTS,
    Judge,
    Moment,
    Verdict,
    in_threads,
)
from personalisation.likeness import EMBEDDED
from personalisation.others import Others, Sounds
from personalisation.scenes import ROWS, Scenes, Voices, draw_scenes
from training.checkpoint import load_checkpoint, model_id, profiles_id, take_profiles
from training.memory import give_back_memory
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ, Network
from training.personal import SHORTEST_READING_S, PersonalScenes, learn_voice
from training.simulation.corpus import active_level
from training.spectral import analyse

Samples = NDArray[np.float32]

CHECKPOINTS = Path(training.__file__).with_name("checkpoints")
SHORTEST_SPEECH_S = 8.0
"""Of a reading, without its pauses: some ten seconds with them."""
SHORTEST_AGAINST_S = 4.0
_HELD_SHARE, _LEAST_HELD_S = 0.25, 2.5
_LEVEL = 0.05
"""Of the speech of each recording, so that none is louder than another in what is learnt."""
_ALL_SCENES_MINUTES = 4.0
"""With less, fewer of them."""
_FILES_S, _FILES_JUDGINGS = 5.0, 1.5
"""To make and check the files: so long, and as long as to judge so many candidates by all scenes."""
_JUDGING_SHARE = 0.1
"""Of the minutes, for judging candidates, if more than the fewest are to be judged."""
_LEAST_LEARNING = 0.4
"""Of the minutes. Where others take the processor, it ends as much later as they took, until learning has so much:
nobody reads aloud for nothing."""
_STOPPED_S = 25.0
"""So long it takes at most, if the machine lets it, to judge and write what there is when somebody ends it."""
_EMBEDDED_AT_ONCE = 6  # more take no less time, and memory
_FIRST_INTERIM_S, _INTERIM_TIME = 20.0, 0.04
"""Of the time, for scores meanwhile, which are of a part of the scenes."""


class LearnerError(EdgePseError):
    """What is asked for can't be learnt; says what to do."""


@dataclass(frozen=True)
class Request:
    """What is to be learnt."""

    network: str
    """Its name: ``pvqe-s``."""
    minutes: float
    """For all of it."""
    profile: Samples
    """``Profile.conditioning``, (embedding,)."""
    profile_id: str
    """``Profile.id``."""
    reading: Sequence[Samples]
    """Recordings of the voice, (sample,) each, mono at 16 kHz."""
    against: Sequence[Samples] = ()
    """The same of others, whom it learns to leave out above all."""
    start: bytes = b""
    """A file of personal weights to go on from; empty: from the general ones."""


@dataclass(frozen=True)
class Result:
    """What came of it."""

    sentences: list[str]
    """Three, of what was gained."""
    scores: dict[str, Any]
    """What it was judged by, and where the time went; plain values."""
    weights: bytes
    """A file of personal weights; empty where the general ones are kept."""


@dataclass
class Progress:
    """Where a learner is: written by its thread, read by another."""

    ends_s: float
    """When all has to be done, by ``time.monotonic``."""
    steps: int = 0
    score_db: float | None = None

    def minutes_left(self) -> float:
        """Until then, not below 0."""
        return max(self.ends_s - time.monotonic(), 0.0) / 60


@dataclass
class Learner:
    """The way from a reading to personal weights; runs once.

    ``began_s``: when the minutes began, by ``time.monotonic``. ``load_others``: gives the voices, noises and rooms that
    it learns against, embedded by the network of the id that it is given. ``is_stopped``: is asked after each step;
    once true, the learner ends with the best so far.
    """

    request: Request
    began_s: float
    load_others: Callable[[str], Others]
    is_stopped: Callable[[], bool] = lambda: False
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(self.began_s + 60 * self.request.minutes)
        self._took: dict[str, float] = {}
        self._lap_s = self.began_s

    def run(self) -> Result:
        """Raises LearnerError for what nothing can be learnt from, and where the minutes are too few."""
        request = self.request
        check(request)
        network, profile_network = load_networks(request.network, len(request.profile))
        start = self._start(network)
        others = self.load_others(profiles_id(profile_network))
        if self.is_stopped():
            return Result(["The general weights are kept: it ended before anything was learnt."], {}, b"")
        reading = [split(recording) for recording in request.reading]
        against = [split(recording) for recording in request.against]
        scenes = PersonalScenes(
            others.speech, others.noise, others.rooms, np.random.default_rng(0),
            _joined([learnt for learnt, _ in reading]), [_joined([learnt]) for learnt, _ in against],
        )  # fmt: skip
        judging, embeddings = others.judging, others.embeddings
        del others  # the scenes have a copy
        drawn = self._drawn(judging, profile_network, [x for _, x in reading], [x for _, x in against])
        del judging
        self._lap("loading")
        judge = Judge(network, torch.from_numpy(request.profile), drawn)
        self._lap("general_judged")
        learnt = self._learn(network, start, scenes, judge, profile_network, embeddings)
        self._lap("learning")
        verdict = judge.choose(learnt, start, lambda: self._left_s() - _files_s(judge))
        self._lap("judging")
        return self._result(verdict)

    def _left_s(self) -> float:
        """Until all has to be done: soon, once somebody ends it."""
        if self.is_stopped():
            self.progress.ends_s = min(self.progress.ends_s, time.monotonic() + _STOPPED_S)
        return self.progress.ends_s - time.monotonic()

    def _end_s(self, judge: Judge) -> float:
        """What is to be done after learning takes so long, as far as that is known by now."""
        candidates = SHARES + len(SNAPSHOTS) * len(SNAPSHOT_SHARES) + bool(self.request.start)
        all_s, fewest_s = candidates * judge.judging_s, FEWEST_CANDIDATES * judge.judging_s
        return max(fewest_s, min(all_s, 60 * self.request.minutes * _JUDGING_SHARE)) + _files_s(judge)

    def _learning_s(self, end_s: float) -> float:
        """For how many seconds there is time to learn, if what comes after that takes ``end_s``."""
        seconds = self._left_s() - end_s
        if self.is_stopped():
            return seconds
        needed_s = time.monotonic() - self.began_s + end_s
        lacking_s = _LEAST_LEARNING * 60 * self.request.minutes - seconds
        made_up_s = max(0.0, min(lacking_s, (1 - self._pace()) * needed_s))
        if seconds + made_up_s <= 0:
            raise LearnerError(
                f"{self.request.minutes:.2g} minutes are too few: without any learning it takes {needed_s / 60:.1f} "
                "here."
            )
        self.progress.ends_s += made_up_s
        return seconds + made_up_s

    def _drawn(
        self, sounds: Sounds, profile_network: Network, held: list[Samples], named: list[Samples]
    ) -> Scenes:
        """What is judged by; the fewer scenes the less time there is."""
        voices = _by_nearness(sounds, profile_network, held)
        share = self._scenes_share()
        (drawn,) = in_threads(lambda share: draw_scenes(held, voices, named, share), [share])
        return drawn

    def _scenes_share(self) -> float:
        """Of the scenes. Minutes count as far as the processor was to be had while all was loaded."""
        return min(1.0, self._pace() * self.request.minutes / _ALL_SCENES_MINUTES)

    def _pace(self) -> float:
        """Which part of the time so far a processor was to be had, 1 at most."""
        return min(1.0, time.process_time() / max(time.monotonic() - self.began_s, 1e-3))

    def _start(self, general: Network) -> Network | None:
        if not self.request.start:
            return None
        try:
            earlier = PersonalWeights.decode(self.request.start).networks[self.request.network]
            return unpack(general, earlier.files[_numbers_name(self.request.network)].weights)
        except (ProfileError, KeyError, ValueError) as error:
            raise LearnerError(
                "What was learnt earlier is damaged or of another release, so that there is no going on from it: learn "
                "anew."
            ) from error

    def _learn(
        self, network: Network, start: Network | None, scenes: PersonalScenes, judge: Judge,
        profile_network: Network, embeddings: Tensor,
    ) -> list[Moment]:  # fmt: skip
        """What was learnt, the latest last; empty where there was no time for a step."""
        seconds = self._learning_s(self._end_s(judge))
        if self.is_stopped():
            return []
        snapshots = _Snapshots(seconds)
        interim = _Interim(self.progress, judge)

        def keep_going(steps: int, averaged: Network) -> bool:
            self.progress.steps = steps
            snapshots.look(averaged)
            interim.look(averaged)
            # Judging takes longer than it did at first where something else has begun to run meanwhile.
            return not self.is_stopped() and self._left_s() > self._end_s(judge)

        last = learn_voice(
            network, torch.from_numpy(self.request.profile), scenes, seconds / 60, embed=profile_network.embed,
            start=start, keep_going=keep_going, known=embeddings,
        )  # fmt: skip
        for moment in snapshots.taken:
            take_profiles(moment.network, last)
        return [*snapshots.taken, Moment(last)] if self.progress.steps else []

    def _result(self, verdict: Verdict) -> Result:
        request, made = self.request, dict[str, PersonalFile]()
        torch.set_num_threads(1)  # files are run frame by frame
        while verdict.network is not None and not made:
            try:
                made = model_files(verdict.network, request.network, request.reading)
            except FilesError:  # nearer to the general weights it may do
                verdict = verdict.without_best()
        self._lap("files")
        sentences = verdict.sentences()
        scores = {**verdict.scores(), "steps": self.progress.steps, "seconds": self._took}
        if not made:
            return Result(sentences, scores, b"")
        learnt = PersonalNetwork(
            model_id=general_of(request.network).model_id,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            reading_seconds=round(sum(map(len, request.reading)) / SAMPLE_RATE_HZ, 1),
            minutes=round((time.monotonic() - self.began_s) / 60, 2),
            against=len(request.against),
            sentences=tuple(sentences),
            scores=scores,
            files=made,
        )
        weights = PersonalWeights(request.profile_id, {request.network: learnt})
        return Result(sentences, scores, weights.encode())

    def _lap(self, part: str) -> float:
        """What was done since the last one is ``part``: its seconds."""
        now = time.monotonic()
        took_s, self._lap_s = now - self._lap_s, now
        self._took[part] = round(took_s, 1)
        give_back_memory()
        return took_s


class _Snapshots:
    """Averaged weights as they are at some moments of so many seconds from now on."""

    def __init__(self, seconds: float):
        now = time.monotonic()
        self._to_come = [(now + share * seconds, share) for share in SNAPSHOTS]
        self.taken: list[Moment] = []

    def look(self, averaged: Network) -> None:
        """Take one if it is time; to be called after each step."""
        if self._to_come and time.monotonic() >= self._to_come[0][0]:
            self.taken.append(Moment(copy.deepcopy(averaged), self._to_come.pop(0)[1]))


class _Interim:
    """Scores while it learns, of a part of the scenes, now and then."""

    def __init__(self, progress: Progress, judge: Judge):
        self._progress, self._judge = progress, judge
        self._next_s: float | None = None

    def look(self, network: Network) -> None:
        """Measure if it is time; to be called after each step."""
        began_s = time.monotonic()
        self._next_s = self._next_s or began_s + _FIRST_INTERIM_S
        if began_s < self._next_s:
            return
        self._progress.score_db = self._judge.interim_gain_db(network)
        now = time.monotonic()
        self._next_s = now + (now - began_s) / _INTERIM_TIME


def _files_s(judge: Judge) -> float:
    """What making and checking the files takes, as far as that is known."""
    return _FILES_S + _FILES_JUDGINGS * judge.clip_s * sum(row.clips for row in ROWS)


def check(request: Request) -> None:
    """LearnerError unless there is enough of each voice."""
    seconds = sum(speech_s(recording) for recording in request.reading)
    if seconds < SHORTEST_SPEECH_S:
        raise LearnerError(
            f"There are {seconds:.0f} s of speech in the reading, too little to learn from: read for ten seconds at "
            "least, better for a minute."
        )
    for recording in request.against:
        if speech_s(recording) < SHORTEST_AGAINST_S:
            raise LearnerError(
                f"A recording of somebody else has {int(speech_s(recording))} s of speech: give "
                f"{SHORTEST_AGAINST_S:.0f} or more, or leave it out."
            )


def speech_s(recording: Samples) -> float:
    """Seconds of a recording, (sample,), in which it is not far below its loudest."""
    return float(np.count_nonzero(active_frames(recording)) * HOP_SAMPLES / SAMPLE_RATE_HZ)


def load_networks(name: str, profile_size: int) -> tuple[Network, Network]:
    """The general network and that which makes its profiles. LearnerError if there is none, or for other profiles."""
    try:
        network, _ = load_checkpoint(_checkpoint(name))
        made_by = profiles_id(network).rpartition("-")[0]
        profile_network = network if made_by == name else load_checkpoint(_checkpoint(made_by))[0]
        general = general_of(name)
    except (OSError, ValueError, FilesError) as error:
        raise LearnerError(f"There is no network {name} to go on learning: name one that ships.") from error
    if model_id(network) != general.model_id:
        raise LearnerError(
            f"{name} learns from other weights than its model files have: install edge-pse again."
        )
    if network.config.taken_size != profile_size:
        raise LearnerError(f"The profile is of another network than {name} takes: enroll again.")
    return network, profile_network


def pack(network: Network) -> bytes:
    """The numbers of a network, which ``unpack`` puts into another of its kind: float16, in the order of its state."""
    numbers = [x.half().flatten() for x in network.state_dict().values() if x.is_floating_point()]
    return torch.cat(numbers).numpy().astype("<f2").tobytes()


def unpack(general: Network, content: bytes) -> Network:
    """A copy of the general network with the numbers of another. Raises ValueError where they are not as many, or no
    numbers.
    """
    network = copy.deepcopy(general)
    state = {name: x for name, x in network.state_dict().items() if x.is_floating_point()}
    numbers = torch.from_numpy(np.frombuffer(content, "<f2").astype(np.float32))
    if len(numbers) != sum(x.numel() for x in state.values()) or not numbers.isfinite().all():
        raise ValueError(f"These are no numbers of {general.config.name}.")
    parts = numbers.split([x.numel() for x in state.values()])
    network.load_state_dict(
        {name: part.view_as(x) for (name, x), part in zip(state.items(), parts, strict=True)}, strict=False
    )
    take_profiles(network, general)
    return network


def model_files(network: Network, name: str, reading: Sequence[Samples]) -> dict[str, PersonalFile]:
    """The weights of each model file, and the numbers to go on learning from. FilesError if one fails its checks."""
    # Rounded as what ships is, so that who goes on from it goes on from what the files have.
    numbers = pack(network)
    weights = files_of(unpack(network, numbers), name, reading)
    base = general_of(name).sha256
    made = {file: PersonalFile(base[file], content) for file, content in weights.items()}
    checkpoint_sha256 = hashlib.sha256(_checkpoint(name).read_bytes()).hexdigest()
    return {**made, _numbers_name(name): PersonalFile(checkpoint_sha256, numbers)}


def _checkpoint(name: str) -> Path:
    return CHECKPOINTS / f"{name}.pt"


def _numbers_name(name: str) -> str:
    """Among the files of personal weights, the one that no device opens."""
    return f"{name}.checkpoint"


def split(recording: Samples) -> tuple[Samples, Samples]:
    """What is learnt from, and the end that is held out."""
    held = max(round(_HELD_SHARE * len(recording)), round(_LEAST_HELD_S * SAMPLE_RATE_HZ))
    held = min(held, len(recording) // 2)
    return recording[:-held], recording[-held:]


def _by_nearness(sounds: Sounds, profile_network: Network, held: Sequence[Samples]) -> Voices:
    """With the voices in order, by what the network makes of them and of the reading."""
    own = [torch.from_numpy(np.resize(x / active_level(x), EMBEDDED)).float() for x in held]

    @torch.no_grad()
    def embed(clips: Tensor) -> Tensor:
        return profile_network.embed(analyse(_LEVEL * clips))

    voice = torch.cat(in_threads(embed, torch.stack(own).split(_EMBEDDED_AT_ONCE))).mean(0)
    distances = (sounds.embeddings - voice).square().sum(1)
    return Voices(sounds.speech, distances.argsort().numpy(), sounds.noise, sounds.rooms)


def _joined(recordings: Sequence[Samples]) -> Samples:
    """Recordings at one level, one after the other, and from the beginning again until it is long enough."""
    joined = np.concatenate([recording * (_LEVEL / active_level(recording)) for recording in recordings])
    least = round(SHORTEST_READING_S * SAMPLE_RATE_HZ)
    return np.resize(joined, max(len(joined), least)).astype(np.float32)
