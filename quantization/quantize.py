"""An fp32 model file to int8: ``python -m quantization.quantize edge_pse/models/pvqe-s.fp32.onnx``.

A ``.tflite`` file needs the environment of ``export/requirements-tflite.txt``, an ``.onnx`` file the one of
development. Writes all that ships in that format, each file only if it runs and stays near the fp32 one on real speech.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from edge_pse.model import Model
from edge_pse.model_file import read_description, write_description
from export.writing import candidate_for
from quantization.quality import Drift, measure_drift
from quantization.recipes import RECIPES, SHIPPED, Recipe
from quantization.steps import find_int8_ranges

MIN_SNR_DB = 35.0
"""Of the int8 output against the fp32 one, in the median of the mixtures. What ships has 36.0 dB and more; with the
weights before, recipes with fixed ranges for the convolutions had 30.2 and less. This command prints it, with
``--recipe`` and ``-o`` of any recipe."""
LEAST_SNR_DB = 20.0
"""The same over all mixtures: no single one may be lost either."""
MIN_COSINE = 0.99


class QuantizationError(Exception):
    """The int8 file can't be made, or is too far from the fp32 one to be written."""


def quantize(source: Path, recipe: Recipe, target: Path, min_snr_db: float = MIN_SNR_DB) -> Drift:
    """Write the fp32 file ``source`` as int8, with its contract, to ``target``.

    Raises QuantizationError, and leaves ``target`` as it was, when the result does not run or its output is
    farther from that of ``source`` than ``min_snr_db`` allows in the median of the mixtures of
    ``quantization.calibration.CHECK``, or LEAST_SNR_DB over all of them.
    """
    original = Model.load(source)
    contract = read_description(source)
    with candidate_for(target) as candidate:
        try:
            _apply(source, recipe, candidate)
            ranges = find_int8_ranges(source, candidate)
            write_description(candidate, {**contract, "precision": recipe.precision, "weights": ranges})
            drift = measure_drift(original, Model.load(candidate))
        except Exception as error:  # the tools have no exception of their own
            raise QuantizationError(f"{recipe.name} can't be made of {source.name}: {error}") from error
        near = drift.median_snr_db >= min_snr_db and drift.snr_db >= LEAST_SNR_DB
        if not near or drift.cosine < MIN_COSINE:
            raise QuantizationError(f"{target.name} is not written: {drift}.")
    return drift


def _apply(source: Path, recipe: Recipe, target: Path) -> None:
    # The tools of one format are not installed where the other is made.
    if source.suffix == ".onnx":
        from quantization.onnx_int8 import quantize_onnx

        quantize_onnx(source, recipe, target)
    else:
        try:
            from quantization.tflite_int8 import quantize_tflite
        except ModuleNotFoundError as error:
            raise QuantizationError(
                f"{error.name} is missing, so run this in the environment of export/requirements-tflite.txt."
            ) from error
        quantize_tflite(source, recipe, target)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--recipe", "recipe_name", type=click.Choice(list(RECIPES)), help="Default: all that ship.")
@click.option(
    "--min-snr", default=MIN_SNR_DB, show_default=True, help="Refuse to write a file that is worse, dB."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Default: beside SOURCE; needs --recipe."
)
def main(source: Path, recipe_name: str | None, min_snr: float, output: Path | None) -> None:
    """Bring the fp32 model file SOURCE to int8."""
    logging.getLogger().setLevel(logging.ERROR)  # the tools' advice does not fit models of one frame a step
    if ".fp32." not in source.name:
        raise click.UsageError(f"{source.name} is not named <network>.fp32.*: give a file that is.")
    if output is not None and recipe_name is None:
        raise click.UsageError("-o is for one file: say with --recipe for which.")
    for name in [recipe_name] if recipe_name else SHIPPED[source.suffix]:
        recipe = RECIPES[name]
        target = output or source.with_name(source.name.replace(".fp32.", f".{recipe.precision}."))
        try:
            drift = quantize(source, recipe, target, min_snr)
        except QuantizationError as error:
            raise click.ClickException(str(error)) from error
        share = target.stat().st_size / source.stat().st_size
        click.echo(f"{target} ({target.stat().st_size / 1e6:.2f} MB, {share:.2f} of fp32): {drift}")


if __name__ == "__main__":
    main()
