"""What a network makes of the voices of the pack, made once: ``python -m personalisation.likeness``.

By this the voices that are like the user's are found. It is the same for everybody, and embedding some hundred voices
takes as long as several steps of learning. To be run again whenever the network makes other profiles.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

import training
from personalisation.others import LIKENESS, PACK, read_index, read_speech
from training.checkpoint import load_checkpoint, profiles_id
from training.network import SAMPLE_RATE_HZ, Network
from training.simulation.corpus import Bank
from training.spectral import analyse
from training.step import REFERENCE_LEVEL

EMBEDDED = 3 * SAMPLE_RATE_HZ
"""Samples of each voice."""
CHECKPOINT = Path(training.__file__).with_name("checkpoints") / "pvqe-s.pt"
"""The network that makes the profiles of all."""


@torch.no_grad()
def embed(speech: Bank, network: Network) -> Tensor:
    """Of the beginning of each track: (track, embedding) float32."""
    clips = (speech.cut([track], [0], EMBEDDED) for track in range(len(speech.tracks)))
    return torch.cat([network.embed(analyse(REFERENCE_LEVEL * clip)) for clip in clips])


def write(pack: Path, network: Network) -> Path:
    """Embed all voices of a pack, in the place of what an earlier network has made of them; the file."""
    embeddings = embed(read_speech(pack, read_index(pack)), network)
    for earlier in pack.glob(LIKENESS.format("*")):
        earlier.unlink()
    path = pack / LIKENESS.format(profiles_id(network))
    np.save(path, embeddings.numpy().astype(np.float16))
    return path


@click.command()
@click.option("--pack", type=click.Path(path_type=Path, exists=True, file_okay=False), default=PACK)
def main(pack: Path) -> None:
    """Embed the voices of the pack with the network that makes profiles."""
    click.echo(f"Wrote {write(pack, load_checkpoint(CHECKPOINT)[0])}.")


if __name__ == "__main__":
    main()
