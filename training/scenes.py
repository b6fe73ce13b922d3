"""Scenes that teach the profile: who talks when, how loud, in which room, into which microphone; made on the fly.

A step takes a ring of speakers. Speaker k and its neighbour share one mixture, which serves two targets: each talker's
profile in turn, each its own voice. The profile alone tells the two apart, so it can't be ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from training.augment import convolve, random_equaliser, synthetic_noise
from training.corpus import Bank
from training.echo import Echoes, EchoMaker, EchoSettings
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ
from training.rooms import EARLY_SAMPLES, POSITIONS, Rooms

MAX_TALKERS = 3
NO_PROFILE = -1
_CANDIDATE_WINDOWS = 3  # of each voice; the loudest is taken, so that few clips are silence


@dataclass(frozen=True)
class SceneSettings:
    """Contents of a training step; shares are probabilities, ranges are uniform."""

    speakers: int = 4  # in the ring: as many two-talker mixtures, twice as many outputs
    single_mixtures: int = 1  # one talker in noise, own profile
    unprofiled_outputs: int = 1  # mixtures heard with no profile: the target is all speech
    absent_outputs: int = 1  # mixtures heard with the profile of somebody else: the target is silence
    extra_voices: int = 0  # enrolled for the speaker loss alone
    enrolled_twice: bool = True  # each of the ring, for the speaker loss too
    clip_s: float = 3.0
    enrollment_clips: tuple[int, int] = (1, 2)  # length of enrollments, in training clips
    sir_db: tuple[float, float] = (-5.0, 5.0)
    snr_db: tuple[float, float] = (-5.0, 30.0)
    clean_share: float = 0.2
    dry_share: float = 0.3
    third_talker_share: float = 0.1
    partial_share: float = 0.2  # talkers who start or stop half way
    noisy_enrollment_share: float = 0.5
    close_share: float = 0.5  # rings of voices close to one another by the network's own embedding
    equaliser_db: float = 8.0
    level_dbfs: tuple[float, float] = (-40.0, -12.0)
    clipped_share: float = 0.05
    echo: EchoSettings | None = None  # calls: far ends, and their echo in the mixtures


@dataclass
class SceneBatch:
    """One step's audio. ``enrollments`` 0..speakers-1 are the profiles; the rest repeat and extend them."""

    mixtures: Tensor  # (mixture, sample)
    enrollments: Tensor  # (enrollment, sample)
    enrollment_voices: np.ndarray  # (enrollment,) track of the speech bank
    output_mixture: np.ndarray  # (output,)
    output_profile: np.ndarray  # (output,) index into enrollments, or NO_PROFILE
    targets: Tensor  # (output, sample); zeros where the wanted voice is absent
    far_ends: Tensor | None = (
        None  # (mixture, sample): the loopbacks, zeros where there is none; None: none at all
    )
    delay_hops: Tensor | None = None  # (mixture, frame): how late their echo is, see training.echo.Echoes

    @property
    def seconds(self) -> float:
        """Audio presented: every output and every enrollment."""
        return (self.targets.numel() + self.enrollments.numel()) / SAMPLE_RATE_HZ


class SceneMaker:
    """Draws scenes from recordings; all randomness is ``random``'s, all audio stays on the recordings' device."""

    def __init__(self, speech: Bank, noise: Bank, rooms: Rooms, random: np.random.Generator):
        self.speech, self.noise, self.rooms, self.random = speech, noise, rooms, random
        self._voice_lengths = np.array([track.length for track in speech.tracks])
        self._device = speech.samples.device
        self._echoes = EchoMaker(speech, noise, rooms, random)

    def draw(self, settings: SceneSettings, embeddings: np.ndarray | None = None) -> SceneBatch:
        """One step. ``embeddings`` (voice, size): what the network makes of each voice, to pick close ones by; NaN for
        voices not heard yet.
        """
        clip = _hops(settings.clip_s)
        # As many spectral frames as that many clips have, so that all share one pass through the encoder.
        repeats = int(self.random.integers(settings.enrollment_clips[0], settings.enrollment_clips[1] + 1))
        enrollment = repeats * (clip + HOP_SAMPLES) - HOP_SAMPLES
        ring = self._pick_ring(settings, clip + 2 * enrollment, embeddings)
        spots = [self._place_enrollment(voice, enrollment, clip) for voice in ring]
        talkers = self._cast(settings)
        mixtures, per_talker, echoes = self._mix(settings, ring, spots, talkers, clip)
        output_mixture, output_profile, targets = self._outputs(settings, talkers, per_talker)
        enrollments, voices = self._enroll(settings, ring, spots, enrollment)
        batch = SceneBatch(mixtures, enrollments, voices, output_mixture, output_profile, targets)
        if echoes is None:
            return batch
        return replace(batch, far_ends=echoes.far_ends, delay_hops=echoes.delay_hops)

    # --- who talks -------------------------------------------------------------------------------------------------

    def _pick_ring(
        self, settings: SceneSettings, room_needed: int, embeddings: np.ndarray | None
    ) -> np.ndarray:
        eligible = np.flatnonzero(self._voice_lengths >= room_needed + SAMPLE_RATE_HZ // 2)
        count = settings.speakers
        heard = eligible if embeddings is None else eligible[~np.isnan(embeddings[eligible, 0])]
        if embeddings is None or self.random.random() >= settings.close_share or len(heard) < 8 * count:
            return self._distinct_speakers(self.random.permutation(eligible), count)
        seed = self.random.choice(heard)
        distance = np.linalg.norm(embeddings[heard] - embeddings[seed], axis=1)
        # Among the closest tenth, so that hard rings still vary.
        closest = heard[np.argsort(distance)][: max(4 * count, len(heard) // 10)]
        return self._distinct_speakers(np.r_[seed, self.random.permutation(closest)], count)

    def _distinct_speakers(self, voices: np.ndarray, count: int) -> np.ndarray:
        """Never the same speaker at two resampling factors: that would be one person in two roles."""
        chosen: dict[str, int] = {}
        for voice in voices:
            chosen.setdefault(_speaker(self.speech, voice), int(voice))
            if len(chosen) == count:
                break
        if len(chosen) < count:
            raise ValueError(
                f"Only {len(chosen)} speakers have enough audio for a ring of {count}: add recordings."
            )
        return np.array(list(chosen.values()))

    def _cast(self, settings: SceneSettings) -> list[list[int]]:
        """For each mixture, the ring positions of its talkers."""
        count = settings.speakers
        pairs = [[k, (k + 1) % count] for k in range(count)]
        for k, pair in enumerate(pairs):
            if count > MAX_TALKERS and self.random.random() < settings.third_talker_share:
                pair.append((k + 2) % count)
        singles = [[int(self.random.integers(count))] for _ in range(settings.single_mixtures)]
        return pairs + singles

    # --- where their words come from --------------------------------------------------------------------------------

    def _place_enrollment(self, voice: int, length: int, clip: int) -> tuple[int, int, int]:
        """Start of the enrollment, and start and length of what is left for mixtures: never the same utterance,
        unless the voice has but one.
        """
        track = self.speech.tracks[voice]
        start = int(self.random.choice(track.boundaries)) if len(track.boundaries) > 1 else 0
        if len(track.boundaries) <= 1:
            start = int(self.random.integers(track.length))
        end = start + length
        following = [
            b for b in (*track.boundaries, *(b + track.length for b in track.boundaries)) if b >= end
        ]
        if following and start + track.length - following[0] >= clip and len(track.boundaries) > 1:
            end = following[0]
        return start, end, start + track.length - end

    def _windows(self, voices: np.ndarray, spots: list[tuple[int, int, int]], length: int) -> Tensor:
        """The louder of a few windows for each voice, clear of its enrollment: (voice, sample)."""
        tries = _CANDIDATE_WINDOWS
        room = np.array([max(left - length, 0) for _, _, left in spots])
        starts = np.array([end for _, end, _ in spots])[:, None] + (
            self.random.random((len(voices), tries)) * room[:, None]
        )
        clips = self.speech.cut(np.repeat(voices, tries), starts.astype(int).ravel(), length)
        clips = clips.unflatten(0, (len(voices), tries))
        best = clips.square().mean(2).argmax(1)
        return clips[torch.arange(len(voices), device=self._device), best]

    # --- what the microphone hears ----------------------------------------------------------------------------------

    def _mix(
        self,
        settings: SceneSettings,
        ring: np.ndarray,
        spots: list[tuple[int, int, int]],
        talkers: list[list[int]],
        clip: int,
    ) -> tuple[Tensor, Tensor, Echoes | None]:
        """Mixtures (mixture, sample), their talkers' early sound (mixture, MAX_TALKERS, sample), and far sides."""
        random, count = self.random, len(talkers)
        mixture_of = np.concatenate([np.full(len(who), m) for m, who in enumerate(talkers)])
        slot_of = np.concatenate([np.arange(len(who)) for who in talkers])
        who = np.concatenate(talkers)
        dry = self._windows(ring[who], [spots[w] for w in who], clip)
        dry = dry * self._gates(settings, len(who), clip)
        # Talker 0 is the level's reference; the others are so much quieter or louder.
        gain_db = np.where(slot_of == 0, 0, -random.uniform(*settings.sir_db, len(who)))
        dry = dry * self._tensor(10 ** (gain_db / 20))[:, None]

        room = random.integers(len(self.rooms.responses), size=count)
        echoes = self._call(settings, ring, room, talkers, clip)
        if echoes is not None:
            dry = dry * self._tensor(~echoes.far_only)[mixture_of, None]
        position = np.where(random.random(len(who)) < 0.5, 0, random.integers(1, POSITIONS, size=len(who)))
        position = np.where(slot_of == 0, position, np.maximum(position, slot_of % POSITIONS))
        in_room = self._tensor(random.random(count) >= settings.dry_share)[mixture_of, None]
        responses = self.rooms.responses[room[mixture_of], position].to(self._device)
        heard = torch.where(in_room, convolve(dry, responses), dry)
        early = torch.where(in_room, convolve(dry, responses[:, :EARLY_SAMPLES]), dry)

        per_talker = dry.new_zeros(count, MAX_TALKERS, clip)
        per_talker[mixture_of, slot_of] = early
        mixtures = dry.new_zeros(count, clip).index_add(0, self._index(mixture_of), heard)
        noise = self._noise(count, clip)
        snr_db = random.uniform(*settings.snr_db, count)
        silent = random.random(count) < settings.clean_share
        if echoes is None:
            silent[[len(w) == 1 for w in talkers]] = False  # one talker and no noise teaches little
        else:
            mixtures = mixtures + echoes.heard
        noise_gain = np.where(silent, 0, 10 ** (-snr_db / 20))
        mixtures = mixtures + noise * self._tensor(noise_gain)[:, None]
        mixtures, per_talker = self._record(settings, mixtures, per_talker)
        return mixtures, per_talker, echoes

    def _call(
        self, settings: SceneSettings, ring: np.ndarray, room: np.ndarray, talkers: list[list[int]], clip: int
    ) -> Echoes | None:
        """The far side of each mixture, where calls are asked for; none of the ring's speakers is there."""
        if settings.echo is None:
            return None
        near = {_speaker(self.speech, voice) for voice in ring}
        others = [v for v in range(len(self.speech.tracks)) if _speaker(self.speech, v) not in near]
        single = np.array([len(who) == 1 for who in talkers])
        return self._echoes.draw(settings.echo, room, single, np.array(others), clip)

    def _record(self, settings: SceneSettings, mixtures: Tensor, per_talker: Tensor) -> tuple[Tensor, Tensor]:
        """Mixtures, and their talkers alike, through the microphone at some level; mixtures may be clipped."""
        random, count = self.random, len(mixtures)
        equaliser = random_equaliser(random, count, settings.equaliser_db).to(self._device)
        mixtures = convolve(mixtures, equaliser)
        per_talker = convolve(per_talker.flatten(0, 1), equaliser.repeat_interleave(MAX_TALKERS, 0))
        per_talker = per_talker.unflatten(0, (count, MAX_TALKERS))
        level = self._tensor(10 ** (random.uniform(*settings.level_dbfs, count) / 20))
        scale = level / mixtures.square().mean(1).sqrt().clamp_min(1e-5)
        mixtures, per_talker = mixtures * scale[:, None], per_talker * scale[:, None, None]
        ceiling = self._tensor(
            np.where(random.random(count) < settings.clipped_share, random.uniform(1.5, 4, count), 1e3)
        )
        ceiling = torch.minimum(ceiling * level, torch.ones_like(level))[:, None]
        return mixtures.clamp(-ceiling, ceiling), per_talker

    def _gates(self, settings: SceneSettings, count: int, clip: int) -> Tensor:
        """Envelopes of talkers who start or stop half way; ones for the others."""
        turn = self.random.integers(clip // 4, 3 * clip // 4, count)
        late = self.random.random(count) < 0.5
        partial = self.random.random(count) < settings.partial_share
        ramp = (torch.arange(clip, device=self._device) - self._index(turn)[:, None]) / (
            0.02 * SAMPLE_RATE_HZ
        )
        ramp = torch.where(self._tensor(late)[:, None], ramp, -ramp).clamp(0, 1).float()
        return torch.where(self._tensor(partial)[:, None], ramp, torch.ones_like(ramp))

    def _noise(self, count: int, length: int) -> Tensor:
        """Recorded, synthetic or babble, at unit power: (count, length)."""
        random = self.random
        tracks = random.integers(len(self.noise.tracks), size=count)
        starts = (random.random(count) * [self.noise.tracks[t].length for t in tracks]).astype(int)
        noise = self.noise.cut(tracks, starts, length)
        kind = random.random(count)
        for i in np.flatnonzero(kind < 0.3):
            if kind[i] < 0.12:
                crowd = random.integers(len(self.speech.tracks), size=random.integers(5, 13))
                starts = (random.random(len(crowd)) * self._voice_lengths[crowd]).astype(int)
                noise[i] = self.speech.cut(crowd, starts, length).sum(0)
            else:
                noise[i] = synthetic_noise(random, 1, length).to(self._device)[0]
        return noise / noise.square().mean(1, keepdim=True).sqrt().clamp_min(1e-3)

    # --- what is asked of the network -------------------------------------------------------------------------------

    def _outputs(
        self, settings: SceneSettings, talkers: list[list[int]], per_talker: Tensor
    ) -> tuple[np.ndarray, np.ndarray, Tensor]:
        mixture, profile, targets = [], [], []
        for m, who in enumerate(talkers):
            for slot, talker in enumerate(who[:2]):
                mixture.append(m)
                profile.append(talker)
                targets.append(per_talker[m, slot])
        for m in self.random.permutation(len(talkers))[: settings.unprofiled_outputs]:
            mixture.append(int(m))
            profile.append(NO_PROFILE)
            targets.append(per_talker[m].sum(0))
        for m in self.random.permutation(len(talkers))[: settings.absent_outputs]:
            absent = [k for k in range(settings.speakers) if k not in talkers[m]]
            mixture.append(int(m))
            profile.append(int(self.random.choice(absent)))
            targets.append(torch.zeros_like(per_talker[m, 0]))
        return np.array(mixture), np.array(profile), torch.stack(targets)

    def _enroll(
        self, settings: SceneSettings, ring: np.ndarray, spots: list[tuple[int, int, int]], length: int
    ) -> tuple[Tensor, np.ndarray]:
        """The ring's profiles, then a second clip of each in other conditions where asked for, then two of each extra
        voice.
        """
        random = self.random
        eligible = np.setdiff1d(np.flatnonzero(self._voice_lengths >= 2 * length), ring)
        extra = random.choice(eligible, settings.extra_voices, replace=False)
        extra_starts = random.integers(self._voice_lengths[extra])
        again = spots if settings.enrolled_twice else []
        voices = np.concatenate([ring, ring[: len(again)], extra, extra])
        starts = np.concatenate(
            [
                [start for start, _, _ in spots],
                np.array([end + random.integers(max(left - length, 0) + 1) for _, end, left in again], int),
                extra_starts,
                extra_starts + length,
            ]
        )
        clips = self.speech.cut(voices, starts, length)
        count = len(voices)
        room, position = (
            random.integers(len(self.rooms.responses), size=count),
            random.integers(POSITIONS, size=count),
        )
        in_room = self._tensor(random.random(count) >= 0.5)[:, None]
        clips = torch.where(
            in_room, convolve(clips, self.rooms.responses[room, position].to(self._device)), clips
        )
        noisy = random.random(count) < settings.noisy_enrollment_share
        gain = np.where(noisy, 10 ** (-random.uniform(0, 30, count) / 20), 0)
        clips = clips + self._noise(count, length) * self._tensor(gain)[:, None]
        clips = convolve(clips, random_equaliser(random, count, settings.equaliser_db).to(self._device))
        level = self._tensor(10 ** (random.uniform(*settings.level_dbfs, count) / 20))
        return clips * (level / clips.square().mean(1).sqrt().clamp_min(1e-5))[:, None], voices

    def _tensor(self, values: np.ndarray) -> Tensor:
        values = np.asarray(values)
        return torch.as_tensor(
            values if values.dtype == bool else values.astype(np.float32), device=self._device
        )

    def _index(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.asarray(values), device=self._device)


def _speaker(bank: Bank, voice: int) -> str:
    """Who a voice is: the same at every resampling factor."""
    return bank.tracks[voice].name.split("@")[0]


def _hops(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ / HOP_SAMPLES) * HOP_SAMPLES
