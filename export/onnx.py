"""Checkpoint to ONNX: ``python -m export.onnx training/checkpoints/pvqe-s.pt``.

The file is written only if it proves equal to the network it came from, run on ONNX Runtime over real speech.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

import click
import onnx
import torch

from edge_pse.bundle import MODELS_DIR
from export.contract import METADATA_KEY, contract
from export.graph import StepGraph
from export.parity import Parity, measure_parity
from training.checkpoint import load_checkpoint
from training.network import Network

OPSET = 17  # the first with LayerNormalization as one operator


class ParityError(Exception):
    """The exported graph does not give what the network gives."""


def export_onnx(network: Network, path: Path) -> Parity:
    """Write ``network`` as fp32 ONNX, one frame a step, all state explicit.

    Raises ParityError, and leaves ``path`` as it was, when the file differs from the network by more than
    ``export.parity.TOLERANCE``.
    """
    graph = StepGraph(network)
    names = list(graph.state_shapes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        candidate = Path(folder) / path.name
        with warnings.catch_warnings():
            # The tracing exporter, deprecated as it is, gives a graph ten times closer to the network.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                graph.example_inputs(),
                candidate,
                input_names=["spectrum", "profile", *names],
                output_names=["enhanced", "embedding", *(f"{name}_next" for name in names)],
                opset_version=OPSET,
                dynamo=False,
            )
        model = onnx.load(candidate)
        onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(contract(network, "fp32"))})
        onnx.save(model, candidate)
        parity = measure_parity(network, candidate)
        if not parity.holds():
            raise ParityError(f"{path.name} is not written: {parity}.")
        candidate.replace(path)
    return parity


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: where the device library looks.")
def main(checkpoint: Path, output: Path | None) -> None:
    """Export CHECKPOINT to fp32 ONNX."""
    network, _ = load_checkpoint(checkpoint)
    path = output or MODELS_DIR / f"{network.config.name}.fp32.onnx"
    try:
        parity = export_onnx(network, path)
    except ParityError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{path} ({path.stat().st_size / 1e6:.2f} MB): {parity}")


if __name__ == "__main__":
    main()
