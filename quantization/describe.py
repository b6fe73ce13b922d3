"""Where the learnt numbers lie in model files: ``python -m quantization.describe training/checkpoints/pvqe-s.pt``.

The commands that make the files write that into their descriptions. This one does it for files that are there already.
"""

from __future__ import annotations

from pathlib import Path

import click

from edge_pse.model import MODELS_DIR, Model
from edge_pse.model_file import read_description, write_description
from export.graph import StepGraph
from export.weights import find_ranges
from quantization.steps import find_int8_ranges
from training.checkpoint import load_checkpoint, model_id


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=MODELS_DIR,
    help="Folder of the model files; default: those that ship.",
)
def main(checkpoint: Path, models: Path) -> None:
    """Write into the descriptions of the model files of CHECKPOINT where their learnt numbers are."""
    network, _ = load_checkpoint(checkpoint)
    graph, name = StepGraph(network), network.config.name
    sources = [path for path in sorted(models.glob(f"{name}.fp32.*")) if path.suffix != ".json"]
    for source in sources:
        if Model.load(source).contract.model_id != model_id(network):
            raise click.ClickException(f"{source.name} is not of {checkpoint}: export it again.")
        _describe(source, find_ranges(graph, source))
        for path in sorted(models.glob(f"{name}.int8*{source.suffix}")):
            _describe(path, find_int8_ranges(source, path))


def _describe(path: Path, ranges: list[list[int]]) -> None:
    if not ranges:
        raise click.ClickException(f"{path.name} has numbers of another network: make it again.")
    write_description(path, {**read_description(path), "weights": ranges})
    click.echo(f"{path.name}: {sum(length for _, length in ranges)} bytes in {len(ranges)} places")


if __name__ == "__main__":
    main()
