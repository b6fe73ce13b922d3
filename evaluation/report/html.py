"""The report as one HTML page that holds everything: tables, plots, spectrograms and players."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import numpy as np
import soundfile

from evaluation.cost import Cost
from evaluation.report.markdown import (
    HOW_TO_READ,
    condition_tables,
    cost_table,
    headline_table,
    profile_tables,
    set_table,
)
from evaluation.report.plots import data_uri, plots, spectrogram
from evaluation.results import SystemResult
from evaluation.run import Listening
from evaluation.sets.render import Clip
from evaluation.sets.scene import PROFILE_KINDS
from evaluation.summary import failures, profile_table, sets_of, worst_clips

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: 0.8rem 0; }
th, td { border: 1px solid #d4d4d4; padding: 0.25rem 0.55rem; text-align: left; white-space: nowrap; }
th { background: #f1f1f1; }
td:first-child { font-weight: 600; }
img { max-width: 100%; height: auto; }
figure { margin: 1.2rem 0; }
figcaption { font-size: 13px; color: #555; }
.players { display: flex; flex-wrap: wrap; gap: 1rem; }
audio { display: block; width: 17rem; }
"""

LICENCE_NOTE = (
    "The recordings on this page come from the evaluation data; some of them may be used for evaluation but "
    "not passed on, so keep the page to yourself."
)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _player(label: str, samples: np.ndarray, rate_hz: int) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1.0, 1.0), rate_hz, format="FLAC", subtype="PCM_16")
    uri = data_uri("audio/flac", buffer.getvalue())
    return f'<div>{escape(label)}<audio controls preload="metadata" src="{uri}"></audio></div>'


def _listening(clip: Clip, output: np.ndarray) -> str:
    signals = {"input": clip.mixture, "output": output}
    if clip.reference is not None:
        signals["reference"] = clip.reference
    rate_hz = clip.scene.rate_hz
    players = "".join(_player(name, samples, rate_hz) for name, samples in signals.items())
    enrollment = clip.enrollment("right")
    if enrollment is not None:
        players += _player("enrollment", enrollment, rate_hz)
    picture = spectrogram(signals, rate_hz)
    return (
        f"<figure><figcaption>{escape(clip.scene.name)}</figcaption>"
        f'<img alt="spectrograms of {escape(clip.scene.name)}" src="{picture}">'
        f'<div class="players">{players}</div></figure>'
    )


def _worst_section(results: list[SystemResult], listening: Listening | None) -> list[str]:
    parts = []
    for result in results:
        worst = worst_clips(result)
        if result.is_bound or not worst:
            continue
        parts.append(f"<h2>Worst clips: {escape(result.name)}</h2>")
        parts.append(_table(["clip", "SI-SDR gain dB"], [[row.clip, f"{gain:.1f}"] for row, gain in worst]))
        if listening and listening.system == result.name:
            parts.append(f"<p>{LICENCE_NOTE}</p>")
            parts += [
                _listening(*listening.clips[row.clip]) for row, _ in worst if row.clip in listening.clips
            ]
    return parts


def _profile_section(results: list[SystemResult]) -> list[str]:
    parts = []
    for result in results:
        if result.info.uses_profile and result.rows:
            parts.append(f"<h2>What the profile does: {escape(result.name)}</h2>")
            parts.append(
                _table(["", *PROFILE_KINDS], [[label, *cells] for label, cells in profile_table(result)])
            )
            for caption, header, rows in profile_tables(result):
                parts += [f"<p>{escape(caption)}</p>", _table(header, rows)]
    return parts


def html_report(
    results: list[SystemResult], costs: list[Cost], listening: Listening | None, title: str
) -> str:
    """The whole page, with players for the clips of `listening`."""
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(HOW_TO_READ)}</p>", _table(*headline_table(results))]
    parts += [f'<figure><img alt="plot" src="{plot}"></figure>' for plot in plots(results, costs)]
    parts += _profile_section(results)
    for set_name in sets_of(results):
        parts.append(f"<h2>{escape(set_name)}</h2>")
        parts.append(_table(*set_table(results, set_name)))
        parts += [_table(*content) for content in condition_tables(results, set_name)]
    if costs:
        parts.append("<h2>Cost, one thread, measured in turns</h2>")
        parts.append(_table(*cost_table(costs)))
    parts += _worst_section(results, listening)
    failed = failures(results)
    if failed:
        parts.append("<h2>Not scored, or not fully</h2>")
        rows = [[system, name, reason, ", ".join(clips) or "-"] for system, name, reason, clips in failed]
        parts.append(_table(["system", "set", "reason", "clips"], rows))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
