"""Checkpoint to TFLite: ``python -m export.tflite training/checkpoints/pvqe-s.pt``.

Runs in an environment of its own: see ``export/requirements-tflite.txt``. The file is written only if it
proves equal to the network it came from, run on LiteRT over real speech.
"""

from __future__ import annotations

from pathlib import Path

import click
from torch import Tensor, nn

from edge_pse.model_file import write_description
from export.description import description
from export.elu import restore_elu
from export.graph import StepGraph
from export.weights import find_ranges
from export.writing import export_checkpoint
from training.network import Network


class NamedStepGraph(nn.Module):
    """The step graph with inputs and outputs by name, which become the names of the file's signature."""

    def __init__(self, graph: StepGraph):
        super().__init__()
        self.step = graph  # torch.export keeps "graph" for itself

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        outputs = self.step(*(inputs[name] for name in self.step.input_names))
        return dict(zip(self.step.output_names, outputs, strict=True))


def write_tflite(network: Network, path: Path) -> None:
    """Write ``network`` as fp32 TFLite with its contract beside it: one frame a step, all state explicit."""
    import litert_torch  # here, so that --help needs none of it

    graph = StepGraph(network)
    inputs = dict(zip(graph.input_names, graph.example_inputs(), strict=True))
    litert_torch.convert(NamedStepGraph(graph).eval(), sample_kwargs=inputs).export(str(path))
    path.write_bytes(restore_elu(path.read_bytes()))
    write_description(path, {**description(network, "fp32"), "weights": find_ranges(graph, path)})


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Default: where the device library looks."
)
def main(checkpoint: Path, output: Path | None) -> None:
    """Export CHECKPOINT to fp32 TFLite."""
    try:
        export_checkpoint(checkpoint, output, ".tflite", write_tflite)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is missing: run this in the environment of export/requirements-tflite.txt."
        ) from error


if __name__ == "__main__":
    main()
