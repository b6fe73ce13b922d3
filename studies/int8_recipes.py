"""Which int8 recipe? All of them side by side, and each layer by itself: on what the choice of the shipped one rests.

``python -m studies int8-recipes -o FOLDER`` writes a report. Runtimes of other Pythons join in with ``--runtime``, as
they do in ``quantization.check``; TFLite files are made by the Python of ``export/requirements-tflite.txt``, which
``--tflite-builder`` names.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure

from edge_pse.backends import open_model
from edge_pse.enrollment import embed
from edge_pse.model import MODELS_DIR, Model
from quantization.calibration import CHECK, Samples, mixtures
from quantization.measure import ROOT, Pythons, Variant
from quantization.quality import cosine, enhance, snr_db
from quantization.recipes import RECIPES, SHIPPED, Recipe
from quantization.report import Section, write_report

LAYERS_BY = "linear-dynamic-conv-dynamic"
"""The recipe whose cost is split up by layers: all that can be calculated in int8, is."""


@dataclass(frozen=True)
class Candidate:
    """A recipe on a runtime, or why it is none."""

    name: str
    size_mb: float = float("nan")
    p50_ms: float = float("nan")
    snr: float = float("nan")
    cosine: float = float("nan")
    failure: str = ""

    def cells(self) -> list[str]:
        """As a row of the report."""
        if self.failure:
            return [self.name, "", "", "", "", self.failure]
        return [
            self.name, f"{self.size_mb:.2f}", f"{self.p50_ms:.3f}", f"{self.snr:.1f}", f"{self.cosine:.5f}",
            "",
        ]  # fmt: skip


def make_candidates(
    fp32_onnx: Path, folder: Path, pythons: Pythons, tflite_builder: str | None
) -> list[Candidate]:
    """Every recipe in every format that can be made here, on every runtime at hand; fp32 first."""
    builders = {".onnx": sys.executable, **({".tflite": tflite_builder} if tflite_builder else {})}
    files, failed = [], []
    for suffix, python in builders.items():
        source = fp32_onnx.with_suffix(suffix)
        files.append(source)
        for recipe in RECIPES:
            click.echo(f"making {recipe}{suffix}", err=True)
            path = folder / f"{recipe}{suffix}"
            failure = _make(python, source, recipe, path)
            if failure:
                failed.append(Candidate(path.name, failure=failure))
            else:
                files.append(path)
    variants = [variant for path in files for variant in pythons.variants(path)]
    return _measured(Variant(fp32_onnx, "onnx"), variants, pythons) + failed


def layer_errors(fp32: Model, recipe: Recipe) -> dict[str, float]:
    """Output SNR in dB, over one mixture, with all layers but one in float; by layer. ONNX only."""
    from quantization.onnx_int8 import layers, quantize_onnx

    mixture = mixtures(CHECK[:1])[0]
    assert mixture.enrollment is not None
    far_end = mixture.far_end if fp32.contract.far_end else None
    profile = embed(mixture.enrollment, fp32.profile_network())
    wanted = enhance(fp32, mixture.noisy, profile, far_end)
    names = layers(fp32.path)
    errors = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.onnx"
        for name in names:
            others = tuple(other for other in names if other != name)
            quantize_onnx(fp32.path, replace(recipe, keep=others), path)
            one = replace(fp32, path=path, backend=open_model(path.read_bytes(), "onnx"))
            errors[name] = snr_db(wanted, enhance(one, mixture.noisy, profile, far_end))
    return errors


def _make(python: str, source: Path, recipe: str, target: Path) -> str:
    """Make one file, whatever its quality; returns why it could not be made, or nothing."""
    command = [python, "-m", "quantization.quantize", str(source), "--recipe", recipe, "-o", str(target)]
    done = subprocess.run([*command, "--min-snr", "0"], cwd=ROOT, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def _measured(reference: Variant, variants: list[Variant], pythons: Pythons) -> list[Candidate]:
    scenes = mixtures(CHECK)
    job: dict[str, np.ndarray] = {"profiles": np.arange(len(scenes))}
    for number, mixture in enumerate(scenes):
        assert mixture.enrollment is not None
        job |= {f"enrollment_{number}": mixture.enrollment, f"noisy_{number}": mixture.noisy}
        job |= {f"far_end_{number}": mixture.far_end}
    fp32 = pythons.run(reference, job)
    times = pythons.times(variants)
    makes_profiles = Model.load(reference.path, reference.runtime).contract.makes_profiles
    candidates = []
    for variant in variants:
        given = pythons.run(variant, {**job, "embeddings": fp32.embeddings})
        own = pythons.run(variant, job) if makes_profiles else given
        candidates.append(
            Candidate(
                name=variant.name,
                size_mb=variant.path.stat().st_size / 1e6,
                p50_ms=times[variant]["p50"],
                snr=snr_db(_joined(fp32.enhanced), _joined(given.enhanced)),
                cosine=min(cosine(*pair) for pair in zip(fp32.embeddings, own.embeddings, strict=True)),
            )
        )
    return candidates


def _joined(signals: list[Samples]) -> Samples:
    return np.concatenate(signals)


def report_sections(candidates: list[Candidate], layers: dict[str, float]) -> list[Section]:
    """The comparison of recipes, and what each layer costs."""
    points = [
        (item.name, item.size_mb, item.p50_ms, item.snr) for item in candidates if math.isfinite(item.snr)
    ]
    return [
        Section(
            "Recipes",
            f"Shipped are, {_shipped()}. SNR and cosine over the recordings of the tests.",
            ["", "MB", "p50 ms", "SNR dB", "cosine", ""],
            [item.cells() for item in candidates],
            _scatter(points),
        ),
        Section(
            "Layers",
            f"With only that layer as {LAYERS_BY} has it, on ONNX Runtime, over one mixture.",
            ["", "SNR dB"],
            [[layer, f"{error:.1f}"] for layer, error in layers.items()],
            _layer_plot(layers),
        ),
    ]


def _shipped() -> str:
    return "; ".join(f"as {suffix}: {' and '.join(names)}" for suffix, names in SHIPPED.items())


def _scatter(points: list[tuple[str, float, float, float]]) -> Figure:
    """Quality (SNR, dB) against size (MB) and against time (ms); points are (name, size, time, SNR)."""
    figure = Figure(figsize=(10, 4))
    for column, label in ((1, "file, MB"), (2, "frame, ms")):
        axes = figure.add_subplot(1, 2, column)
        for point in points:
            axes.plot(point[column], point[3], "o", label=point[0])
        axes.set_xlabel(label)
        axes.set_ylabel("output SNR against fp32, dB")
        axes.grid(alpha=0.3)
    axes.legend(fontsize=6, bbox_to_anchor=(1, 1))
    return figure


def _layer_plot(errors: dict[str, float]) -> Figure:
    """Output SNR with only that layer in int8."""
    figure = Figure(figsize=(7, 7))
    axes = figure.add_subplot()
    axes.barh(list(errors)[::-1], list(errors.values())[::-1])
    axes.set_xlabel("output SNR with only this layer in int8, dB")
    axes.tick_params(labelsize=7)
    return figure


@click.command()
@click.option("--network", default="pvqe-s", show_default=True)
@click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=MODELS_DIR,
    help="Folder of the fp32 files; default: those that ship.",
)
@click.option(
    "--runtime", "runtimes", multiple=True, metavar="NAME=PYTHON", help="A runtime of another Python."
)
@click.option("--tflite-builder", metavar="PYTHON", help="The Python that makes TFLite files.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the report.")
def main(
    network: str, models: Path, runtimes: tuple[str, ...], tflite_builder: str | None, output: Path
) -> None:
    """Compare all int8 recipes for NETWORK, and each of its layers by itself."""
    pythons = Pythons(dict(runtime.split("=", 1) for runtime in runtimes))
    fp32 = models.resolve() / f"{network}.fp32.onnx"
    with tempfile.TemporaryDirectory() as folder:
        candidates = make_candidates(fp32, Path(folder), pythons, tflite_builder)
    sections = report_sections(candidates, layer_errors(Model.load(fp32), RECIPES[LAYERS_BY]))
    write_report(output, f"int8 recipes: {network}", sections)
    click.echo(f"{output / 'report.md'}")
