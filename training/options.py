"""What the commands that train have in common: the corpora, and how PyTorch is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from training import parallel
from training.simulation.corpus import VOICE_FACTORS, load_bank
from training.simulation.rooms import load_rooms
from training.simulation.scenes import SceneSimulator


@dataclass(frozen=True)
class Corpora:
    """Folders of recordings, and where what is made of them is kept."""

    speech: Sequence[Path]
    noise: Sequence[Path]
    rooms: Sequence[Path]
    simulated_rooms: int
    cache: Path

    def scenes(self, device: torch.device, seed: int) -> SceneSimulator:
        """Load them onto the device, for scenes that each process draws for itself."""
        with parallel.first_alone():
            speech = load_bank("speech", self.speech, self.cache, VOICE_FACTORS).to(device)
            noise = load_bank("noise", self.noise, self.cache).to(device)
            rooms = load_rooms(self.rooms, self.simulated_rooms, self.cache).to(device)
        return SceneSimulator(speech, noise, rooms, np.random.default_rng([seed + 1, parallel.rank()]))


_CORPORA = (
    click.option(
        "--speech", multiple=True, type=click.Path(path_type=Path), required=True, help="Speech by speaker."
    ),
    click.option(
        "--noise", multiple=True, type=click.Path(path_type=Path), required=True, help="Noise and music."
    ),
    click.option("--rooms", multiple=True, type=click.Path(path_type=Path), help="Measured room responses."),
    click.option("--simulated-rooms", default=2000, show_default=True),
    click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"), show_default=True),
)


def corpora(command: Callable[..., None]) -> Callable[..., None]:
    """Options of a command for the corpora, which it is given as ``corpora``."""

    @wraps(command)
    def with_corpora(
        speech: tuple[Path, ...], noise: tuple[Path, ...], rooms: tuple[Path, ...], simulated_rooms: int,
        cache: Path, **others: Any,
    ) -> None:  # fmt: skip
        command(corpora=Corpora(speech, noise, rooms, simulated_rooms, cache), **others)

    for option in reversed(_CORPORA):
        with_corpora = option(with_corpora)
    return with_corpora


def start(threads: int, seed: int, device: str) -> torch.device:
    """Prepare PyTorch, and meet the other processes if there are any; the device of this one."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    # On a GPU: single precision by the matrix units, and convolutions by what is fastest for their shapes.
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    return parallel.join(torch.device(device))


def supports_bfloat16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is in the hardware; where it is emulated, it is several times slower than fp32."""
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
