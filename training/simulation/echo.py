"""Echo, simulated: what the far end says comes out of a small loudspeaker, through the room, into the microphone.

On the way it is distorted, band-limited, delayed by buffers, and played by a clock of its own; now and
then the delay jumps or the loudspeaker is moved. The far end begins with the clip: nothing that the network could not
have heard comes back as echo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.device import to_device
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ
from training.simulation.augmentation import convolve, random_loudspeaker
from training.simulation.corpus import ACTIVE_RANGE_DB, Bank
from training.simulation.rooms import POSITIONS, Rooms

_CROSSFADE_S = 0.03  # from one echo path to the next


@dataclass(frozen=True)
class EchoSettings:
    """What calls are like; shares are probabilities, ranges are uniform."""

    share: float = 0.7  # of the mixtures have a far end; the others get zeros for one
    far_only_share: float = 0.35  # of the one-talker mixtures with echo: the talker is silent
    unheard_share: float = 0.15  # of those with a far end: headphones, or the loopback of something else
    ser_db: tuple[float, float] = (-20.0, 20.0)  # the near talker over the echo
    delay_ms: tuple[float, float] = (0.0, 500.0)
    held_share: float = 0.6  # of the echoes: the device holds the far end back until shortly before them
    held_delay_ms: tuple[float, float] = (20.0, 150.0)  # what it leaves of the delay
    change_share: float = 0.2  # of the echoes: another delay, place or both from some moment on
    skewed_share: float = 0.3  # of the echoes: played by a clock of its own
    skew_ppm: tuple[float, float] = (-200.0, 200.0)
    other_share: float = 0.15  # of the far ends: music and other sounds; the rest is speech
    level_dbfs: tuple[float, float] = (-40.0, -12.0)  # of the loopback


@dataclass
class Echoes:
    """The far side of each mixture; zeros where there is none."""

    far_ends: Tensor  # (mixture, sample): the loopback
    heard: Tensor  # (mixture, sample): the echo, relative to a near talker of unit active level
    delay_hops: Tensor  # (mixture, frame): of the echo behind the far end; NaN where there is none then
    far_only: np.ndarray  # (mixture,) bool: nobody else is to talk


class EchoSimulator:
    """Draws the far sides of mixtures; see ``training.simulation.scenes.SceneSimulator``, which owns one."""

    def __init__(self, speech: Bank, noise: Bank, rooms: Rooms, random: np.random.Generator):
        self.speech, self.noise, self.rooms, self.random = speech, noise, rooms, random
        self._voice_lengths = np.array([track.length for track in speech.tracks])
        self._noise_lengths = np.array([track.length for track in noise.tracks])
        self._device = speech.samples.device

    def draw(
        self, settings: EchoSettings, rooms: np.ndarray, single: np.ndarray, voices: np.ndarray, length: int
    ) -> Echoes:
        """For mixtures in ``rooms`` (mixture,), of one near talker where ``single`` (mixture,) says so.

        ``voices``: tracks of the speech bank to draw far-end talkers from, none of them a near talker's.
        """
        random, count = self.random, len(rooms)
        present = random.random(count) < settings.share
        heard = present & (random.random(count) >= settings.unheard_share)
        far_only = heard & single & (random.random(count) < settings.far_only_share)
        far = self._far_ends(settings, voices, count, length)
        level_db = random.uniform(*settings.level_dbfs, count)
        loopback = far / active_level(far) * self._to_device(10 ** (level_db / 20))[:, None]
        loopback = loopback.clamp(-1, 1)
        echo, delay_hops = self._echo(settings, self._played(loopback), rooms)
        gain_db = -random.uniform(*settings.ser_db, count)
        echo = echo / active_level(echo) * self._to_device(10 ** (gain_db / 20))[:, None]
        echo = echo * self._to_device(heard)[:, None]
        delay_hops = torch.where(active_frames(echo), delay_hops, math.nan)
        return Echoes(loopback * self._to_device(present)[:, None], echo, delay_hops, far_only)

    def _far_ends(self, settings: EchoSettings, voices: np.ndarray, count: int, length: int) -> Tensor:
        """Mostly one talker, sometimes two, sometimes anything that a loudspeaker may play: (mixture, sample)."""
        random = self.random
        who = random.choice(voices, (2, count))
        starts = random.random((2, count)) * self._voice_lengths[who]
        talk = self.speech.cut(who.ravel(), starts.astype(int).ravel(), length).unflatten(0, (2, count))
        second = self._to_device((random.random(count) < 0.15) * 10 ** (random.uniform(-10, 10, count) / 20))
        far = talk[0] + talk[1] * second[:, None]
        tracks = random.integers(len(self.noise.tracks), size=count)
        starts = random.random(count) * self._noise_lengths[tracks]
        sounds = self.noise.cut(tracks, starts.astype(int), length)
        other = to_device(random.random(count) < settings.other_share, self._device)
        return torch.where(other[:, None], sounds, far)

    def _played(self, loopback: Tensor) -> Tensor:
        """What the loudspeaker makes of it: distorted, then band-limited."""
        driven = self._distorted(loopback / loopback.abs().amax(1, keepdim=True).clamp_min(1e-5))
        return convolve(driven, random_loudspeaker(self.random, len(driven), self._device))

    def _distorted(self, x: Tensor) -> Tensor:
        """Clips of peak one (clip, sample): as they are, clipped hard or softly, or by a loudspeaker's model."""
        random, count = self.random, len(x)
        kind = to_device(random.choice(4, (count, 1), p=[0.35, 0.15, 0.25, 0.25]), self._device)
        ceiling = self._to_device(random.uniform(0.2, 0.8, (count, 1)))
        soft = torch.tanh(self._to_device(random.uniform(1.0, 4.0, (count, 1))) * x)
        # Memoryless model of a loudspeaker, used since Zhang and Wang (Interspeech 2018) to train echo cancellers.
        b = 1.5 * x - 0.3 * x.square()
        slope = torch.where(b > 0, 4.0, 0.5)
        asymmetric = 4 * (2 / (1 + torch.exp(-slope * b)) - 1)
        x = torch.where(kind == 1, x.clamp(-ceiling, ceiling), x)
        return torch.where(kind == 2, soft, torch.where(kind == 3, asymmetric, x))

    def _echo(self, settings: EchoSettings, played: Tensor, rooms: np.ndarray) -> tuple[Tensor, Tensor]:
        """Delayed, skewed and through the room, with a change of path where there is one; and its delay, by frame."""
        random, (count, length) = self.random, played.shape
        skew = random.uniform(*settings.skew_ppm, count) * (random.random(count) < settings.skewed_share)
        held = random.random(count) < settings.held_share
        delays_ms = random.uniform(*settings.held_delay_ms, count), random.uniform(*settings.delay_ms, count)
        delay_s = np.where(held, *delays_ms) / 1000
        position = random.integers(POSITIONS, size=count)
        before = self._path(played, rooms, position, delay_s, skew)
        moves = random.random(count) < 0.5
        jumps = ~moves | (random.random(count) < 0.3)
        limits_s = np.array(settings.delay_ms) / 1000
        other_s = np.clip(delay_s + jumps * random.uniform(-0.15, 0.15, count), *limits_s)
        after = self._path(
            played, rooms, np.where(moves, (position + 1) % POSITIONS, position), other_s, skew
        )
        changes = random.random(count) < settings.change_share
        moment = np.where(changes, random.uniform(0.25, 0.75, count) * length, 2 * length)
        ramp = torch.arange(length, device=self._device) - self._to_device(moment)[:, None]
        share = (ramp / (_CROSSFADE_S * SAMPLE_RATE_HZ)).clamp(0, 1)
        frames = HOP_SAMPLES * np.arange(length // HOP_SAMPLES + 1)
        delays_s = np.where(frames < moment[:, None], delay_s[:, None], other_s[:, None])
        delays_s = delays_s - 1e-6 * skew[:, None] * frames / SAMPLE_RATE_HZ
        delay_hops = self._to_device(np.maximum(delays_s, 0) * SAMPLE_RATE_HZ / HOP_SAMPLES)
        return before + share * (after - before), delay_hops

    def _path(
        self,
        played: Tensor,
        rooms: np.ndarray,
        position: np.ndarray,
        delay_s: np.ndarray,
        skew_ppm: np.ndarray,
    ) -> Tensor:
        times = torch.arange(played.shape[1], device=self._device, dtype=torch.float64)
        # Not the speed itself: single precision, in which it gets there, has no such small differences from one.
        late = times * 1e-6 * self._to_device(skew_ppm)[:, None]
        delay = self._to_device(np.round(delay_s * SAMPLE_RATE_HZ))[:, None]
        responses = self.rooms.responses[to_device(rooms, self._device), to_device(position, self._device)]
        return convolve(read_at(played, times + late - delay), responses)

    def _to_device(self, values: np.ndarray) -> Tensor:
        return to_device(np.asarray(values, np.float32), self._device)


def read_at(clips: Tensor, positions: Tensor) -> Tensor:
    """Clips (clip, sample) at fractional positions (clip, position): cubic interpolation, silence outside.

    At whole positions it gives the samples themselves.
    """
    whole = positions.floor().long()
    t = (positions - whole).to(clips.dtype)
    length = clips.shape[1]

    def at(offset: int) -> Tensor:
        index = whole + offset
        inside = (index >= 0) & (index < length)
        return clips.gather(1, index.clamp(0, length - 1)) * inside

    y0, y1, y2, y3 = (at(offset) for offset in (-1, 0, 1, 2))
    slope1, slope2 = (y2 - y0) / 2, (y3 - y1) / 2  # Catmull-Rom
    return y1 + t * (
        slope1 + t * (3 * (y2 - y1) - 2 * slope1 - slope2 + t * (2 * (y1 - y2) + slope1 + slope2))
    )


def active_frames(clips: Tensor) -> Tensor:
    """Which frames, as ``training.spectral.analyse`` cuts them, are near the loudest's level: (clip, frame)."""
    power = torch.nn.functional.pad(clips, (HOP_SAMPLES, HOP_SAMPLES)).unflatten(1, (-1, HOP_SAMPLES))
    power = power.square().mean(2)
    power = power[:, :-1] + power[:, 1:]
    return power > power.amax(1, keepdim=True) * math.pow(10, -ACTIVE_RANGE_DB / 10)


def active_level(clips: Tensor) -> Tensor:
    """Root mean square of each clip's 10 ms frames that are not silence: (clip, 1), never zero."""
    hop = SAMPLE_RATE_HZ // 100
    power = clips[:, : clips.shape[1] // hop * hop].unflatten(1, (-1, hop)).square().mean(2)
    active = power > power.amax(1, keepdim=True) * math.pow(10, -ACTIVE_RANGE_DB / 10)
    mean = (power * active).sum(1, keepdim=True) / active.sum(1, keepdim=True).clamp_min(1)
    return mean.sqrt().clamp_min(1e-4)
