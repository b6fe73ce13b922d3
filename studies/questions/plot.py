"""Plots of means with their intervals, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure

from evaluation.metrics.statistics import Summary

_SPREAD = 0.12
"""Of the points of several lines at one category."""


@dataclass(frozen=True)
class Panel:
    """One set of axes: a line for each series over named categories."""

    ylabel: str
    categories: Sequence[str]
    series: Mapping[str, Sequence[Summary | None]]
    """One summary for each category."""
    title: str = ""
    xlabel: str = ""
    joined: bool = True
    """The categories have an order: points are joined by lines."""
    dashed: Sequence[str] = field(default=())
    """Series that are only there to compare with."""


def draw(panels: Sequence[Panel]) -> bytes:
    """Panels side by side, as a PNG; the same numbers give the same bytes."""
    figure = Figure(figsize=(4.4 * len(panels), 3.3), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        offsets = np.linspace(-_SPREAD, _SPREAD, len(panel.series)) if len(panel.series) > 1 else [0.0]
        for offset, (name, summaries) in zip(offsets, panel.series.items(), strict=True):
            known = [(x + offset, summary) for x, summary in enumerate(summaries) if summary]
            axes.errorbar(
                [x for x, _ in known],
                [summary.mean for _, summary in known],
                [
                    [max(summary.mean - summary.low, 0.0) for _, summary in known],
                    [max(summary.high - summary.mean, 0.0) for _, summary in known],
                ],
                marker="o",
                ms=4,
                lw=1.5 if panel.joined else 0.0,
                ls="--" if name in panel.dashed else "-",
                elinewidth=0.8,
                capsize=2,
                label=name,
            )
        axes.axhline(0.0, color="grey", lw=0.8)
        axes.set_xticks(range(len(panel.categories)), panel.categories)
        axes.set_xlim(-0.5, len(panel.categories) - 0.5)
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel(panel.xlabel, fontsize=9)
        axes.set_ylabel(panel.ylabel, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y", alpha=0.3)
        if len(panel.series) > 1:
            axes.legend(fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
