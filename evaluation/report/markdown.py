"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.cost import Cost
from evaluation.metrics.statistics import summarise
from evaluation.results import SystemResult
from evaluation.sets.scene import PROFILE_KINDS
from evaluation.summary import (
    CONDITION_METRICS,
    METRICS,
    SET_METRICS,
    conditioning_gaps,
    conditions,
    failures,
    formatted,
    headline_columns,
    main_rows,
    over,
    profile_table,
    sets_of,
    worst_clips,
)

HOW_TO_READ = (
    "Numbers are means over clips with 95 % bootstrap intervals (fixed seed), with the right profile for a "
    "system that takes one. Every output is aligned by one delay per system, measured on clean speech. "
    "Speakers return in several clips, so the intervals are a little optimistic."
)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; pipes in cells are escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(header), line(["---"] * len(header)), *(line(row) for row in rows)])


def headline_table(results: list[SystemResult]) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of the first table: a row per system."""
    columns = headline_columns(results)
    shown = [result for result in results if result.rows]
    return ["system", *columns], [
        [result.name, *(cell(result) for cell in columns.values())] for result in shown
    ]


def set_table(results: list[SystemResult], set_name: str) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of one set: a row per system, a column per metric."""
    chosen = {result.name: main_rows(result, set_name) for result in results}
    shown = {name: rows for name, rows in chosen.items() if rows}
    metrics = [
        metric
        for metric in SET_METRICS[set_name]
        if any(metric in row.metrics for rows in shown.values() for row in rows)
    ]
    rows = [
        [name, str(len(rows)), *(formatted(over(rows, metric), METRICS[metric]) for metric in metrics)]
        for name, rows in shown.items()
    ]
    return ["system", "clips", *(METRICS[metric].label for metric in metrics)], rows


def condition_tables(results: list[SystemResult], set_name: str) -> list[tuple[list[str], list[list[str]]]]:
    """(header, rows) of a set by each of its conditions: a row per value, a column per system."""
    shown = [result for result in results if result.spec.kind != "reference" and main_rows(result, set_name)]
    tables = []
    for key, values in conditions(results, set_name).items():
        for name in CONDITION_METRICS.get(set_name, SET_METRICS[set_name][:1]):
            metric = METRICS[name]
            rows = []
            for value in values:
                summaries = [over(main_rows(result, set_name, **{key: value}), name) for result in shown]
                if any(summaries):
                    rows.append([value, *(formatted(summary, metric) for summary in summaries)])
            if rows:
                tables.append(([f"{key} ({metric.label})", *(result.name for result in shown)], rows))
    return tables


def gap_lines(result: SystemResult) -> list[list[str]]:
    """Rows of the conditioning gap: all pairs, same-sex, cross-sex."""
    lines = []
    for label, tags in (("all", {}), ("same-sex", {"sexes": "same"}), ("cross-sex", {"sexes": "cross"})):
        summary = summarise(conditioning_gaps(result, **tags))
        if summary is not None:
            metric = METRICS["si_sdr_gain"]
            lines.append([label, str(summary.count), formatted(summary, metric), f"{summary.median:.1f}"])
    return lines


def sir_lines(result: SystemResult) -> list[list[str]]:
    """Rows of two talkers by how loud the other one is: clips, SI-SDR gain of all, same-sex and cross-sex pairs, and
    the share of clips in which it is the other one who comes through.
    """
    lines = []
    for sir in dict.fromkeys(row.tags["sir"] for row in main_rows(result, "two-talkers")):
        cells = [
            formatted(over(main_rows(result, "two-talkers", sir=sir, **tags), name), METRICS[name])
            for name, tags in (
                ("si_sdr_gain", {}),
                ("si_sdr_gain", {"sexes": "same"}),
                ("si_sdr_gain", {"sexes": "cross"}),
                ("wrong_talker", {}),
            )
        ]
        lines.append([sir, str(len(main_rows(result, "two-talkers", sir=sir))), *cells])
    return lines


def profile_tables(result: SystemResult) -> list[tuple[str, list[str], list[list[str]]]]:
    """(caption, header, rows) of what is said of a system that obeys a profile, beside `profile_table`."""
    tables = [
        (
            "Right minus wrong profile (the other talker's), two talkers, SI-SDR dB:",
            ["pairs", "clips", "mean", "median"],
            gap_lines(result),
        ),
        (
            "Two talkers, by the signal-to-interference ratio (SIR):",
            ["SIR", "clips", "SI-SDR gain dB", "same-sex", "cross-sex", "wrong talker %"],
            sir_lines(result),
        ),
    ]
    return [content for content in tables if content[2]]


def cost_table(costs: list[Cost]) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of the cost: ratios first."""

    def optional(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    header = [
        "system", "what", f"CPU, x {costs[0].system}" if costs else "CPU", "CPU s per s (min-max)", "works",
        "latency ms", "peak memory MB", "model or library MB",
    ]  # fmt: skip
    rows = [
        [
            cost.system,
            cost.description,
            f"{cost.ratio:.2f}",
            f"{cost.cpu_per_second:.4f} ({cost.cpu_low:.4f}-{cost.cpu_high:.4f})",
            "frame by frame" if cost.streams else "on whole clips",
            optional(cost.latency_ms, 0),
            optional(cost.peak_rss_mb, 0),
            optional(cost.size_mb, 1),
        ]
        for cost in costs
    ]
    return header, rows


def markdown_report(results: list[SystemResult], costs: list[Cost], title: str) -> str:
    """The whole report as one Markdown text."""
    parts = [f"# {title}", HOW_TO_READ, table(*headline_table(results))]
    for result in results:
        if result.info.uses_profile and result.rows:
            parts.append(f"## What the profile does: {result.name}")
            parts.append(
                table(["", *PROFILE_KINDS], [[label, *cells] for label, cells in profile_table(result)])
            )
            for caption, header, rows in profile_tables(result):
                parts += [caption, table(header, rows)]
    for set_name in sets_of(results):
        parts.append(f"## {set_name}")
        parts.append(table(*set_table(results, set_name)))
        parts += [table(*content) for content in condition_tables(results, set_name)]
    if costs:
        parts.append("## Cost, one thread, measured in turns")
        parts.append(
            "Ratios hold on other machines better than the seconds do; memory is that of the whole process."
        )
        parts.append(table(*cost_table(costs)))
    parts += _worst_parts(results)
    failed = failures(results)
    if failed:
        parts.append("## Not scored, or not fully")
        parts.append(
            table(
                ["system", "set", "reason", "clips"],
                [[system, set_name, reason, _few(clips)] for system, set_name, reason, clips in failed],
            )
        )
    return "\n\n".join(parts) + "\n"


def _worst_parts(results: list[SystemResult]) -> list[str]:
    parts = []
    for result in results:
        if result.is_bound:
            continue
        worst = worst_clips(result)
        if worst:
            parts.append(f"## Worst clips: {result.name}")
            parts.append(
                table(["clip", "SI-SDR gain dB"], [[row.clip, f"{gain:.1f}"] for row, gain in worst])
            )
    return parts


def _few(clips: list[str]) -> str:
    shown = ", ".join(clips[:3])
    return f"{len(clips)}: {shown}{', ...' if len(clips) > 3 else ''}" if clips else "-"
