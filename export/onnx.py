"""Checkpoint to ONNX: ``python -m export.onnx training/checkpoints/pvqe-s.pt``.

The file is written only if it proves equal to the network it came from, run on ONNX Runtime over real speech.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import click
import torch

from edge_pse.model_file import write_description
from export.description import description
from export.graph import StepGraph
from export.weights import find_ranges
from export.writing import export_checkpoint
from training.network import Network

OPSET = 17  # the first with LayerNormalization as one operator


def write_onnx(network: Network, path: Path) -> None:
    """Write ``network`` as fp32 ONNX with its contract beside it: one frame a step, all state explicit."""
    graph = StepGraph(network)
    with warnings.catch_warnings():
        # The tracing exporter, deprecated as it is, gives a graph ten times closer to the network.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            graph.example_inputs(),
            path,
            input_names=graph.input_names,
            output_names=graph.output_names,
            opset_version=OPSET,
            dynamo=False,
        )
    write_description(path, {**description(network, "fp32"), "weights": find_ranges(graph, path)})


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Default: where the device library looks."
)
def main(checkpoint: Path, output: Path | None) -> None:
    """Export CHECKPOINT to fp32 ONNX."""
    export_checkpoint(checkpoint, output, ".onnx", write_onnx)


if __name__ == "__main__":
    main()
