"""The plots of the HTML report, each a PNG in a data URI."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.cost import Cost
from evaluation.results import SystemResult
from evaluation.sets.scene import PROFILE_KINDS
from evaluation.summary import conditions, main_rows, over, select

SPECTROGRAM_RANGE_DB = 70.0


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as a URI that needs no second file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    # Without the software version in it, the same numbers give the same bytes.
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return data_uri("image/png", buffer.getvalue())


def _axes(width: float, height: float, title: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.grid(axis="y", alpha=0.3)
    axes.tick_params(labelsize=8)
    return figure, axes


def _by_condition(
    results: list[SystemResult], set_name: str, key: str, title: str, joined: bool = True
) -> str | None:
    """SI-SDR gain over the values of a tag: a line (or, not `joined`, points) per system, with intervals."""
    values = conditions(results, set_name).get(key)
    shown = [result for result in results if result.spec.kind != "reference" and main_rows(result, set_name)]
    if not values or not shown:
        return None
    figure, axes = _axes(6.5, 3.6, title, "SI-SDR gain, dB")
    for offset, result in zip(np.linspace(-0.15, 0.15, len(shown)), shown, strict=True):
        summaries = [over(main_rows(result, set_name, **{key: value}), "si_sdr_gain") for value in values]
        points = [(x + offset, summary) for x, summary in enumerate(summaries) if summary]
        means = [summary.mean for _, summary in points]
        spread = [
            [summary.mean - summary.low for _, summary in points],
            [summary.high - summary.mean for _, summary in points],
        ]
        width = (2.2 if result.spec.kind == "model" else 1.0) if joined else 0.0
        axes.errorbar(
            [x for x, _ in points],
            means,
            spread,
            marker="o",
            ms=3,
            lw=width,
            elinewidth=0.6,
            label=result.name,
        )
    axes.set_xticks(range(len(values)), values)
    axes.legend(fontsize=7, ncols=2)
    return _png(figure)


def _profiles(result: SystemResult) -> str | None:
    """Every two-talker clip's gain with the right, the wrong and no profile."""
    columns = [
        [
            row.metrics["si_sdr_gain"]
            for row in select(result.rows, "two-talkers", kind)
            if "si_sdr_gain" in row.metrics
        ]
        for kind in PROFILE_KINDS
    ]
    if not all(columns):
        return None
    figure, axes = _axes(6.5, 3.2, f"Two talkers, each clip: {result.name}", "SI-SDR gain, dB")
    generator = np.random.default_rng(0)
    for x, values in enumerate(columns):
        axes.scatter(x + generator.uniform(-0.18, 0.18, len(values)), values, s=9, alpha=0.6)
        axes.hlines(float(np.median(values)), x - 0.3, x + 0.3, color="black", lw=1.5)
    axes.axhline(0.0, color="grey", lw=0.8)
    axes.set_xticks(
        range(len(columns)), [f"{'no' if kind == 'none' else kind} profile" for kind in PROFILE_KINDS]
    )
    return _png(figure)


def _cost_against_quality(results: list[SystemResult], costs: list[Cost]) -> str | None:
    gains = {result.name: over(main_rows(result, "noise"), "si_sdr_gain") for result in results}
    points = [(cost, gain) for cost in costs if (gain := gains.get(cost.system)) is not None]
    if len(points) < 2:
        return None
    figure, axes = _axes(6.5, 3.2, "Cost against gain in noise", "SI-SDR gain in noise, dB")
    for cost, gain in points:
        axes.scatter(max(cost.cpu_per_second, 1e-4), gain.mean, s=25, marker="o" if cost.streams else "s")
        axes.annotate(
            cost.system,
            (max(cost.cpu_per_second, 1e-4), gain.mean),
            fontsize=7,
            xytext=(4, 4),
            textcoords="offset points",
        )
    axes.set_xscale("log")
    axes.set_xlabel("CPU seconds per second of audio, one thread (squares work on whole clips)", fontsize=8)
    return _png(figure)


def plots(results: list[SystemResult], costs: list[Cost]) -> Iterator[str]:
    """The plots for which there is something to show."""
    candidates = [
        _by_condition(results, "two-talkers", "sir", "Two talkers"),
        _by_condition(results, "two-talkers", "sexes", "Two talkers: sexes", joined=False),
        _by_condition(results, "noise", "snr", "One talker in noise"),
        *(_profiles(result) for result in results if result.info.uses_profile),
        _by_condition(
            [result for result in results if result.info.uses_profile],
            "enrollment",
            "enrollment",
            "Enrollment",
        ),
        _cost_against_quality(results, costs),
    ]
    return (candidate for candidate in candidates if candidate)


def spectrogram(signals: dict[str, np.ndarray], rate_hz: int) -> str:
    """Spectrograms of equally long signals side by side, on one scale of levels."""
    figure = Figure(figsize=(3.4 * len(signals), 2.1))
    size = rate_hz * 32 // 1000
    window = np.hanning(size)
    spectra = {}
    for name, samples in signals.items():
        frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), size)[:: size // 4]
        spectra[name] = 20.0 * np.log10(np.abs(np.fft.rfft(frames * window, axis=1)).T + 1e-6)
    top = max(float(spectrum.max()) for spectrum in spectra.values())
    for index, (name, spectrum) in enumerate(spectra.items(), start=1):
        axes = figure.add_subplot(1, len(spectra), index)
        seconds = len(signals[name]) / rate_hz
        axes.imshow(
            spectrum,
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=(0.0, seconds, 0.0, rate_hz / 2000),
            vmin=top - SPECTROGRAM_RANGE_DB,
            vmax=top,
        )
        axes.set_title(name, fontsize=8)
        axes.tick_params(labelsize=6)
    return _png(figure)
