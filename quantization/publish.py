"""``python -m quantization.publish``: what int8 costs each network, into ``evaluation/results.json``.

Some minutes; it needs no data, for it runs over the recordings of the tests. ``python -m evaluation.tables`` brings the
figures into the documents. A runtime of another Python joins in with
``--runtime tflite-runtime=../venv-tflite-runtime/bin/python``.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from edge_pse.backends import RUNTIMES
from edge_pse.contract import Contract
from edge_pse.model import MODELS_DIR
from edge_pse.model_file import read_description
from evaluation.metrics.perceptual import pesq_wb
from evaluation.metrics.signal import si_sdr
from evaluation.published import Int8File, Published
from quantization.calibration import CHECK, Samples, mixtures
from quantization.measure import Pythons, Variant
from quantization.quality import cosine, snr_db

NETWORKS = ("pvqe-s", "pvqe-s-far", "pvqe-xs")
"""All that ship."""
COMMAND = "python -m quantization.publish"
TRIES = 3
"""At the times: other programs only ever add to them, so the least is taken."""


def int8_variants(network: str, pythons: Pythons, models: Path = MODELS_DIR) -> list[Variant]:
    """The int8 file of a network that each runtime at hand takes when int8 is asked for."""
    asked = [models / f"{network}.int8{suffix}" for suffix in (".tflite", ".onnx")]
    variants = [variant for path in asked for variant in pythons.variants(path)]
    return [
        Variant(RUNTIMES[variant.runtime].file_for(variant.path), variant.runtime) for variant in variants
    ]


def measure_int8(network: str, pythons: Pythons, models: Path = MODELS_DIR) -> list[Int8File]:
    """A row for each int8 file and runtime, against the fp32 file in the same runtime.

    Outputs are compared over the mixtures of ``quantization.calibration.CHECK``, both given the profiles of fp32.
    """
    files = []
    for variant in int8_variants(network, pythons, models):
        fp32 = Variant(models / f"{network}.fp32{variant.path.suffix}", variant.runtime)
        description = read_description(variant.path)
        frame_ms, fp32_frame_ms = _least_times(pythons, variant, fp32)
        job = _job(description["far_end"])
        wanted = pythons.run(fp32, job)
        got = pythons.run(variant, {**job, "embeddings": wanted.embeddings})
        errors = [snr_db(*pair) for pair in zip(wanted.enhanced, got.enhanced, strict=True)]
        cosines, own = None, got
        if Contract.of(description).makes_profiles:
            own = pythons.run(variant, job)
            cosines = [cosine(*pair) for pair in zip(wanted.embeddings, own.embeddings, strict=True)]
        gain_loss_db, pesq_loss = _losses(wanted.enhanced, own.enhanced)
        files.append(
            Int8File(
                file=variant.path.name,
                runtime=variant.runtime,
                model_id=description["model_id"],
                size_mb=variant.path.stat().st_size / 1e6,
                frame_ms=frame_ms,
                fp32_frame_ms=fp32_frame_ms,
                snr_db=snr_db(np.concatenate(wanted.enhanced), np.concatenate(got.enhanced)),
                median_snr_db=float(np.median(errors)),
                worst_cosine=min(cosines) if cosines else None,
                si_sdr_gain_loss_db=gain_loss_db,
                pesq_loss=pesq_loss,
            )
        )
    return files


def _least_times(pythons: Pythons, *variants: Variant) -> list[float]:
    """Median milliseconds of a frame of each, in turns; the least of some tries."""
    tries = [pythons.times(list(variants)) for _ in range(TRIES)]
    return [min(times[variant]["p50"] for times in tries) for variant in variants]


def _losses(wanted: list[Samples], got: list[Samples]) -> tuple[float, float]:
    """SI-SDR gain in dB and PESQ-WB that ``got`` has less than ``wanted``, means over the mixtures."""
    voices = [mixture.voice for mixture in mixtures(CHECK)]
    gains, ratings = (
        np.mean([score(voice, a) - score(voice, b) for voice, a, b in zip(voices, wanted, got, strict=True)])
        for score in (si_sdr, pesq_wb)
    )
    return float(gains), float(ratings)


def _job(far_end: bool) -> dict[str, np.ndarray]:
    made = mixtures(CHECK)
    job: dict[str, np.ndarray] = {"profiles": np.arange(len(made))}
    for number, mixture in enumerate(made):
        assert mixture.enrollment is not None
        job |= {f"enrollment_{number}": mixture.enrollment, f"noisy_{number}": mixture.noisy}
        if far_end:
            job[f"far_end_{number}"] = mixture.far_end
    return job


@click.command()
@click.option(
    "--runtime", "runtimes", multiple=True, metavar="NAME=PYTHON", help="A runtime of another Python."
)
def main(runtimes: tuple[str, ...]) -> None:
    """Measure what int8 costs every network that ships, and publish it."""
    pythons = Pythons(dict(runtime.split("=", 1) for runtime in runtimes))
    files = []
    for network in NETWORKS:
        files += measure_int8(network, pythons)
        click.echo(f"measured {network}", err=True)
    try:
        published = Published.load()
        published.add_int8(files, COMMAND)
        published.write()
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    for name in pythons.missing():
        click.echo(f"Not measured: {name} is not installed here; add --runtime {name}=PYTHON.")


if __name__ == "__main__":
    main()
