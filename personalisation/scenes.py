"""Scenes of one reading, by which what was learnt is judged: made of what is held out, and the same at every call.

What was learnt of a reading looks better on that reading, held out or not, than on another day: the microphone, the
room, the hour and the effort are the same. So the voice comes through a simulated microphone of its own in each scene,
in half of them in a room, a little slower or faster; in the scenes of another microphone farther from the reading than
anything that learning presents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ
from training.simulation.augmentation import convolve, random_equaliser
from training.simulation.corpus import Bank, active_level
from training.simulation.rooms import EARLY_SAMPLES, POSITIONS, Rooms

Samples = NDArray[np.float32]

SIMILAR, OTHER, NAMED = "similar voices", "other voices", "the one you named"
ALONE, NOISE, CLEAN = "others alone", "noise at 5 dB", "clean"
LATE = "first second after others"
HALF_BAND, MICROPHONE = "half of the band", "another microphone"
LEVEL, LOST = "level, clean", "lost frames, clean"

CLIP_S = 3.0
_OTHERS_S, _LATE_S = 1.0, 1.2
"""Where the voice comes in late: so long another one talks before it, and then beside it."""
_SIRS_DB, _LATE_SIR_DB = (-5.0, 0.0, 5.0), 5.0
_LIGHT_SNR_DB, _NOISE_SNR_DB = 20.0, 5.0
_LEVELS_DBFS = -34.0, -20.0
_SPEEDS, _FAR_SPEEDS = (1.0, 0.97, 1.03), (0.95, 1.05, 0.97, 1.03)
_EQUALISER_DB, _FAR_EQUALISER_DB = 3.0, 8.0
_CANDIDATE_WINDOWS = 3
"""Of each voice; the loudest is taken, so that few clips are silence."""
_SIMILAR_VOICES = 12
_LEAST_CLIPS = 3


class Voices(NamedTuple):
    """Who is beside the voice, what else sounds, and where: none of it is learnt from."""

    speech: Bank
    similar: NDArray[np.intp]
    """Tracks of ``speech``, the nearest first."""
    noise: Bank
    rooms: Rooms


@dataclass(frozen=True)
class Row:
    """A kind of scene."""

    name: str
    clips: int
    wanted: bool = True
    """Whether the voice is in it."""
    beside: str | None = None
    """Who else talks: SIMILAR, OTHER or NAMED; both of the first two in turn where the other one talks alone."""
    snr_db: float | None = _LIGHT_SNR_DB
    """None: no noise, and of the room no more than the reference keeps."""
    half_band: bool = False
    far: bool = False
    """From the reading: another microphone, another room, another day."""
    late: bool = False
    """The voice comes in when the other one has talked for a while, who goes on."""


ROWS = (
    Row(SIMILAR, 18, beside=SIMILAR),
    Row(OTHER, 12, beside=OTHER),
    Row(NAMED, 9, beside=NAMED),
    Row(ALONE, 12, wanted=False, beside=SIMILAR),
    Row(NOISE, 15, snr_db=_NOISE_SNR_DB),
    Row(CLEAN, 9, snr_db=None),
    Row(HALF_BAND, 9, beside=SIMILAR, half_band=True),
    Row(MICROPHONE, 18, beside=SIMILAR, far=True),
    Row(LATE, 18, beside=SIMILAR, late=True),
)


@dataclass(frozen=True)
class Scenes:
    """What is heard, and what is wanted of it."""

    rows: list[str]
    """(clip,)"""
    mixtures: list[Tensor]
    """(sample,) each; those of a row have one length."""
    references: list[Tensor]
    """(sample,) each; zeros where the voice is absent."""

    def some(self, share: float) -> Scenes:
        """So much of each row."""
        step = max(1, round(1 / share))
        chosen = slice(None, None, step)
        return Scenes(self.rows[chosen], self.mixtures[chosen], self.references[chosen])


def draw_scenes(
    held: Sequence[Samples], voices: Voices, named: Sequence[Samples] = (), share: float = 1.0
) -> Scenes:
    """The scenes of one reading: the same at every call.

    ``held``: recordings of the voice that are held out, (sample,) each. ``named``: the same of those who share its
    room. ``share``: of the clips of each row, where there is little time; three at least.
    """
    maker = _SceneMaker(held, voices, named)
    drawn = [
        (row.name, *maker.clip(row, number))
        for row in ROWS
        if named or row.beside != NAMED
        for number in range(max(_LEAST_CLIPS, round(share * row.clips)))
    ]
    names, mixtures, references = zip(*drawn, strict=True)
    return Scenes(list(names), list(mixtures), list(references))


class _SceneMaker:
    """Draws clips one after the other."""

    def __init__(self, held: Sequence[Samples], voices: Voices, named: Sequence[Samples]):
        self.held, self.voices, self.named = held, voices, named
        self.random = np.random.default_rng(0)
        longest = max(map(len, held)) / max(_FAR_SPEEDS)
        self.length = min(round(CLIP_S * SAMPLE_RATE_HZ), int(longest)) // HOP_SAMPLES * HOP_SAMPLES
        self.late_length = min(round(_LATE_S * SAMPLE_RATE_HZ), self.length)
        tracks = np.arange(len(voices.speech.tracks))
        self.similar = voices.similar[: min(_SIMILAR_VOICES, len(tracks))]
        rest = np.setdiff1d(tracks, self.similar)
        self.other = self.random.permutation(rest if len(rest) else tracks)

    def clip(self, row: Row, number: int) -> tuple[Tensor, Tensor]:
        """Mixture and reference, (sample,) each."""
        room = int(self.random.integers(len(self.voices.rooms.responses)))
        in_room = row.far or number % 2 == 1
        before, length = 0, self.length
        if row.late:
            before, length = round(_OTHERS_S * SAMPLE_RATE_HZ), self.late_length
        mixture = reference = torch.zeros(before + length)
        if row.wanted:
            speeds = _FAR_SPEEDS if row.far else _SPEEDS
            said = self._cut(self.held[number % len(self.held)], length, speeds[number % len(speeds)])
            said = torch.nn.functional.pad(said, (before, 0))
            mixture, reference = self._heard(said, room, 0) if in_room else (said, said)
        if row.snr_db is None:
            mixture = reference
        if row.beside is not None:
            other = self._other(row, number, len(mixture))
            if in_room:
                other, _ = self._heard(other, room, 1 + number % (POSITIONS - 1))
            mixture = mixture + other * 10 ** (-_sir_db(row, number) / 20)
        if row.snr_db is not None:
            mixture = mixture + self._noise(len(mixture)) * 10 ** (-row.snr_db / 20)
        # Of clean speech the question is not whether another microphone is known: other rows ask that.
        return self._recorded(row, torch.stack([mixture, reference]), in_room and row.name != CLEAN)

    def _recorded(self, row: Row, both: Tensor, equalised: bool) -> tuple[Tensor, Tensor]:
        """Mixture and reference through a microphone, at some level."""
        if equalised:
            spread_db = _FAR_EQUALISER_DB if row.far else _EQUALISER_DB
            both = convolve(both, random_equaliser(self.random, 1, spread_db).expand(2, -1))
        if row.half_band:
            both = torch.stack([_half_band(sound) for sound in both])
        level = 10 ** (self.random.uniform(*_LEVELS_DBFS) / 20)
        both = both * (level / both[0].square().mean().sqrt().clamp_min(1e-5))
        both = both / both.abs().max().clamp_min(1.0)
        return both[0], both[1]

    def _cut(self, recording: Samples, length: int, speed: float = 1.0) -> Tensor:
        """The loudest of some windows, at unit active level: (sample,)."""
        if speed != 1:
            recording = soxr.resample(recording, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
        most = max(len(recording) - length, 0)
        starts = (self.random.random(_CANDIDATE_WINDOWS) * most).astype(int)
        return self._loudest([np.resize(recording[start:], length) for start in starts])

    def _other(self, row: Row, number: int, length: int) -> Tensor:
        if row.beside == NAMED:
            return self._cut(self.named[number % len(self.named)], length)
        in_turns = row.late or not row.wanted
        similar = row.beside == SIMILAR and (number % 2 == 0 or not in_turns)
        tracks = self.similar if similar else self.other
        track = int(tracks[number % len(tracks)])
        starts = self.random.integers(self.voices.speech.tracks[track].length, size=_CANDIDATE_WINDOWS)
        clips = self.voices.speech.cut([track] * _CANDIDATE_WINDOWS, starts, length)
        # Who talks before the voice does must not be silent then.
        return self._loudest(
            list(clips.cpu().numpy()), round(_OTHERS_S * SAMPLE_RATE_HZ) if row.late else None
        )

    def _loudest(self, windows: list[Samples], beginning: int | None = None) -> Tensor:
        """By so many samples of each, or all."""
        best = max(windows, key=lambda window: float(np.square(window[:beginning]).mean()))
        return torch.from_numpy((best / active_level(best)).astype(np.float32))

    def _noise(self, length: int) -> Tensor:
        """At unit power: (sample,)."""
        bank = self.voices.noise
        track = int(self.random.integers(len(bank.tracks)))
        start = int(self.random.integers(bank.tracks[track].length))
        noise = bank.cut([track], [start], length)[0].cpu()
        return noise / noise.square().mean().sqrt().clamp_min(1e-3)

    def _heard(self, sound: Tensor, room: int, position: int) -> tuple[Tensor, Tensor]:
        """In a room, and what of that the reference keeps: (sample,) each."""
        response = self.voices.rooms.responses[room, position].cpu()[None]
        return convolve(sound[None], response)[0], convolve(sound[None], response[:, :EARLY_SAMPLES])[0]


def _sir_db(row: Row, number: int) -> float:
    if not row.wanted:
        return 0.0
    return _LATE_SIR_DB if row.late else _SIRS_DB[number % len(_SIRS_DB)]


def _half_band(sound: Tensor) -> Tensor:
    """What 8 kHz carry of it, as telephones do."""
    carried = soxr.resample(sound.numpy(), SAMPLE_RATE_HZ, SAMPLE_RATE_HZ // 2)
    return torch.from_numpy(
        np.resize(soxr.resample(carried, SAMPLE_RATE_HZ // 2, SAMPLE_RATE_HZ), len(sound))
    )
