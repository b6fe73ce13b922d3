"""Every file on every runtime that is at hand: quality against the fp32 file, size, time and memory."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edge_pse.backends import RUNTIMES
from evaluation.metrics.perceptual import Unscorable, dnsmos, pesq_wb
from evaluation.metrics.signal import over_suppression, pooled_suppression_db, si_sdr
from quantization.calibration import Samples
from quantization.quality import cosine, snr_db
from quantization.scenes import SceneSet
from quantization.worker import write_arrays

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Variant:
    """A file on a runtime."""

    path: Path
    runtime: str

    @property
    def name(self) -> str:
        return f"{self.path.name} on {self.runtime}"

    @property
    def int8(self) -> bool:
        """Whether it is one that the bars judge."""
        return ".fp32." not in self.path.name


@dataclass(frozen=True)
class Output:
    """What came out of a variant."""

    enhanced: list[Samples]
    embeddings: Samples
    peak_memory_mb: float


@dataclass(frozen=True)
class Scores:
    """Means over the scenes; dB unless the name says otherwise."""

    si_sdr_gain: float
    pesq_wb: float
    dnsmos_ovrl: float
    """Personalised DNSMOS, overall."""
    bak_suppr: float
    tsos_percent: float


NOT_MEASURED = math.nan


@dataclass(frozen=True)
class Row:
    """All about one variant, NOT_MEASURED what was left out."""

    variant: Variant
    size_mb: float
    p50_ms: float
    p99_ms: float
    peak_memory_mb: float = NOT_MEASURED
    scores: Scores = Scores(*5 * (NOT_MEASURED,))
    minute_snr: list[list[float]] = field(default_factory=list)
    """Of one voice after the other, in successive minutes, which are the same: does the error pile up in the states?
    SNR is that of the output against fp32, given the fp32 profiles."""
    cosine: float = NOT_MEASURED
    """The worst between its profiles and those of fp32."""
    snr: float = NOT_MEASURED
    """Over all scenes."""
    profile_into_fp32: float = NOT_MEASURED
    """SI-SDR gain of the fp32 model with this variant's profiles."""
    fp32_profile: float = NOT_MEASURED
    """SI-SDR gain of this variant with the profiles of fp32."""


class Pythons:
    """Which interpreter has which runtime: this one, and those given by name."""

    def __init__(self, others: dict[str, str]):
        installed = {name: sys.executable for name, kind in RUNTIMES.items() if kind.installed_version()}
        self._by_runtime = {**installed, **others}

    def variants(self, path: Path) -> list[Variant]:
        """A file on every runtime at hand."""
        return [Variant(path, name) for name in self._by_runtime if RUNTIMES[name].suffix == path.suffix]

    def missing(self) -> list[str]:
        """Runtimes that no interpreter has."""
        return [name for name in RUNTIMES if name not in self._by_runtime]

    def run(self, variant: Variant, job: dict[str, np.ndarray]) -> Output:
        """Have ``quantization.worker`` do ``job``."""
        with tempfile.TemporaryDirectory() as folder:
            files = [str(Path(folder) / name) for name in ("job.npz", "result.npz")]
            write_arrays(Path(files[0]), job)
            self._worker(variant.runtime, ["run", str(variant.path), variant.runtime, *files])
            with np.load(files[1]) as result:
                count = sum(key.startswith("enhanced_") for key in result)
                enhanced = [result[f"enhanced_{number}"] for number in range(count)]
                return Output(enhanced, result["embeddings"], float(result["peak_memory_mb"]))

    def times(self, variants: list[Variant]) -> dict[Variant, dict[str, float]]:
        """p50 and p99 of each, measured side by side with the others of its runtime."""
        times = {}
        for runtime in dict.fromkeys(variant.runtime for variant in variants):
            group = [variant for variant in variants if variant.runtime == runtime]
            answer = self._worker(runtime, ["time", runtime, *(str(variant.path) for variant in group)])
            for variant, measured in zip(group, json.loads(answer).values(), strict=True):
                times[variant] = measured
        return times

    def _worker(self, runtime: str, arguments: list[str]) -> str:
        command = [self._by_runtime[runtime], "-m", "quantization.worker", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def measure(
    reference: Variant, variants: list[Variant], scenes: SceneSet, pythons: Pythons, bars_only: bool = False
) -> Iterator[Row]:
    """A row for each variant, one by one; ``reference`` is the fp32 file that all are compared with.

    ``bars_only``: only what ``quantization.bars`` asks for. Of other fp32 files that is their size and time.
    """
    job = scenes.job()
    fp32 = pythons.run(reference, job)
    streams = {**scenes.stream_job(), "embeddings": fp32.embeddings}
    wanted_streams = pythons.run(reference, streams).enhanced
    times = pythons.times(variants)
    for variant in variants:
        size_mb = variant.path.stat().st_size / 1e6
        row = Row(variant, size_mb, p50_ms=times[variant]["p50"], p99_ms=times[variant]["p99"])
        if bars_only and variant != reference and not variant.int8:
            yield row
            continue
        own, got_streams = fp32, wanted_streams
        if variant != reference:
            own, got_streams = pythons.run(variant, job), pythons.run(variant, streams).enhanced
        row = replace(
            row,
            peak_memory_mb=own.peak_memory_mb,
            scores=score(scenes, own.enhanced, bars_only),
            minute_snr=_minute_snr(wanted_streams, got_streams, scenes.minutes),
            cosine=min(cosine(*pair) for pair in zip(fp32.embeddings, own.embeddings, strict=True)),
        )
        yield row if bars_only else _compared(row, reference, scenes, pythons, fp32, own)


def _minute_snr(wanted: list[Samples], got: list[Samples], minutes: int) -> list[list[float]]:
    return [
        [snr_db(*pair) for pair in zip(np.split(ours, minutes), np.split(theirs, minutes), strict=True)]
        for ours, theirs in zip(wanted, got, strict=True)
    ]


def _compared(
    row: Row, reference: Variant, scenes: SceneSet, pythons: Pythons, fp32: Output, own: Output
) -> Row:
    """With what comes of profiles that the other precision made."""
    given, crossed = fp32, si_sdr_gain(scenes, fp32.enhanced)
    if row.variant != reference:
        given = pythons.run(row.variant, {**scenes.job(), "embeddings": fp32.embeddings})
        wanted = scenes.wanted()
        heard = pythons.run(reference, {**wanted.job(), "embeddings": own.embeddings})
        crossed = si_sdr_gain(wanted, heard.enhanced)
    return replace(
        row,
        snr=snr_db(np.concatenate(fp32.enhanced), np.concatenate(given.enhanced)),
        profile_into_fp32=crossed,
        fp32_profile=si_sdr_gain(scenes, given.enhanced),
    )


def score(scenes: SceneSet, enhanced: list[Samples], bars_only: bool = False) -> Scores:
    """The scores of the outputs of ``scenes.scenes``, in their order; see ``measure``."""
    voices = list(_wanted(scenes, enhanced, ("two-talkers", "noise")))
    others = [
        (float(np.sum(scene.noisy**2)), float(np.sum(output**2)))
        for scene, output in zip(scenes.scenes, enhanced, strict=True)
        if scene.kind == "interferer-only"
    ]
    clean = _wanted(scenes, enhanced, ("clean",))
    return Scores(
        si_sdr_gain=si_sdr_gain(scenes, enhanced),
        pesq_wb=_mean(_pesq(reference, output) for _, reference, output in voices),
        dnsmos_ovrl=(
            NOT_MEASURED
            if bars_only
            else _mean(dnsmos(output, personalised=True)["ovrl"] for _, _, output in voices)
        ),
        bak_suppr=pooled_suppression_db(others),
        tsos_percent=_mean(100 * over_suppression(reference, output).share for _, reference, output in clean),
    )


def si_sdr_gain(scenes: SceneSet, enhanced: list[Samples]) -> float:
    """Mean gain in SI-SDR over the mixtures with a wanted voice, in dB."""
    voices = _wanted(scenes, enhanced, ("two-talkers", "noise"))
    return _mean(si_sdr(reference, output) - si_sdr(reference, noisy) for noisy, reference, output in voices)


def _wanted(
    scenes: SceneSet, enhanced: list[Samples], kinds: tuple[str, ...]
) -> Iterable[tuple[Samples, Samples, Samples]]:
    for scene, output in zip(scenes.scenes, enhanced, strict=True):
        if scene.kind in kinds and scene.reference is not None:
            yield scene.noisy, scene.reference, output


def _pesq(reference: Samples, output: Samples) -> float:
    try:
        return pesq_wb(reference, output)
    except Unscorable:
        return float("nan")


def _mean(values: Iterable[float]) -> float:
    return float(np.nanmean(list(values)))
