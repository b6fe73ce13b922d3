"""Recordings for training: folders of speech by speaker, of noise and of measured rooms, decoded once.

The speaker of a speech file is the folder that holds it. Decoded audio is kept as one int16 array a kind in a cache
folder, so that a run starts in seconds and a GPU can hold all of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from rich.progress import track
from torch import Tensor

from training.device import to_device
from training.network import SAMPLE_RATE_HZ

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
# Speech resampled by these factors, pitch and formants together, passes for other voices.
VOICE_FACTORS = (1.0, 0.85, 0.92, 1.09, 1.18)
SHORTEST_VOICE_S = 7.0  # a training clip and an enrollment that don't overlap must fit
ACTIVE_RANGE_DB = 30.0  # frames this far below the loudest count as silence when a voice's level is measured


@dataclass(frozen=True)
class Track:
    """A run of samples in a kind's array."""

    name: str
    offset: int
    length: int
    level: float  # root mean square of the active parts, of full scale
    boundaries: tuple[int, ...] = ()  # where utterances of a voice begin, from the track's start


@dataclass
class Bank:
    """All tracks of one kind over one flat array of int16 samples on some device."""

    samples: Tensor
    tracks: list[Track]

    def to(self, device: torch.device) -> Bank:
        return Bank(self.samples.to(device), self.tracks)

    def __post_init__(self) -> None:
        device = self.samples.device
        self._offsets = torch.tensor([t.offset for t in self.tracks], device=device)
        self._lengths = torch.tensor([t.length for t in self.tracks], device=device)
        self._levels = torch.tensor([t.level for t in self.tracks], device=device, dtype=torch.float32)

    def cut(
        self, tracks: Sequence[int] | np.ndarray, starts: Sequence[int] | np.ndarray, length: int
    ) -> Tensor:
        """Clips (clip, sample) at unit active level; reading past a track's end goes on at its start."""
        device = self.samples.device
        which, begin = to_device(tracks, device), to_device(starts, device)
        within = (begin[:, None] + torch.arange(length, device=device)) % self._lengths[which, None]
        clips = self.samples[self._offsets[which, None] + within].float() / 32768
        return clips / self._levels[which, None]


def load_bank(kind: str, folders: Sequence[Path], cache: Path, factors: Sequence[float] = (1.0,)) -> Bank:
    """Decode what lies in ``folders`` (mono, 16 kHz) or read it from ``cache``.

    ``kind`` is "speech" (one track a voice: all of a speaker's utterances, at one of ``factors``) or another word
    (one track a file). Raises ValueError when the folders hold no audio.
    """
    files = [path for folder in folders for path in audio_files(folder)]
    if not files:
        raise ValueError(
            f"No audio in {', '.join(map(str, folders))}: give folders of {', '.join(sorted(SUFFIXES))}."
        )
    # The cache is valid for one set of files: any other name, order or size decodes anew.
    wanted = {
        "factors": list(factors),
        "files": [[str(path.resolve()), path.stat().st_size] for path in files],
    }
    index_path, samples_path = cache / f"{kind}.json", cache / f"{kind}.npy"
    if index_path.exists():
        index = json.loads(index_path.read_text())
        if index["source"] == wanted:
            tracks = [Track(**(t | {"boundaries": tuple(t["boundaries"])})) for t in index["tracks"]]
            return Bank(torch.from_numpy(np.load(samples_path, mmap_mode="c")), tracks)
    cache.mkdir(parents=True, exist_ok=True)
    groups = _grouped(kind, files)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoding = pool.map(lambda own: _decode(own, factors), groups.values())
        decoded = list(track(decoding, description=f"decoding {kind}", total=len(groups)))
    pieces, tracks = [], []
    offset = 0
    for number, factor in enumerate(factors):
        for source, versions in zip(groups, decoded, strict=True):
            samples, starts = versions[number]
            if kind == "speech" and len(samples) < SHORTEST_VOICE_S * SAMPLE_RATE_HZ:
                continue
            name = f"{source.parent.name}/{source.name}@{factor}" if kind == "speech" else source.name
            level = active_level(samples / np.float32(32768))
            tracks.append(Track(name, offset, len(samples), level, starts))
            pieces.append(samples)
            offset += len(samples)
    np.save(samples_path, np.concatenate(pieces))
    index_path.write_text(json.dumps({"source": wanted, "tracks": [t.__dict__ for t in tracks]}))
    return Bank(torch.from_numpy(np.load(samples_path, mmap_mode="c")), tracks)


def active_level(samples: np.ndarray) -> float:
    """Root mean square over the 10 ms frames within ACTIVE_RANGE_DB of the loudest; never zero."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = np.square(frames, dtype=np.float64).mean(1)
    if not len(power) or power.max() == 0:
        return 1e-4
    return float(np.sqrt(power[power > power.max() * 10 ** (-ACTIVE_RANGE_DB / 10)].mean()))


def audio_files(folder: Path) -> list[Path]:
    """Everything under a folder that looks like a recording, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _grouped(kind: str, files: list[Path]) -> dict[Path, list[Path]]:
    """Recordings that make one track: all in a speaker's folder, or else each for itself."""
    groups: dict[Path, list[Path]] = {}
    for path in files:
        groups.setdefault(path.parent if kind == "speech" else path, []).append(path)
    return groups


def _decode(files: list[Path], factors: Sequence[float]) -> list[tuple[np.ndarray, tuple[int, ...]]]:
    """Recordings one after the other, and where each begins, for each factor."""
    recordings = [soundfile.read(path, dtype="float32", always_2d=True) for path in files]
    versions = []
    for factor in factors:
        # To play faster by a factor is to resample from a rate that much higher.
        pieces = [soxr.resample(audio.mean(1), rate * factor, SAMPLE_RATE_HZ) for audio, rate in recordings]
        starts = np.cumsum([0, *map(len, pieces)])[:-1]
        samples = (np.clip(np.concatenate(pieces), -1, 1) * 32767).astype(np.int16)
        versions.append((samples, tuple(starts.tolist())))
    return versions
