"""Room responses: simulated once by the image-source method, and measured ones, all with the direct sound first."""

from __future__ import annotations

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

from training.network import SAMPLE_RATE_HZ
from training.simulation.corpus import SUFFIXES

RESPONSE_SAMPLES = SAMPLE_RATE_HZ // 2
EARLY_SAMPLES = SAMPLE_RATE_HZ // 20  # 50 ms: what the ear fuses with the direct sound, and the target keeps
POSITIONS = 4  # responses a room: index 0 is near the microphone (the user), the others anywhere


@dataclass
class Rooms:
    """Responses (room, position, RESPONSE_SAMPLES), direct sound at sample 0 with amplitude one."""

    responses: Tensor

    def to(self, device: torch.device) -> Rooms:
        return Rooms(self.responses.to(device))


def load_rooms(folders: Sequence[Path], count: int, cache: Path, seed: int = 0) -> Rooms:
    """``count`` simulated rooms (kept in ``cache``) and the measured responses found in ``folders``."""
    path = cache / f"rooms-{count}-{seed}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rooms = pool.map(lambda room: simulate_room(np.random.default_rng([seed, room])), range(count))
            np.save(path, np.stack(list(track(rooms, description="simulating rooms", total=count))))
    simulated = np.load(path)
    measured = [
        _measured(file)
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES
    ]
    # A measured response is one position of its room; the others are its neighbours in the list.
    together = [
        np.stack([measured[(i + p) % len(measured)] for p in range(POSITIONS)]) for i in range(len(measured))
    ]
    return Rooms(
        torch.from_numpy(np.concatenate([simulated, *(t[None] for t in together)]).astype(np.float32))
    )


def simulate_room(random: np.random.Generator) -> np.ndarray:
    """One shoebox room: (POSITIONS, RESPONSE_SAMPLES), from a desk-sized distance to the far corner."""
    import pyroomacoustics  # whoever has rooms ready goes without it

    size_m = random.uniform([2.5, 2.5, 2.2], [8.0, 6.0, 3.5])
    reverberation_s = random.uniform(0.15, 0.7)
    try:
        absorption, order = pyroomacoustics.inverse_sabine(reverberation_s, size_m)
    except ValueError:  # a large room can't be that dry by Sabine's formula
        absorption, order = 0.9, 6
    room = pyroomacoustics.ShoeBox(
        size_m, fs=SAMPLE_RATE_HZ, materials=pyroomacoustics.Material(absorption), max_order=min(order, 14)
    )
    microphone = random.uniform([0.5, 0.5, 0.7], size_m - [0.5, 0.5, 0.7])
    room.add_microphone(microphone)
    for position in range(POSITIONS):
        distance_m = random.uniform(0.2, 1.2) if position == 0 else random.uniform(0.8, 5.0)
        direction = random.normal(size=3) * [1, 1, 0.3]
        source = microphone + distance_m * direction / np.linalg.norm(direction)
        room.add_source(np.clip(source, 0.2, size_m - 0.2))
    room.compute_rir()
    return np.stack([_from_direct_sound(room.rir[0][position]) for position in range(POSITIONS)]).astype(
        np.float16
    )


def _measured(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return _from_direct_sound(soxr.resample(audio[:, 0], rate, SAMPLE_RATE_HZ))


def _from_direct_sound(response: np.ndarray) -> np.ndarray:
    """Starts at the loudest sample, which becomes one: levels and delays are the scene's business."""
    peak = int(np.argmax(np.abs(response)))
    response = response[peak : peak + RESPONSE_SAMPLES] / response[peak]
    response = np.pad(response, (0, RESPONSE_SAMPLES - len(response))).astype(np.float32)
    fade = RESPONSE_SAMPLES // 8  # the cut end must not click
    response[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return response
