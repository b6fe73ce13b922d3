"""All recipes side by side, and each layer by itself: on what the choice of the shipped recipe rests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from edge_pse.backends import open_model
from edge_pse.enrollment import embed
from edge_pse.model import Model
from quantization.calibration import CHECK, Samples, mixtures
from quantization.measure import ROOT, Pythons, Variant
from quantization.quality import cosine, enhance, snr_db
from quantization.recipes import RECIPES, Recipe


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
