"""What int8 costs: ``python -m quantization.check --data DIR -o FOLDER``, or ``--short`` without data.

With ``--bars-only`` it leaves out what no bar asks for, and of the short streams those that are far from a bar.

Runs every file of a network on every runtime at hand, writes a report (Markdown and HTML), and ends with
status 1 when an int8 file misses a bar of ``quantization.bars``. Runtimes of other Pythons join in with
``--runtime tflite-runtime=../venv-tflite-runtime/bin/python``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from edge_pse.model import MODELS_DIR, Model
from quantization.bars import is_about_time, misses, misses_time
from quantization.measure import Pythons, Row, Variant, measure
from quantization.report import (
    Section,
    cost_section,
    drift_section,
    quality_section,
    stream_plot,
    write_report,
)
from quantization.scenes import NEAREST_STREAMS, STREAMS, dev_scenes, short_scenes

TRIES = 3
"""At the times alone: other programs may be in the way of any one."""


def find_misses(rows: list[Row]) -> list[str]:
    """All that the int8 rows miss; the first row is the fp32 reference."""
    fp32 = {row.variant.runtime: row for row in rows if not row.variant.int8}
    int8 = [row for row in rows if row.variant.int8]
    each = [miss for row in int8 for miss in misses(row, rows[0], fp32[row.variant.runtime])]
    return each + misses_time(int8)


def settle_times(
    rows: list[Row], measure_again: Callable[[], dict[Variant, dict[str, float]]]
) -> tuple[list[Row], list[str]]:
    """The rows and what they miss, with times measured again while they are all that is missed."""
    failures = find_misses(rows)
    for _ in range(TRIES - 1):
        if not failures or not all(map(is_about_time, failures)):
            break
        times = measure_again()
        rows = [
            replace(row, p50_ms=times[row.variant]["p50"], p99_ms=times[row.variant]["p99"]) for row in rows
        ]
        failures = find_misses(rows)
    return rows, failures


def report_sections(rows: list[Row], failures: list[str]) -> list[Section]:
    """The report, most important first."""
    verdict = "\n\n".join(failures) if failures else "Every int8 file keeps every bar."
    return [
        Section("Verdict", verdict),
        cost_section(rows, rows[0]),
        quality_section(rows, rows[0]),
        drift_section(rows),
        Section(
            "Minute by minute",
            plot=stream_plot([row for row in rows if row.variant.int8]),
        ),
    ]


def _files(network: str, models: Path) -> list[Path]:
    files = [path for path in sorted(models.glob(f"{network}.*")) if path.suffix in (".onnx", ".tflite")]
    if not any(".int8." in path.name for path in files):
        raise click.ClickException(
            f"There is no int8 file of {network}: run python -m quantization.quantize."
        )
    return files


@click.command()
@click.option("--network", default="pvqe-s", show_default=True)
@click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=MODELS_DIR,
    help="Folder of the model files; default: those that ship.",
)
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Dev data.")
@click.option("--short", is_flag=True, help="Some minutes, on the recordings of the tests.")
@click.option("--bars-only", is_flag=True, help="Measure only what there is a bar for.")
@click.option(
    "--runtime", "runtimes", multiple=True, metavar="NAME=PYTHON", help="A runtime of another Python."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the report.")
def main(
    network: str, models: Path, data: Path | None, short: bool, bars_only: bool, runtimes: tuple[str, ...],
    output: Path | None,
) -> None:  # fmt: skip
    """Measure what int8 costs NETWORK."""
    pythons = Pythons(dict(runtime.split("=", 1) for runtime in runtimes))
    reference = Variant(models.resolve() / f"{network}.fp32.onnx", "onnx")
    variants = [variant for path in _files(network, models.resolve()) for variant in pythons.variants(path)]
    variants.sort(key=lambda variant: variant != reference)
    far_end = Model.load(reference.path, reference.runtime).contract.far_end
    # Two thirds of the time goes to them.
    streams = NEAREST_STREAMS.get(network, STREAMS) if bars_only else STREAMS
    scenes = short_scenes(far_end, streams) if short else dev_scenes(data, far_end)
    rows = []
    for row in measure(reference, variants, scenes, pythons, bars_only):
        click.echo(f"measured {row.variant.name}", err=True)
        rows.append(row)
    rows, failures = settle_times(rows, lambda: pythons.times(variants))
    sections = report_sections(rows, failures)
    for section in sections[1:4]:
        click.echo(f"\n{section.title}")
        for cells in [section.header, *section.rows]:
            click.echo("  " + " | ".join(cells))
    for name in pythons.missing():
        click.echo(f"Not measured: {name} is not installed here; add --runtime {name}=PYTHON.")
    if output is not None:
        write_report(output, f"int8 against fp32: {network}", sections)
    click.echo("\n" + sections[0].text)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
