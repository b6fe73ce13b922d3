"""Scenes that teach the profile: who talks when, how loud, in which room, into which microphone; made on the fly.

A step takes groups of speakers. Speaker k of a group and the next one, the first after the last, share one mixture,
which serves two targets: each talker's profile in turn, each its own voice. The profile alone tells the two apart, so
it can't be ignored.

Who talks when is decided in NumPy; sound is made of it on the recordings' device, all mixtures of a step at once.
Nothing waits for a GPU, which is busy with the step before meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.device import to_device
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ
from training.simulation.augmentation import (
    automatic_gain,
    convolve,
    random_equaliser,
    synthetic_noise,
    telephone,
)
from training.simulation.corpus import Bank
from training.simulation.echo import Echoes, EchoSettings, EchoSimulator
from training.simulation.rooms import EARLY_SAMPLES, POSITIONS, Rooms

MAX_TALKERS = 3
NO_PROFILE = -1
_STRANGER_SPEAKERS = 3  # in a group, so that each two-talker mixture is without one of them
_STEP_DB = -15.0, 10.0  # of a talker who turns away or comes nearer: how far,
_STEP_S = 0.05, 0.5  # and how fast
_CANDIDATE_WINDOWS = 3  # of each voice; the loudest is taken, so that few clips are silence


@dataclass(frozen=True)
class SceneSettings:
    """Contents of a training step; shares are probabilities, ranges are uniform. Counts are of each speaker group."""

    speaker_groups: int = 1  # a processor learns most from many small steps, a GPU has time for large ones
    speakers: int = 4  # in a group: as many two-talker mixtures, twice as many outputs
    single_mixtures: int = 1  # one talker in noise, own profile
    unprofiled_outputs: int = 1  # mixtures heard with no profile: the target is all speech
    absent_outputs: int = 1  # mixtures heard with the profile of somebody else: the target is silence
    replay_mixtures: int = (
        0  # of learning one voice: others, of whom one is wanted; training.personal says why
    )
    extra_voices: int = 0  # enrolled for the speaker loss alone
    enrolled_twice: bool = True  # each of a group, for the speaker loss too
    clip_s: float = 3.0
    enrollment_clips: tuple[int, int] = (1, 2)  # length of enrollments, in training clips
    sir_db: tuple[float, float] = (-5.0, 5.0)
    snr_db: tuple[float, float] = (-5.0, 30.0)
    clean_share: float = 0.2
    clean_single_share: float = 0.0  # of mixtures of one talker, which teach little without noise
    dry_share: float = 0.3
    third_talker_share: float = 0.1
    partial_share: float = 0.2  # talkers who start or stop half way
    step_share: float = 0.0  # talkers who turn away or come nearer half way
    noisy_enrollment_share: float = 0.5
    close_share: float = 0.5  # groups of voices close to one another by the network's own embedding
    equaliser_db: float = 8.0
    level_dbfs: tuple[float, float] = (-40.0, -12.0)
    clipped_share: float = 0.05
    gain_control_share: float = 0.0  # mixtures whose microphone keeps its level by itself
    telephone_share: float = 0.0  # mixtures in eight bits a sample
    echo: EchoSettings | None = None  # calls: far ends, and their echo in the mixtures

    def __post_init__(self) -> None:
        if self.absent_outputs and self.speakers < _STRANGER_SPEAKERS:
            raise ValueError(
                f"A group of {self.speakers} speakers has nobody who is absent: give it {_STRANGER_SPEAKERS}, or "
                "set absent_outputs to 0."
            )


@dataclass(frozen=True)
class Cast:
    """Who talks in a step: indices into its speakers, all groups in a row."""

    talkers: list[list[int]]  # of each mixture
    group_of: np.ndarray  # (mixture,)


@dataclass(frozen=True)
class KnownVoices:
    """Voices whose embeddings are known, and these."""

    voices: np.ndarray  # (voice,) tracks of the speech bank
    embeddings: np.ndarray  # (voice, size)
    powers: np.ndarray  # (voice,) squared length

    @classmethod
    def among(cls, voices: np.ndarray, embeddings: np.ndarray | None) -> KnownVoices | None:
        """Of ``voices``, those with an embedding (voice of the bank, size) that is not NaN."""
        if embeddings is None:
            return None
        voices = voices[~np.isnan(embeddings[voices, 0])]
        known = embeddings[voices]
        return cls(voices, known, np.square(known).sum(1))

    def closest(self, seed: int, count: int) -> np.ndarray:
        """Those ``count`` closest to the one at index ``seed``, itself among them, in no order."""
        distances = self.powers - 2 * self.embeddings @ self.embeddings[seed]
        return self.voices[np.argpartition(distances, min(count, len(distances)) - 1)[:count]]


@dataclass
class SceneBatch:
    """One step's audio. The first ``enrollments``, group by group, are the profiles; the rest repeat, extend them."""

    mixtures: Tensor  # (mixture, sample)
    enrollments: Tensor  # (enrollment, sample)
    enrollment_voices: np.ndarray  # (enrollment,) track of the speech bank
    output_mixture: np.ndarray  # (output,)
    output_profile: np.ndarray  # (output,) index into enrollments, or NO_PROFILE
    targets: Tensor  # (output, sample); zeros where the wanted voice is absent
    far_ends: Tensor | None = None
    """(mixture, sample): the loopbacks, zeros where there is none; None: none at all."""
    delay_hops: Tensor | None = None
    """(mixture, frame): how late their echo is, see training.simulation.echo.Echoes."""

    @property
    def seconds(self) -> float:
        """Audio presented: every output and every enrollment."""
        return (self.targets.numel() + self.enrollments.numel()) / SAMPLE_RATE_HZ


class SceneSimulator:
    """Draws scenes from recordings; all randomness is ``random``'s, all audio stays on the recordings' device."""

    def __init__(self, speech: Bank, noise: Bank, rooms: Rooms, random: np.random.Generator):
        self.speech, self.noise, self.rooms, self.random = speech, noise, rooms, random
        self._voice_lengths = np.array([track.length for track in speech.tracks])
        self._noise_lengths = np.array([track.length for track in noise.tracks])
        self._speaker_of = np.unique(
            [_speaker(speech, v) for v in range(len(speech.tracks))], return_inverse=True
        )[1]
        self._device = speech.samples.device
        self._echoes = EchoSimulator(speech, noise, rooms, random)

    def draw(self, settings: SceneSettings, embeddings: np.ndarray | None = None) -> SceneBatch:
        """One step. ``embeddings`` (voice, size): what the network makes of each voice, to pick close ones by; NaN for
        voices not heard yet.
        """
        clip = _hops(settings.clip_s)
        # As many spectral frames as that many clips have, so that all share one pass through the encoder.
        repeats = int(self.random.integers(settings.enrollment_clips[0], settings.enrollment_clips[1] + 1))
        enrollment = repeats * (clip + HOP_SAMPLES) - HOP_SAMPLES
        needed = clip + 2 * enrollment
        eligible = np.flatnonzero(self._voice_lengths >= needed + SAMPLE_RATE_HZ // 2)
        known = KnownVoices.among(eligible, embeddings)
        groups = [self._pick_group(settings, eligible, known) for _ in range(settings.speaker_groups)]
        voices = np.concatenate(groups)
        spots = np.array([self._cut_enrollment(voice, enrollment, clip) for voice in voices])
        cast = self._cast(settings)
        mixtures, per_talker, echoes = self._mix(settings, voices, spots, cast, clip)
        output_mixture, output_profile, targets = self._outputs(settings, cast, per_talker)
        enrollments, enrolled = self._enroll(settings, voices, spots, enrollment)
        batch = SceneBatch(mixtures, enrollments, enrolled, output_mixture, output_profile, targets)
        if echoes is None:
            return batch
        return replace(batch, far_ends=echoes.far_ends, delay_hops=echoes.delay_hops)

    # --- who talks -------------------------------------------------------------------------------------------------

    def _pick_group(
        self, settings: SceneSettings, eligible: np.ndarray, known: KnownVoices | None
    ) -> np.ndarray:
        count = settings.speakers
        if known is None or self.random.random() >= settings.close_share or len(known.voices) < 8 * count:
            return self._distinct_speakers(self.random.permutation(eligible), count)
        seed = int(self.random.integers(len(known.voices)))
        # Among the closest tenth, so that hard groups still vary.
        closest = known.closest(seed, max(4 * count, len(known.voices) // 10))
        return self._distinct_speakers(np.r_[known.voices[seed], self.random.permutation(closest)], count)

    def _distinct_speakers(self, voices: np.ndarray, count: int) -> np.ndarray:
        """Never the same speaker at two resampling factors: that would be one person in two roles."""
        chosen: dict[int, int] = {}
        for voice in voices.tolist():
            chosen.setdefault(self._speaker_of[voice], voice)
            if len(chosen) == count:
                return np.array(list(chosen.values()))
        raise ValueError(
            f"Only {len(chosen)} speakers have enough audio for a group of {count}: add recordings."
        )

    def _cast(self, settings: SceneSettings) -> Cast:
        if settings.replay_mixtures:
            raise ValueError("Replay mixtures are for learning one voice: set replay_mixtures to 0.")
        count, random = settings.speakers, self.random
        talkers: list[list[int]] = []
        for first in range(0, settings.speaker_groups * count, count):
            pairs = [[first + k, first + (k + 1) % count] for k in range(count)]
            for k, pair in enumerate(pairs):
                if count > MAX_TALKERS and random.random() < settings.third_talker_share:
                    pair.append(first + (k + 2) % count)
            singles = [[first + int(random.integers(count))] for _ in range(settings.single_mixtures)]
            talkers += pairs + singles
        return Cast(talkers, np.arange(settings.speaker_groups).repeat(count + settings.single_mixtures))

    # --- where their words come from --------------------------------------------------------------------------------

    def _cut_enrollment(self, voice: int, length: int, clip: int) -> tuple[int, int, int]:
        """Start of the enrollment, and start and length of what is left for mixtures: never the same utterance,
        unless the voice has but one.
        """
        track = self.speech.tracks[voice]
        boundaries = track.boundaries
        if len(boundaries) <= 1:
            start = int(self.random.integers(track.length))
            return start, start + length, track.length - length
        start = boundaries[int(self.random.integers(len(boundaries)))]
        end = start + length
        # The next beginning of an utterance, round the track's end where need be.
        laps, within = divmod(end, track.length)
        following = next((b for b in boundaries if b >= within), track.length) + laps * track.length
        if start + track.length - following >= clip:
            end = following
        return start, end, start + track.length - end

    def _windows(self, voices: np.ndarray, spots: np.ndarray, length: int) -> Tensor:
        """The louder of a few windows for each voice, clear of its enrollment: (voice, sample)."""
        tries = _CANDIDATE_WINDOWS
        end, left = spots[:, 1, None], spots[:, 2, None]
        starts = end + self.random.random((len(voices), tries)) * np.maximum(left - length, 0)
        clips = self.speech.cut(np.repeat(voices, tries), starts.astype(int).ravel(), length)
        clips = clips.unflatten(0, (len(voices), tries))
        best = clips.square().mean(2).argmax(1)
        return clips[torch.arange(len(voices), device=self._device), best]

    # --- what the microphone hears ----------------------------------------------------------------------------------

    def _mix(
        self, settings: SceneSettings, voices: np.ndarray, spots: np.ndarray, cast: Cast, clip: int
    ) -> tuple[Tensor, Tensor, Echoes | None]:
        """Mixtures (mixture, sample), their talkers' early sound (mixture, MAX_TALKERS, sample), and far sides."""
        random, count = self.random, len(cast.talkers)
        who = np.concatenate(cast.talkers)
        mixture_of = np.arange(count).repeat([len(talkers) for talkers in cast.talkers])
        slot_of = np.concatenate([np.arange(len(talkers)) for talkers in cast.talkers])
        dry = self._windows(voices[who], spots[who], clip)
        dry = dry * self._gates(settings, len(who), clip) * self._steps(settings, len(who), clip)
        # Talker 0 is the level's reference; the others are so much quieter or louder.
        gain_db = np.where(slot_of == 0, 0, -random.uniform(*settings.sir_db, len(who)))
        dry = dry * self._to_device(10 ** (gain_db / 20))[:, None]

        room = random.integers(len(self.rooms.responses), size=count)
        echoes = self._call(settings, voices, room, cast, clip)
        if echoes is not None:
            dry = dry * self._to_device(~echoes.far_only[mixture_of])[:, None]
        position = np.where(random.random(len(who)) < 0.5, 0, random.integers(1, POSITIONS, size=len(who)))
        position = np.where(slot_of == 0, position, np.maximum(position, slot_of % POSITIONS))
        in_room = self._to_device((random.random(count) >= settings.dry_share)[mixture_of])[:, None]
        responses = self.rooms.responses[self._to_device(room[mixture_of]), self._to_device(position)]
        heard = torch.where(in_room, convolve(dry, responses), dry)
        early = torch.where(in_room, convolve(dry, responses[:, :EARLY_SAMPLES]), dry)

        per_talker = dry.new_zeros(count, MAX_TALKERS, clip)
        per_talker[self._to_device(mixture_of), self._to_device(slot_of)] = early
        mixtures = dry.new_zeros(count, clip).index_add(0, self._to_device(mixture_of), heard)
        noise = self._noise(count, clip)
        snr_db = random.uniform(*settings.snr_db, count)
        silent = random.random(count) < settings.clean_share
        if echoes is None:
            single = [len(talkers) == 1 for talkers in cast.talkers]
            silent[single] = random.random(sum(single)) < settings.clean_single_share
        else:
            mixtures = mixtures + echoes.heard
        noise_gain = np.where(silent, 0, 10 ** (-snr_db / 20))
        mixtures = mixtures + noise * self._to_device(noise_gain)[:, None]
        mixtures, per_talker = self._record(settings, mixtures, per_talker)
        return mixtures, per_talker, echoes

    def _call(
        self, settings: SceneSettings, voices: np.ndarray, room: np.ndarray, cast: Cast, clip: int
    ) -> Echoes | None:
        """The far side of each mixture, where calls are asked for; none of the step's speakers is there."""
        if settings.echo is None:
            return None
        others = np.flatnonzero(~np.isin(self._speaker_of, self._speaker_of[voices]))
        single = np.array([len(talkers) == 1 for talkers in cast.talkers])
        return self._echoes.draw(settings.echo, room, single, others, clip)

    def _record(self, settings: SceneSettings, mixtures: Tensor, per_talker: Tensor) -> tuple[Tensor, Tensor]:
        """Mixtures, and their talkers alike, through the microphone at some level. What is clipped and
        coded is the mixture alone.
        """
        random, count = self.random, len(mixtures)
        equaliser = random_equaliser(random, count, settings.equaliser_db, self._device)
        mixtures = convolve(mixtures, equaliser)
        per_talker = convolve(per_talker.flatten(0, 1), equaliser.repeat_interleave(MAX_TALKERS, 0))
        per_talker = per_talker.unflatten(0, (count, MAX_TALKERS))
        strength = random.uniform(0.3, 0.9, count) * (random.random(count) < settings.gain_control_share)
        gain = automatic_gain(mixtures, self._to_device(strength))
        mixtures, per_talker = mixtures * gain, per_talker * gain[:, None]
        level = self._to_device(10 ** (random.uniform(*settings.level_dbfs, count) / 20))
        scale = level / mixtures.square().mean(1).sqrt().clamp_min(1e-5)
        mixtures, per_talker = mixtures * scale[:, None], per_talker * scale[:, None, None]
        ceiling = self._to_device(
            np.where(random.random(count) < settings.clipped_share, random.uniform(1.5, 4, count), 1e3)
        )
        ceiling = torch.minimum(ceiling * level, torch.ones_like(level))[:, None]
        mixtures = mixtures.clamp(-ceiling, ceiling)
        coded = self._to_device(random.random(count) < settings.telephone_share)[:, None]
        return torch.where(coded, telephone(mixtures), mixtures), per_talker

    def _gates(self, settings: SceneSettings, count: int, clip: int) -> Tensor:
        """Envelopes of talkers who start or stop half way; ones for the others."""
        turn = self._to_device(self.random.integers(clip // 4, 3 * clip // 4, count))[:, None]
        late = self._to_device(self.random.random(count) < 0.5)[:, None]
        partial = self._to_device(self.random.random(count) < settings.partial_share)[:, None]
        ramp = (torch.arange(clip, device=self._device) - turn) / (0.02 * SAMPLE_RATE_HZ)
        ramp = torch.where(late, ramp, -ramp).clamp(0, 1)
        return torch.where(partial, ramp, torch.ones_like(ramp))

    def _steps(self, settings: SceneSettings, count: int, clip: int) -> Tensor:
        """Envelopes of talkers who turn away or come nearer half way; ones for the others."""
        random = self.random
        step_db = random.uniform(*_STEP_DB, count) * (random.random(count) < settings.step_share)
        turn = random.integers(clip // 4, 3 * clip // 4, count)
        samples = random.uniform(*_STEP_S, count) * SAMPLE_RATE_HZ
        time = torch.arange(clip, device=self._device)
        progress = ((time - self._to_device(turn)[:, None]) / self._to_device(samples)[:, None]).clamp(0, 1)
        return 10 ** (progress * self._to_device(step_db)[:, None] / 20)

    def _noise(self, count: int, length: int) -> Tensor:
        """Recorded, synthetic or babble, at unit power: (count, length)."""
        random = self.random
        tracks = random.integers(len(self.noise.tracks), size=count)
        starts = (random.random(count) * self._noise_lengths[tracks]).astype(int)
        noise = self.noise.cut(tracks, starts, length)
        kind = random.random(count)
        crowded, synthetic = np.flatnonzero(kind < 0.12), np.flatnonzero((kind >= 0.12) & (kind < 0.3))
        if len(crowded):
            noise[self._to_device(crowded)] = self._crowds(len(crowded), length)
        if len(synthetic):
            noise[self._to_device(synthetic)] = synthetic_noise(random, len(synthetic), length, self._device)
        return noise / noise.square().mean(1, keepdim=True).sqrt().clamp_min(1e-3)

    def _crowds(self, count: int, length: int) -> Tensor:
        """Babble of five to twelve voices each: (count, length)."""
        sizes = self.random.integers(5, 13, count)
        voices = self.random.integers(len(self.speech.tracks), size=sizes.sum())
        starts = (self.random.random(len(voices)) * self._voice_lengths[voices]).astype(int)
        talk = self.speech.cut(voices, starts, length)
        return talk.new_zeros(count, length).index_add(
            0, self._to_device(np.arange(count).repeat(sizes)), talk
        )

    # --- what is asked of the network -------------------------------------------------------------------------------

    def _outputs(
        self, settings: SceneSettings, cast: Cast, per_talker: Tensor
    ) -> tuple[np.ndarray, np.ndarray, Tensor]:
        """Of each output: which mixture is heard, with which profile, and what is to come of it (output, sample)."""
        random = self.random
        wanted = [
            (m, talker, slot) for m, who in enumerate(cast.talkers) for slot, talker in enumerate(who[:2])
        ]
        unprofiled: list[int] = []
        absent: list[tuple[int, int]] = []
        for group in range(settings.speaker_groups):
            mixtures = np.flatnonzero(cast.group_of == group)
            unprofiled += random.permutation(mixtures)[: settings.unprofiled_outputs].tolist()
            members = range(group * settings.speakers, (group + 1) * settings.speakers)
            for m in random.permutation(mixtures)[: settings.absent_outputs].tolist():
                strangers = [member for member in members if member not in cast.talkers[m]]
                absent.append((m, int(random.choice(strangers))))
        own, talkers, slots = (np.array(column, int) for column in zip(*wanted, strict=True))
        targets = [per_talker[self._to_device(own), self._to_device(slots)]]
        if unprofiled:
            targets.append(per_talker[self._to_device(unprofiled)].sum(1))
        targets.append(per_talker.new_zeros(len(absent), per_talker.shape[2]))
        mixture = np.concatenate([own, np.array(unprofiled, int), np.array([m for m, _ in absent], int)])
        profile = np.concatenate(
            [talkers, np.full(len(unprofiled), NO_PROFILE), np.array([who for _, who in absent], int)]
        )
        return mixture, profile, torch.cat(targets)

    def _enroll(
        self, settings: SceneSettings, speakers: np.ndarray, spots: np.ndarray, length: int
    ) -> tuple[Tensor, np.ndarray]:
        """The speakers' profiles, then a second clip of each in other conditions where asked for, then two of each
        extra voice.
        """
        random = self.random
        eligible = np.setdiff1d(np.flatnonzero(self._voice_lengths >= 2 * length), speakers)
        extra = random.choice(eligible, settings.speaker_groups * settings.extra_voices, replace=False)
        extra_starts = random.integers(self._voice_lengths[extra])
        again = spots if settings.enrolled_twice else spots[:0]
        end, left = again[:, 1], again[:, 2]
        voices = np.concatenate([speakers, speakers[: len(again)], extra, extra])
        starts = np.concatenate(
            [
                spots[:, 0],
                end + random.integers(np.maximum(left - length, 0) + 1),
                extra_starts,
                extra_starts + length,
            ]
        )
        clips = self.speech.cut(voices, starts, length)
        count = len(voices)
        room = self._to_device(random.integers(len(self.rooms.responses), size=count))
        position = self._to_device(random.integers(POSITIONS, size=count))
        in_room = self._to_device(random.random(count) >= 0.5)[:, None]
        clips = torch.where(in_room, convolve(clips, self.rooms.responses[room, position]), clips)
        noisy = random.random(count) < settings.noisy_enrollment_share
        gain = np.where(noisy, 10 ** (-random.uniform(0, 30, count) / 20), 0)
        clips = clips + self._noise(count, length) * self._to_device(gain)[:, None]
        clips = convolve(clips, random_equaliser(random, count, settings.equaliser_db, self._device))
        level = self._to_device(10 ** (random.uniform(*settings.level_dbfs, count) / 20))
        return clips * (level / clips.square().mean(1).sqrt().clamp_min(1e-5))[:, None], voices

    def _to_device(self, values: Any) -> Tensor:
        return to_device(values, self._device)


def _speaker(bank: Bank, voice: int) -> str:
    """Who a voice is: the same at every resampling factor."""
    return bank.tracks[voice].name.split("@")[0]


def _hops(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ / HOP_SAMPLES) * HOP_SAMPLES
