"""``python -m evaluation``: score models, peers and commands, and write a report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click
import numpy as np

from evaluation.cost import CLIP_SECONDS, Cost, measure_costs
from evaluation.data import DataError, data_option, data_root
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.peers import PEERS
from evaluation.published import PUBLISHED, Published
from evaluation.report.json_file import json_report
from evaluation.report.markdown import headline_table, markdown_report, table
from evaluation.results import SystemResult
from evaluation.run import Evaluation, Listening
from evaluation.sets import SETS_FOLDER
from evaluation.sets.pairs import pair_scenes
from evaluation.sets.render import render
from evaluation.sets.scene import Scene, read_scenes
from evaluation.summary import worst_clips
from evaluation.systems.spec import SystemSpec

SET_NAMES = sorted(path.stem for path in SETS_FOLDER.glob("*.jsonl") if path.stem != "quick")
ALL_PEERS = "all"


def _scenes(sets: tuple[str, ...], quick: bool, pairs: tuple[Path, Path] | None) -> list[Scene]:
    if pairs:
        return pair_scenes(*pairs)
    if quick:
        scenes = read_scenes(SETS_FOLDER / "quick.jsonl")
        return [scene for scene in scenes if not sets or scene.set in sets]
    return [scene for name in sets or SET_NAMES for scene in read_scenes(SETS_FOLDER / f"{name}.jsonl")]


def _specs(
    models: tuple[str, ...],
    unprocessed: bool,
    reference: bool,
    commands: tuple[str, ...],
    peers: tuple[str, ...],
    half_band: bool,
) -> list[SystemSpec]:
    names = list(PEERS) if ALL_PEERS in peers else list(peers)
    specs = [SystemSpec("input")] if unprocessed else []
    specs += [SystemSpec("model", model) for model in models]
    specs += [SystemSpec("model", model, full_band=False) for model in models if half_band]
    specs += [SystemSpec("peer", name) for name in names]
    specs += [SystemSpec("command", template) for template in commands]
    return specs + ([SystemSpec("reference")] if reference else [])


def _cost_clip(scenes: list[Scene], root: Path) -> np.ndarray | None:
    """The first noisy speech of the sets at 16 kHz, 8 s of it; None where nothing can be read."""
    at_model_rate = [scene for scene in scenes if scene.rate_hz == SAMPLE_RATE_HZ]
    ranked = sorted(at_model_rate, key=lambda scene: scene.set != "noise")
    for scene in ranked:
        try:
            return np.resize(render(scene, root).mixture, round(CLIP_SECONDS * SAMPLE_RATE_HZ))
        except DataError:
            continue
    return None


def _run_all(evaluation: Evaluation, specs: list[SystemSpec]) -> list[SystemResult]:
    results = []
    for spec in specs:
        with click.progressbar(
            length=len(evaluation.scenes), label=spec.name[:24].ljust(24), file=sys.stderr
        ) as bar:
            result = evaluation.run(spec, bar.update)
        if result.reason:
            click.echo(f"{spec.name} is left out: {result.reason}", err=True)
        results.append(result)
    return results


def _listening(evaluation: Evaluation, results: list[SystemResult]) -> Listening | None:
    """The worst clips of the first system that does something."""
    for result in results:
        if result.rows and not result.is_bound:
            return evaluation.listen(result, [row for row, _ in worst_clips(result)])
    return None


@click.command()
@click.argument("models", nargs=-1)
@click.option(
    "--input", "unprocessed", is_flag=True, help="Score the input as it is: the floor of every table."
)
@click.option("--reference", is_flag=True, help="Score the clean reference: the ceiling of every metric.")
@click.option(
    "--band",
    type=click.Choice(["8"]),
    help="Score each model a second time on the full-band scenes, as --band 8 of edge-pse has it: nothing above 8 kHz.",
)
@click.option(
    "--command",
    "commands",
    multiple=True,
    metavar="TEMPLATE",
    help="Score a command, e.g. 'tool {noisy} -o {out}'; it may use {enroll} and {far}, too.",
)
@click.option("--peer", "peers", multiple=True, type=click.Choice([*PEERS, ALL_PEERS]), help="Score a peer.")
@click.option(
    "--pairs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    nargs=2,
    metavar="CLEAN NOISY",
    help="Score on two folders of recordings instead of the dev sets.",
)
@data_option
@click.option("--quick", is_flag=True, help="The small set, without DNSMOS: under a minute.")
@click.option("--sets", multiple=True, type=click.Choice(SET_NAMES), help="Only these sets.")
@click.option(
    "--cost/--no-cost", default=None, help="Measure CPU time and memory.  [default: not with --quick]"
)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Worker processes.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for report.md, .json, .html."
)
@click.option(
    "--publish",
    is_flag=True,
    help="Put the figures into evaluation/results.json, which README and cards show.",
)
def main(
    models: tuple[str, ...],
    unprocessed: bool,
    reference: bool,
    band: str | None,
    commands: tuple[str, ...],
    peers: tuple[str, ...],
    pairs: tuple[Path, Path] | None,
    data: Path | None,
    quick: bool,
    sets: tuple[str, ...],
    cost: bool | None,
    jobs: int,
    out: Path | None,
    publish: bool,
) -> None:
    """Say how good MODELS are (names or paths of models), and how they stand beside what people use today.

    Without any model, peer, command or bound, the default model and the unprocessed input are scored.
    """
    if not (models or unprocessed or reference or commands or peers):
        models, unprocessed = ("pvqe-s",), True
    try:
        root = Path() if pairs else data_root(data)
        scenes = _scenes(sets, quick, pairs)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if publish and (quick or pairs):
        raise click.UsageError("--publish is for the dev sets: not with --quick or --pairs.")
    specs = _specs(models, unprocessed, reference, commands, peers, band == "8")
    with Evaluation(root, scenes, jobs, dnsmos=not quick) as evaluation:
        results = _run_all(evaluation, specs)
        listening = _listening(evaluation, results) if out else None
    costs: list[Cost] = []
    clip = _cost_clip(scenes, root) if (not quick if cost is None else cost) else None
    if clip is not None:
        costs = measure_costs(results, clip)
    click.echo(table(*headline_table(results)))
    if out:
        _write(out, results, costs, listening, _settings(scenes, quick, pairs))
    if publish:
        _publish(results, costs)
    if all(result.reason for result in results):
        raise click.ClickException("Nothing could be scored; the reasons are above.")


def _publish(results: list[SystemResult], costs: list[Cost]) -> None:
    try:
        published = Published.load() if PUBLISHED.exists() else Published()
        published.add(results, costs, _command_line(sys.argv[1:]))
        published.write()
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Wrote {PUBLISHED.name}; python -m evaluation.tables brings it into the documents.", err=True)


def _command_line(arguments: list[str]) -> str:
    """What was run, without the places of this machine."""
    kept = []
    words = iter(arguments)
    for word in words:
        if word in ("--data", "--out", "--jobs"):
            next(words, None)
        elif word != "--publish" and not word.startswith(("--data=", "--out=", "--jobs=")):
            kept.append(word)
    return shlex.join(["python", "-m", "evaluation", *kept])


def _settings(scenes: list[Scene], quick: bool, pairs: tuple[Path, Path] | None) -> dict[str, object]:
    counts: dict[str, int] = {}
    for scene in scenes:
        counts[scene.set] = counts.get(scene.set, 0) + 1
    return {"quick": quick, "pairs": [str(folder) for folder in pairs] if pairs else None, "clips": counts}


def _write(
    out: Path,
    results: list[SystemResult],
    costs: list[Cost],
    listening: Listening | None,
    settings: dict[str, object],
) -> None:
    # Not above: every worker process would load Matplotlib with this module.
    from evaluation.report.html import html_report

    title = "Evaluation" + (" (quick)" if settings["quick"] else "")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.md").write_text(markdown_report(results, costs, title), encoding="utf-8")
        (out / "report.json").write_text(json_report(results, costs, settings), encoding="utf-8")
        (out / "report.html").write_text(html_report(results, costs, listening, title), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"Cannot write the report to {out}: {error.strerror}.") from None
    click.echo(f"Wrote report.md, report.json and report.html to {out}.", err=True)


if __name__ == "__main__":
    main()
