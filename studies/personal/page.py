"""The page about personal weights: ``python -m studies personal-page`` writes docs/personal.md and its plot.

All figures are those of the results file; what the plan asks for and the file does not hold is named at the end.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure

from evaluation.earlier import marked
from evaluation.metrics.statistics import Summary, summarise
from evaluation.published import StudyTable, publish_tables
from evaluation.report.markdown import table
from studies.personal.clips import (
    ABSENT,
    CROSS,
    LEVEL,
    LOST,
    MICROPHONE,
    NEAREST,
    NEAREST_ABSENT,
    NOISE,
    ONSET,
    ROWS,
    SAME,
    WORST,
    WRONG,
)
from studies.personal.learning import AGAINST, MACHINE, MEAN, VARIANTS
from studies.personal.results import GENERAL, RECIPE, RESULTS, Cell, read
from studies.personal.voices import READINGS_S

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PLOT = "personal.md", "personal.png"
NETWORK = "pvqe-s"
OTHER_NETWORKS = ("pvqe-xs", "pvqe-s-far")
MINUTES = (1.0, 3.0, 10.0, 30.0)
LEAST_VOICES, FEWER_VOICES = 16, 4
WORSE_DB = 0.2
SHORT_ROWS = (SAME, MICROPHONE, CROSS, ABSENT, NOISE, LEVEL, LOST)
"""Of tables that compare."""
README_ROWS = (SAME, CROSS, ABSENT, WORST, WRONG, NOISE, ONSET)
PUBLISHED_AS = "personal weights"
CURVES = {
    SAME: "another voice of the same sex",
    CROSS: "another voice of the other sex",
    NOISE: "noise at 5 dB",
}
SUPPRESSED = {ABSENT: "whoever it is", WORST: "the worst tenth of the clips"}
_HEAD = """# Personal weights: what they bring

A network can go on learning one voice, on its user's own machine. This page says what that brings, as far as it has
been measured. It is written by `python -m studies personal-page --publish` from the cells in
`studies/personal/results.jsonl`.
`python -m studies personal --data DATA --minutes 1 --minutes 3 --minutes 10 --clips 6 --results
studies/personal/results.jsonl` measures further cells and leaves those that are there. What two voices gained before
there was this file: [history](history.md#personal-weights-one-voice).
"""
_HOW = """## What was measured

A dev speaker reads for some seconds. Neither the speaker nor the noise nor the rooms of the clips were ever
heard in training. The network learns from that reading and from the voices, noises and rooms that
`edge-pse personalise` learns from (`training/personal.toml`, `personalisation/pack`).
It is then given clips of the speaker's other recordings, {clips} of each condition: one other dev voice at -5,
0 or 5 dB in noise at 20 dB; the same through a telephone's band with its slopes, and through half of the band;
that other voice alone; noise at 5 dB; the voice alone; and a voice that comes in after another one has talked
for five seconds. "Most similar voice" is the dev voice next to this one in the network's own voice space.
"Wrong talker heard" is the share of clips with one other voice whose output is nearer, in SI-SDR, to the other
voice than to the wanted one. TSOS is the share of frames that lose the voice.

Each figure is first the mean over the clips of a voice; of "worst tenth" it is the value that a tenth of them
stay below. Tables show the mean over voices with its 95 % bootstrap interval, voices drawn with replacement. A
gain is personal minus general weights on the same clips, so that its interval is narrower than theirs.

A minute is {step_ms}: a minute of {machine}.
Steps are what another machine can repeat. Minutes are moments of one run, whose learning rate comes down only
towards the last of them; a run that ends sooner is named as such. Here a step took {ms_a_step} ms of one core.
The recipe is `{recipe}`; `python -m studies personal` says which one `training/personal.toml` is now.

Not measured: a session on another day. No corpus at hand says which of its recordings were made on which day. The
nearest to it are the rows through another microphone. Whispering was measured [by itself](results.md#whispering).
"""


@dataclass(frozen=True)
class Known:
    """The cells that the page is about: of each network, those of the general weights and the recipe with which most
    voices have learnt; of the later ones, where as many have.

    What is measured anew thus takes the page over once it has as many voices, however many days that takes.
    """

    cells: Sequence[Cell]
    left_out: int
    """Cells of other ones."""

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Known:
        voices: dict[tuple[str, str, str], set[str]] = {}
        for cell in reversed(cells):
            if cell.recipe:
                voices.setdefault((cell.network, cell.base, cell.recipe), set()).add(cell.voice)
        chosen = {cell.network: (cell.base, cell.recipe) for cell in cells}
        for network in {network for network, _, _ in voices}:
            most = max((key for key in voices if key[0] == network), key=lambda key: len(voices[key]))
            chosen[network] = most[1:]
        kept = [c for c in cells if c.base == chosen[c.network][0] and c.recipe in ("", chosen[c.network][1])]
        return cls(kept, len(cells) - len(kept))

    @property
    def main_run(self) -> float:
        """Minutes of the runs that have been made of most voices; of several such, the longest."""
        return max(MINUTES, key=lambda minutes: (len(self.by_voice(RECIPE, minutes, run=minutes)), minutes))

    def by_voice(self, variant: str, minutes: float, network: str = NETWORK, precision: str = "fp32",
                 seconds: float | None = None, run: float | None = None) -> dict[str, Cell]:  # fmt: skip
        """Of each voice the cell with so many seconds of reading, in a run of so many minutes; with the most seconds,
        and in the longest run, where none are named.
        """
        found: dict[str, Cell] = {}
        for cell in self.cells:
            if (cell.variant, cell.minutes, cell.network, cell.precision) != (
                variant, minutes, network, precision,
            ):  # fmt: skip
                continue
            if seconds is not None and abs(cell.seconds - seconds) > 0.05:
                continue
            if run is not None and cell.run_minutes != run:
                continue
            known = found.get(cell.voice)
            if known is None or (known.seconds, known.run_minutes) < (cell.seconds, cell.run_minutes):
                found[cell.voice] = cell
        return found

    def general_of(self, cell: Cell) -> Cell | None:
        """The general weights with the same reading."""
        return next(
            (
                other
                for other in self.cells
                if other.variant == GENERAL
                and (other.network, other.voice, other.seconds, other.precision, other.clips)
                == (cell.network, cell.voice, cell.seconds, cell.precision, cell.clips)
            ),
            None,
        )


def _shown(summary: Summary | None, sign: str = "") -> str:
    if summary is None:
        return ""
    return f"{summary.mean:{sign}.1f} [{summary.low:{sign}.1f}, {summary.high:{sign}.1f}]"


def _pairs(known: Known, cells: Iterable[Cell]) -> list[tuple[Cell, Cell]]:
    """(personal, general) of each voice that has both."""
    both = ((cell, known.general_of(cell)) for cell in cells)
    return [(cell, general) for cell, general in both if general is not None]


def _gains(pairs: Sequence[tuple[Cell, Cell]], row: str) -> list[float]:
    return [personal.row(row) - general.row(row) for personal, general in pairs]


def main_section(known: Known) -> str:
    """Every row by minutes, over the voices that have the main run, and the voices for themselves."""
    last = known.main_run
    of_minutes = {m: found for m in MINUTES if (found := known.by_voice(RECIPE, m, run=last))}
    if not of_minutes:
        return ""
    shown = {m: cells for m, cells in of_minutes.items() if cells.keys() >= of_minutes[last].keys()}
    pairs = _pairs(known, of_minutes[last].values())
    voices = [personal.voice for personal, _ in pairs]
    header = [
        "",
        "",
        "general",
        *(f"{m:g} min" for m in shown),
        f"gain after {last:g} min",
        "worst voice",
        "worse",
    ]
    rows = []
    for name, row in ROWS.items():
        gains = _gains(pairs, name)
        worse = sum(gain * row.better < -WORSE_DB for gain in gains)
        rows.append([
            name, row.unit, _shown(summarise([general.row(name) for _, general in pairs])),
            *(_shown(summarise([cells[v].row(name) for v in voices])) for cells in shown.values()),
            _shown(summarise(gains), "+"), f"{row.worst(gains):+.1f}",
            f"{worse} of {len(gains)}",
        ])  # fmt: skip
    corpora = sorted({personal.corpus for personal, _ in pairs})
    lengths = sorted({personal.seconds for personal, _ in pairs})
    learnt_from = ", ".join(sorted({personal.base for personal, _ in pairs}))
    steps = ", ".join(f"{next(iter(cells.values())).steps} steps after {m:g}" for m, cells in shown.items())
    return "\n\n".join([
        "## By minutes",
        f"![What minutes of learning bring]({PLOT})",
        f"Learnt from {learnt_from}; {len(pairs)} voices of {len(corpora)} corpora ({', '.join(corpora)}), reading of "
        f"{' or '.join(f'{s:g}' for s in lengths)} s, as each voice has. Minutes: {steps}. \"Worse\" counts the "
        f"voices whose personal weights lose more than {WORSE_DB} of the unit. These are the weights as learnt: "
        "`edge-pse personalise` keeps general ones, or a mean, where held-out pieces of the reading say so.",
        table(header, rows),
        "Each voice, general -> personal:",
        table(
            ["voice", "corpus", "sex", "reading, s", *SHORT_ROWS],
            [
                [p.voice, p.corpus, p.sex, f"{p.seconds:g}", *(f"{g.row(r):.1f} -> {p.row(r):.1f}" for r in SHORT_ROWS)]
                for p, g in pairs
            ],
        ),
    ])  # fmt: skip


def short_table(known: Known) -> tuple[list[str], list[list[str]]]:
    """The rows that say most, by minutes of the main run, means over its voices; for the README."""
    last = known.main_run
    pairs = _pairs(known, known.by_voice(RECIPE, last, run=last).values())
    voices = [personal.voice for personal, _ in pairs]
    of_minutes = {
        m: found for m in MINUTES if (found := known.by_voice(RECIPE, m, run=last)).keys() >= set(voices)
    }
    rows = []
    for name in README_ROWS:
        means = [np.mean([cells[v].row(name) for v in voices]) for cells in of_minutes.values()]
        general = np.mean([general.row(name) for _, general in pairs])
        unit = ROWS[name].unit
        rows.append([f"{name}: {unit}", *(f"{value:.1f}" for value in (general, *means))])
    return [f"{len(voices)} voices", "general weights", *(f"after {m:g} min" for m in of_minutes)], rows


def runs_section(known: Known) -> str:
    """Runs that end sooner than the main one, beside its moments."""
    rows = []
    for minutes in MINUTES:
        ended, moment = (known.by_voice(RECIPE, minutes, run=run) for run in (minutes, known.main_run))
        common = [v for v in ended if v in moment and ended[v].seconds == moment[v].seconds]
        if minutes < known.main_run and common:
            for name, cells in ((f"a moment of {known.main_run:g}", moment), ("a run of its own", ended)):
                pairs = _pairs(known, [cells[v] for v in common])
                rows.append([f"{minutes:g}", name, str(len(pairs)), *_gain_cells(pairs)])
    return _section(
        "Runs that end sooner",
        "Gains over the general weights after as many steps, where the learning rate comes down towards them and "
        "where it does not.",
        ["minutes", "", "voices", *SHORT_ROWS],
        rows,
    )


def readings_section(known: Known) -> str:
    """By seconds of reading, over the voices that have several."""
    rows = []
    for minutes, run in ((m, r) for r in MINUTES for m in MINUTES if m <= r):
        cells = {s: known.by_voice(RECIPE, minutes, seconds=s, run=run) for s in READINGS_S}
        there = [s for s in READINGS_S if cells[s]]
        common = set.intersection(*(set(cells[s]) for s in there)) if len(there) > 1 else set()
        for seconds in there if common else ():
            pairs = _pairs(known, [cells[seconds][v] for v in sorted(common)])
            of = f"{minutes:g}" if minutes == run else f"{minutes:g} of {run:g}"
            rows.append([of, f"{seconds:g}", str(len(pairs)), *_gain_cells(pairs)])
    return _section(
        "By seconds of reading",
        "Gains over the general weights with the same reading, on the voices that have all of these lengths.",
        ["minutes", "reading, s", "voices", *SHORT_ROWS],
        rows,
    )


def _gain_cells(pairs: Sequence[tuple[Cell, Cell]], names: Sequence[str] = SHORT_ROWS) -> list[str]:
    return [_shown(summarise(_gains(pairs, name)), "+") for name in names]


def _section(title: str, text: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"## {title}\n\n{text}\n\n{table(header, rows)}" if rows else ""


def variants_section(known: Known) -> str:
    """Each variant against the recipe, on the voices that have both, at the end of runs as long."""
    rows = []
    for variant in [*VARIANTS, MEAN]:
        if variant in (RECIPE, AGAINST):
            continue
        for minutes in MINUTES:
            other, recipe = (known.by_voice(name, minutes, run=minutes) for name in (variant, RECIPE))
            common = [v for v in other if v in recipe and other[v].seconds == recipe[v].seconds]
            if common:
                pairs = [(other[v], recipe[v]) for v in common]
                about = VARIANTS[variant].about if variant in VARIANTS else "half of what the recipe changed"
                rows.append([variant, about, f"{minutes:g}", str(len(pairs)), *_gain_cells(pairs)])
    return _section(
        "Variants of the recipe",
        "Variant minus recipe (not minus the general weights), on the same voices, each after a run of so many "
        "minutes.",
        ["variant", "what it is", "minutes", "voices", *SHORT_ROWS],
        rows,
    )


def against_section(known: Known) -> str:
    """With and without recordings of the very other."""
    rows = []
    for minutes in MINUTES:
        without, told = (known.by_voice(name, minutes, run=minutes) for name in (RECIPE, AGAINST))
        common = [v for v in told if v in without and told[v].seconds == without[v].seconds]
        for name, cells in (("general", None), ("not known", without), ("known", told)):
            if not common:
                continue
            chosen = [(known.general_of(without[v]) if cells is None else cells[v]) for v in common]
            values = [
                [cell.row(row) for cell in chosen if cell] for row in (NEAREST, NEAREST_ABSENT, SAME, ABSENT)
            ]
            rows.append([f"{minutes:g}", name, str(len(common)), *(_shown(summarise(v)) for v in values)])
    return _section(
        "When those who share the room are known",
        "The dev voice that is most like each voice, with and without twenty seconds of it among the voices to "
        "leave out (`--against`); and whether that costs anything with others. The clips are of other recordings.",
        ["minutes", "the other", "voices", NEAREST, NEAREST_ABSENT, SAME, ABSENT],
        rows,
    )


def int8_section(known: Known) -> str:
    """What int8 costs personal weights, and general ones."""
    rows = []
    for variant, minutes in ((GENERAL, 0.0), *((RECIPE, m) for m in MINUTES)):
        whole, small = known.by_voice(variant, minutes), known.by_voice(variant, minutes, precision="int8")
        pairs = [(small[v], whole[v]) for v in small if v in whole and small[v].seconds == whole[v].seconds]
        if pairs:
            rows.append([variant, f"{minutes:g}", str(len(pairs)), *_gain_cells(pairs)])
    return _section(
        "In int8",
        "Int8 minus fp32 on the same clips, hop by hop in ONNX Runtime, from a file made as those that ship.",
        ["weights", "minutes", "voices", *SHORT_ROWS],
        rows,
    )


def networks_section(known: Known) -> str:
    """The other networks."""
    rows = []
    for network in OTHER_NETWORKS:
        for minutes in MINUTES:
            pairs = _pairs(known, known.by_voice(RECIPE, minutes, network).values())
            if pairs:
                general = [_shown(summarise([g.row(r) for _, g in pairs])) for r in SHORT_ROWS]
                rows.append([network, "general", "", str(len(pairs)), *general])
                rows.append([network, "gain", f"{minutes:g}", str(len(pairs)), *_gain_cells(pairs)])
    return _section(
        "Other networks",
        "General weights, and what is gained on them.",
        ["network", "", "minutes", "voices", *SHORT_ROWS],
        rows,
    )


def missing_section(known: Known) -> str:
    """What the plan asks for and the file does not have."""
    lines = []

    def ask(what: str, there: int, wanted: int) -> None:
        if there < wanted:
            lines.append(f"- {what}: {there} of {wanted} voices")

    def readings(seconds: float | None, wanted: int) -> list[str]:
        counts = [len(known.by_voice(RECIPE, minutes, seconds=seconds)) for minutes in MINUTES]
        return [f"{count} of {wanted}" if count < wanted else f"{count}" for count in counts]

    grid = table(
        ["reading", *(f"{minutes:g} min" for minutes in MINUTES)],
        [
            ["all that the voice has", *readings(None, LEAST_VOICES)],
            *([f"{seconds:g} s", *readings(seconds, FEWER_VOICES)] for seconds in READINGS_S),
        ],
    )
    for variant in [*VARIANTS, MEAN]:
        if variant != RECIPE:
            most = max(len(known.by_voice(variant, minutes)) for minutes in MINUTES)
            ask(variant, most, FEWER_VOICES)
    most = max(len(known.by_voice(RECIPE, minutes, precision="int8")) for minutes in MINUTES)
    ask("int8", most, FEWER_VOICES)
    for network in OTHER_NETWORKS:
        ask(f"{network}, 10 minutes", len(known.by_voice(RECIPE, 10.0, network)), FEWER_VOICES)
    old = f"\n\n{known.left_out} cells of another recipe or of other general weights are in the file and left out here."
    text = "\n".join(lines) or "Nothing."
    return "\n\n".join([
        "## What is missing",
        f"Voices with which {NETWORK} has been measured, of those wanted. No dev voice has 120 s of recordings "
        "beside those of its clips.",
        grid,
        f"Of the rest:\n\n{text}{old if known.left_out else ''}",
    ])  # fmt: skip


def written(cells: Sequence[Cell]) -> str:
    """The whole page."""
    known = Known.of(cells)
    learnt = [cell for cell in known.cells if cell.network == NETWORK and cell.minutes]
    sections: list[Callable[[Known], str]] = [
        main_section, runs_section, readings_section, against_section, variants_section, int8_section, networks_section,
        missing_section,
    ]  # fmt: skip
    how = ""
    if learnt:
        a_minute = sorted({round(cell.steps / cell.minutes) for cell in learnt})
        took = sorted(cell.ms_a_step for cell in learnt if cell.variant == RECIPE)
        how = _HOW.format(
            clips=" or ".join(map(str, sorted({cell.clips for cell in learnt}))),
            step_ms=f"{' or '.join(map(str, a_minute))} steps of {NETWORK}",
            machine=MACHINE,
            ms_a_step=f"{took[0]:.0f} to {took[-1]:.0f}",
            recipe=learnt[-1].recipe,
        )
    parts = [_HEAD.strip(), how.strip(), *(section(known) for section in sections)]
    return marked("\n\n".join(part for part in parts if part) + "\n")


def drawn(cells: Sequence[Cell]) -> bytes:
    """Minutes on one axis, dB on the other, as a PNG; bands are 95 % intervals over voices."""
    known = Known.of(cells)
    of_minutes = {m: found for m in MINUTES if (found := known.by_voice(RECIPE, m, run=known.main_run))}
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, curves, title in (
        (panels[0], CURVES, "How much clearer you are beside ..."),
        (panels[1], SUPPRESSED, "How much fainter others are when you are silent"),
    ):
        most = max(of_minutes.values(), key=len, default={})
        shown = {0.0: {}, **{m: cells for m, cells in of_minutes.items() if cells.keys() >= most.keys()}}
        for name, label in curves.items():
            points = []
            for minutes, found in shown.items():
                pairs = _pairs(known, found.values() if minutes else most.values())
                values = [(personal if minutes else general).row(name) for personal, general in pairs]
                points.append(summarise(values))
            there = [(m, p) for m, p in zip(shown, points, strict=True) if p is not None]
            places = np.arange(len(there))
            (line,) = axes.plot(places, [p.mean for _, p in there], "o-", label=label)
            axes.fill_between(
                places, [p.low for _, p in there], [p.high for _, p in there], color=line.get_color(), alpha=0.12, lw=0
            )  # fmt: skip
            axes.set_xticks(places, ["not at all" if not m else f"{m:g}" for m, _ in there])
        axes.set_title(title, fontsize=11)
        axes.set(xlabel="minutes of learning", ylabel="dB", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="best")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()


@click.command()
@click.option(
    "--results",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=RESULTS,
    help="File of cells; default: the one of the project.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=DOCS, help="Default: docs.")
@click.option(
    "--publish", "published", is_flag=True, help="Write a short table into evaluation/results.json, too."
)
def main(file: Path, out: Path, published: bool) -> None:
    """Write the page about personal weights, and its plot, from the cells that were measured."""
    cells = read(file)
    out.mkdir(parents=True, exist_ok=True)
    if any(cell.minutes for cell in cells):
        (out / PLOT).write_bytes(drawn(cells))
    (out / PAGE).write_text(written(cells), encoding="utf-8")
    click.echo(f"{out / PAGE}: {len(cells)} cells")
    if published:
        known = Known.of(cells)
        about = next(cell.base for cell in known.cells if cell.network == NETWORK)
        publish_tables({PUBLISHED_AS: StudyTable("python -m studies personal", about, *short_table(known))})
