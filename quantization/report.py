"""The check's report: sections of text, tables and plots, written once as Markdown and once as HTML."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from evaluation.report.markdown import table
from quantization.measure import Row

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em .7em;border-bottom:1px solid #ccc;text-align:right}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


@dataclass
class Section:
    """A heading and what stands under it."""

    title: str
    text: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    plot: Figure | None = None


def write_report(folder: Path, title: str, sections: list[Section]) -> None:
    """Write ``report.md`` with its plots beside it, and ``report.html`` with everything inside."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown, html = [f"# {title}"], [f"<h1>{escape(title)}</h1>"]
    for number, section in enumerate(sections):
        markdown.append(f"## {section.title}")
        html.append(f"<h2>{escape(section.title)}</h2>")
        if section.text:
            markdown.append(section.text)
            html += [f"<p>{escape(line)}</p>" for line in section.text.splitlines() if line]
        if section.rows:
            markdown.append(table(section.header, section.rows))
            html.append(_html_table(section))
        if section.plot is not None:
            image = _png(section.plot)
            (folder / f"plot-{number}.png").write_bytes(image)
            markdown.append(f"![{section.title}](plot-{number}.png)")
            html.append(f'<img alt="" src="data:image/png;base64,{base64.b64encode(image).decode()}">')
    (folder / "report.md").write_text("\n\n".join(markdown) + "\n", encoding="utf-8")
    page = f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
    (folder / "report.html").write_text(page + "\n".join(html) + "\n", encoding="utf-8")


def cost_section(rows: list[Row], reference: Row) -> Section:
    """Size, time and memory."""
    return Section(
        "Size, time, memory",
        "Time of one frame of 10 ms on one core; the files of a runtime were measured in turns. "
        "Peak memory is that of a process that enrolls and enhances, Python and numpy included.",
        ["", "MB", "of fp32", "p50 ms", "p99 ms", "peak MB"],
        [
            [
                row.variant.name, f"{row.size_mb:.2f}", f"{row.size_mb / reference.size_mb:.2f}",
                f"{row.p50_ms:.3f}", f"{row.p99_ms:.3f}", _known(row.peak_memory_mb, 0),
            ]
            for row in rows
        ],
    )  # fmt: skip


def quality_section(rows: list[Row], reference: Row) -> Section:
    """Scores, and what they lose against fp32."""

    def cell(row: Row, name: str, digits: int) -> str:
        value = getattr(row.scores, name)
        if math.isnan(value):
            return ""
        return f"{value:.{digits}f} ({value - getattr(reference.scores, name):+.{digits + 1}f})"

    columns = {"si_sdr_gain": 2, "pesq_wb": 2, "dnsmos_ovrl": 2, "bak_suppr": 1, "tsos_percent": 1}
    return Section(
        "Quality",
        f"Means over the scenes; in brackets the difference from {reference.variant.name}.",
        ["", "SI-SDR gain dB", "PESQ-WB", "personalised DNSMOS", "BAK SUPPR dB", "TSOS %"],
        [[row.variant.name, *(cell(row, name, digits) for name, digits in columns.items())] for row in rows],
    )


def drift_section(rows: list[Row]) -> Section:
    """How far outputs and profiles are from those of fp32."""
    return Section(
        "Drift",
        "Output SNR against fp32 with the same profiles, over all scenes, and of each voice in the first and the "
        "last of some minutes, which are the same; the cosine between profiles; SI-SDR gain when the profile was "
        "made by the other precision.",
        [
            "", "SNR dB", "first minute", "last minute", "worst cosine", "own profile", "fp32 profile",
            "its profile in fp32",
        ],
        [
            [
                row.variant.name, _known(row.snr, 1), *(_each(row, minute) for minute in (0, -1)),
                _known(row.cosine, 5), _known(row.scores.si_sdr_gain, 2), _known(row.fp32_profile, 2),
                _known(row.profile_into_fp32, 2),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _known(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _each(row: Row, minute: int) -> str:
    return " ".join(f"{snr[minute]:.1f}" for snr in row.minute_snr)


def stream_plot(rows: list[Row]) -> Figure:
    """Output SNR in successive minutes, a line for each voice."""
    figure = Figure(figsize=(7, 3.5))
    axes = figure.add_subplot()
    for number, row in enumerate(rows):
        for snr in row.minute_snr:
            label = row.variant.name if snr is row.minute_snr[0] else None
            axes.plot(range(1, len(snr) + 1), snr, "o-", color=f"C{number}", label=label)
    axes.set_xlabel("minute")
    axes.set_ylabel("output SNR, dB")
    axes.legend(fontsize=7)
    return figure


def _html_table(section: Section) -> str:
    head = "".join(f"<th>{escape(cell)}" for cell in section.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in section.rows)
    return f"<table><tr>{head}{body}</table>"


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
