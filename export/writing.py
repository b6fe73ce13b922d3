"""How a model file gets its contract and its place: the same for every format, and only after its proof."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from edge_pse.model import MODELS_DIR
from edge_pse.model_file import description_path
from export.parity import Parity, measure_parity
from training.checkpoint import load_checkpoint
from training.network import Network

Write = Callable[[Network, Path], None]


class ParityError(Exception):
    """The exported graph does not give what the network gives."""


@contextmanager
def candidate_for(path: Path) -> Iterator[Path]:
    """A path to write a model to; it replaces ``path``, with its description, unless the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        candidate = Path(folder) / path.name
        yield candidate
        candidate.replace(path)
        description_path(candidate).replace(description_path(path))


def write_proven(network: Network, path: Path, write: Write) -> Parity:
    """Have ``write`` put ``network`` into ``path``, provided that the file gives what the network gives.

    Raises ParityError, and leaves ``path`` as it was, when they differ by more than
    ``export.parity.TOLERANCE``.
    """
    with candidate_for(path) as candidate:
        write(network, candidate)
        parity = measure_parity(network, candidate)
        if not parity.holds():
            raise ParityError(f"{path.name} is not written: {parity}.")
    return parity


def export_checkpoint(checkpoint: Path, output: Path | None, suffix: str, write: Write) -> None:
    """The commands' common part: from a checkpoint to ``output`` (None: where the device library looks)."""
    network, _ = load_checkpoint(checkpoint)
    path = output or MODELS_DIR / f"{network.config.name}.fp32{suffix}"
    try:
        parity = write_proven(network, path, write)
    except (ParityError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{path} ({path.stat().st_size / 1e6:.2f} MB): {parity}")
