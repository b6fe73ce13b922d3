"""Voices with sound above 8 kHz, alone, beside another, and in noise, and what the network does to each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from edge_pse import transforms
from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from edge_pse.profiles import Profile, Recording
from edge_pse.spectral import Samples, Spectra, square_root_hann
from edge_pse.upper_band import UpperBand
from evaluation.metrics.signal import active_frames
from evaluation.metrics.upper_band import above, carries
from evaluation.sets.corpus import Talker, read_full_band, take
from evaluation.sets.render import read_segment
from evaluation.sets.scene import Segment, Synthetic, SyntheticKind
from evaluation.sets.synthetic import synthetic_noise

RATE_HZ, HOP_SAMPLES = 48_000, 480
LEAD_HOPS = 150
"""Noise is heard so long before the voice."""
LEVEL = 0.05
SNR_DB, HISS_SNR_DB = 10.0, 25.0
HISS_FROM_HZ = 8_500.0
ENROLLMENT_SECONDS = 12.0
CLIPS = 24  # of all talkers, but one of each at least

ALONE, OTHERS, TALKERS, NOISE, HISS = (
    "alone", "others alone", "two talkers", "in noise", "hiss above the network's band",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What is heard at 48 kHz: the voice that is wanted and the rest, either of them silence."""

    case: str
    profile: Profile
    wanted: Samples
    rest: Samples


@dataclass(frozen=True)
class Passed:
    """What ``UpperBand`` is called with, for all hops of a scene."""

    made_with: tuple[float, ...]
    """Arguments of its making."""
    given: Samples
    enhanced: Samples
    upper: Spectra


def passed(model: Model, scene: Scene) -> Passed:
    """Through the network, as ``Enhancer`` has it."""
    made: list[tuple[float, ...]] = []
    calls: list[tuple[Samples, Samples, Spectra]] = []

    class Listening(UpperBand):
        def __init__(self, *arguments: float):
            made.append(arguments)

        def __call__(self, given: Samples, enhanced: Samples, upper: Spectra) -> None:
            calls.append((given.copy(), enhanced.copy(), upper.copy()))

        def reset(self) -> None:
            pass

    with patch.object(transforms, "UpperBand", Listening):
        stream = Enhancer(model, scene.profile, rate_hz=RATE_HZ)
    stream.process(scene.wanted + scene.rest)
    given, enhanced, upper = (np.concatenate(parts) for parts in zip(*calls, strict=True))
    return Passed(made[-1], given, enhanced, upper)


def spectra_of(samples: Samples) -> NDArray[np.complex128]:
    """All bins of each hop and the one before, (hops, 481)."""
    hops = samples[: samples.size // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
    before = np.concatenate([np.zeros((1, HOP_SAMPLES), np.float32), hops[:-1]])
    return np.fft.rfft(np.concatenate([before, hops], axis=1) * square_root_hann(2 * HOP_SAMPLES))


def scenes(root: Path, model: Model) -> Iterator[Scene]:
    """Of all talkers there who have sound above 8 kHz."""
    talkers, noises = read_full_band(root)
    wide = [talker for talker in talkers if _is_wide(root, talker)]
    for number, talker in enumerate(wide):
        other = wide[(number + 1) % len(wide)]
        for index, clip in enumerate(talker.mixing[: max(CLIPS // len(wide), 1)]):
            profile = _profile(root, model, talker, clip)
            voice, beside = _voice(root, clip), _voice(root, other.mixing[index % len(other.mixing)])
            nothing = np.zeros_like(voice)
            lead = np.zeros(LEAD_HOPS * HOP_SAMPLES, np.float32)
            late = np.concatenate([lead, voice])
            yield Scene(ALONE, profile, voice, nothing)
            yield Scene(TALKERS, profile, voice, np.resize(beside, voice.size))
            yield Scene(OTHERS, profile, np.zeros_like(beside), beside)
            seconds, seed = late.size / RATE_HZ + 1, 100 * number + index
            for kind in get_args(SyntheticKind):
                noise = synthetic_noise(Synthetic(kind, seed, seconds), RATE_HZ)[: late.size]
                yield Scene(NOISE, profile, late, _at(noise, SNR_DB))
            for source in noises:
                noise = np.resize(read_segment(root, source.segment, RATE_HZ), late.size)
                yield Scene(NOISE, profile, late, _at(noise, SNR_DB))
            white = synthetic_noise(Synthetic("white", seed, seconds), RATE_HZ)[: late.size]
            yield Scene(HISS, profile, late, _at(_only_above(white), HISS_SNR_DB))


def _is_wide(root: Path, talker: Talker) -> bool:
    clips = [read_segment(root, clip, RATE_HZ) for clip in talker.mixing]
    return all(carries(samples, above(samples, RATE_HZ)) for samples in clips)


def _profile(root: Path, model: Model, talker: Talker, but: Segment) -> Profile:
    """Of what the talker says elsewhere, whatever ``enroll`` would say of it."""
    others = take(tuple(clip for clip in talker.mixing if clip != but), ENROLLMENT_SECONDS)
    said = np.concatenate([read_segment(root, clip, model.contract.sample_rate_hz) for clip in others])
    embedding = conditioning(said, model.profile_network())
    recording = Recording(embedding, half_band=embedding, speech_seconds=0.0, snr_db=0.0)
    return Profile(talker.speaker, model.contract.profiles_of, (recording,))


def _voice(root: Path, clip: Segment) -> Samples:
    samples = read_segment(root, clip, RATE_HZ)
    samples = samples[: samples.size // HOP_SAMPLES * HOP_SAMPLES]
    sounding = (
        np.square(samples).reshape(-1, HOP_SAMPLES).mean(axis=1)[active_frames(samples, rate_hz=RATE_HZ)]
    )
    return np.asarray(samples * LEVEL / np.sqrt(sounding.mean()), np.float32)


def _at(noise: Samples, snr_db: float) -> Samples:
    return np.asarray(noise * LEVEL * 10 ** (-snr_db / 20) / np.sqrt(np.mean(noise**2)), np.float32)


def _only_above(noise: Samples) -> Samples:
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(noise.size, 1 / RATE_HZ) < HISS_FROM_HZ] = 0
    return np.fft.irfft(spectrum, noise.size).astype(np.float32)
