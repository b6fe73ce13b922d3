"""neural-compressor looks for a recipe: ``python -m studies int8-search edge_pse/models/pvqe-s.fp32.onnx -o FILE``.

Runs in the environment of ``studies/requirements-int8-search.txt``. The accuracy that steers it is ours: the
mean SI-SDR gain of the enhanced mixtures of ``quantization.calibration.CHECK``, with the state carried along
and the profiles made by the candidate itself. The best candidate is written without regard to the shipped
file; compare the two with what this command prints.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx

from edge_pse.backends import open_model
from edge_pse.enrollment import embed
from edge_pse.model import Model
from evaluation.metrics.signal import si_sdr
from quantization.calibration import CHECK, Samples, calibration_inputs, mixtures
from quantization.quality import enhance, snr_db

TOLERABLE_LOSS_DB = 0.05
"""Of SI-SDR gain: a sixth of what int8 may cost in all, since the search sees few mixtures."""
MAX_TRIALS = 12
FLOAT = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
# The static search of neural-compressor 2.6 fails on these operators ("parameters are not specified"), and
# int8 kernels for them would save nothing.
KEPT_OPERATORS = (
    "Pad", "Mul", "Add", "Sub", "Pow", "Concat", "Sigmoid", "Tanh", "Elu", "Reshape", "Transpose", "Split",
    "Slice", "Squeeze", "Unsqueeze", "Flatten", "ReduceSum", "LayerNormalization",
)  # fmt: skip
# The convolution with fixed weights through which the signal itself goes, and the products of two signals.
KEPT_NODES = ("/mask/.*", "/align/MatMul.*")


@dataclass(frozen=True)
class Trial:
    """One candidate of the search."""

    gain_db: float
    snr: float
    size_mb: float
    ms: float
    """Mean time of a frame, enrollment and synthesis included: for comparison within one search."""
    operators: str

    def __str__(self) -> str:
        return (
            f"gain {self.gain_db:.3f} dB, SNR {self.snr:.1f} dB, {self.size_mb:.2f} MB, {self.ms:.2f} ms"
            f"{', ' if self.operators else ''}{self.operators}"
        )


class Accuracy:
    """SI-SDR gain of a candidate; keeps every trial, because the search forgets those that miss its goal."""

    def __init__(self, fp32: Model):
        self._fp32 = fp32
        self._mixtures = mixtures(CHECK)
        self._profiles = [self._profile(fp32, number) for number in range(len(self._mixtures))]
        self._wanted = self._enhanced(fp32)
        seen = sum(
            len(samples)
            for mixture in self._mixtures
            for samples in (mixture.noisy, mixture.enrollment)
            if samples is not None
        )
        self._frames = seen // fp32.contract.hop_samples
        self.trials: list[tuple[Trial, bytes]] = []

    def __call__(self, model: onnx.ModelProto) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "candidate.onnx"
            onnx.save(model, path)
            content = path.read_bytes()
            candidate = replace(self._fp32, path=path, backend=open_model(path.read_bytes(), "onnx"))
        start = time.process_time()
        enhanced = self._enhanced(candidate)
        seconds = time.process_time() - start
        gain = float(np.mean([self._gain(*pair) for pair in zip(self._mixtures, enhanced, strict=True)]))
        snr = min(100.0, snr_db(np.concatenate(self._wanted), np.concatenate(enhanced)))
        operators = Counter(node.op_type for node in model.graph.node)
        int8 = [
            f"{count} {name}"
            for name, count in operators.items()
            if name.endswith(("Integer", "QuantizeLinear"))
        ]
        trial = Trial(gain, snr, len(content) / 1e6, 1000 * seconds / self._frames, ", ".join(int8))
        self.trials.append((trial, content))
        click.echo(f"  {trial}")
        return gain

    def _profile(self, model: Model, number: int) -> Samples:
        enrollment = self._mixtures[number].enrollment
        assert enrollment is not None
        return embed(enrollment, model)

    def _enhanced(self, model: Model) -> list[Samples]:
        return [
            enhance(model, mixture.noisy, self._profile(model, number))
            for number, mixture in enumerate(self._mixtures)
        ]

    @staticmethod
    def _gain(mixture: Any, enhanced: Samples) -> float:
        return si_sdr(mixture.voice, enhanced) - si_sdr(mixture.voice, mixture.noisy)


class CalibrationFrames:
    """Frames with their state, as neural-compressor asks for them: (inputs by name, no label)."""

    batch_size = 1

    def __init__(self, fp32: Model):
        self._frames = list(calibration_inputs(fp32))

    def __iter__(self) -> Iterator[tuple[dict[str, Samples], int]]:
        return ((frame, 0) for frame in self._frames)

    def __len__(self) -> int:
        return len(self._frames)


def search(source: Path, approach: str, accuracy: Accuracy) -> list[tuple[Trial, bytes]]:
    """All trials of a search with ``approach`` ``dynamic`` or ``static``; the first one is fp32."""
    from neural_compressor import PostTrainingQuantConfig, quantization, set_workspace
    from neural_compressor.config import AccuracyCriterion, TuningCriterion

    frames = CalibrationFrames(Model.load(source))
    config = PostTrainingQuantConfig(
        approach=approach,
        op_type_dict=dict.fromkeys(KEPT_OPERATORS, FLOAT),
        op_name_dict=dict.fromkeys(KEPT_NODES, FLOAT),
        calibration_sampling_size=[len(frames)],
        tuning_criterion=TuningCriterion(timeout=0, max_trials=MAX_TRIALS),
        accuracy_criterion=AccuracyCriterion(
            higher_is_better=True, criterion="absolute", tolerable_loss=TOLERABLE_LOSS_DB
        ),
    )
    accuracy.trials.clear()
    with tempfile.TemporaryDirectory() as folder:
        set_workspace(folder)
        quantization.fit(str(source), config, calib_dataloader=frames, eval_func=accuracy)
    return list(accuracy.trials)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The best candidate.")
def main(source: Path, output: Path) -> None:
    """Search int8 recipes for the fp32 ONNX file SOURCE."""
    import neural_compressor  # noqa: F401  (missing in most environments: said before anything is measured)

    logging.disable(logging.WARNING)
    accuracy = Accuracy(Model.load(source))
    by_hand = source.with_name(source.name.replace(".fp32.", ".int8."))
    if by_hand.exists():
        click.echo(f"chosen by hand: {by_hand.name}")
        accuracy(onnx.load(by_hand))
    trials = []
    for approach in ("dynamic", "static"):
        click.echo(f"{approach}, fp32 first")
        baseline, *tried = search(source, approach, accuracy)
        trials += [item for item in tried if item[0].gain_db >= baseline[0].gain_db - TOLERABLE_LOSS_DB]
    if not trials:
        raise click.ClickException("No candidate keeps the accuracy; the recipe chosen by hand stays.")
    best, content = min(trials, key=lambda item: (item[0].size_mb, -item[0].snr))
    output.write_bytes(content)
    click.echo(f"smallest that keeps the gain: {best}")
