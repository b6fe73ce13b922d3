"""``python -m studies several-voices``: scores the ways to keep two voices, and what each further profile costs.

Two dev speakers are enrolled and a third is not. They speak alone, in noise, in turn and at once. The scores go into
the results file, of which ``python -m studies several-voices-page`` makes the page.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from edge_pse.profiles import Profile, Recording
from evaluation.metrics.signal import (
    SAMPLE_RATE_HZ,
    level_change_db,
    over_suppression,
    si_sdr,
    suppression_db,
)
from evaluation.systems.model import described
from studies import options
from studies.several.clips import Clip, GroupBuilder
from studies.several.ways import COMBINATIONS, MEAN_VECTOR, NONE, ONE, enhanced, sound_of, spectra_of

RESULTS = Path(__file__).with_name("keeping.json")
GROUPS = 24
MOST_PROFILES = 4
COST_ROUNDS = 5
GAIN, LEVEL, LOST, TAKEN = "SI-SDR gain, dB", "level, dB", "frames lost, %", "taken away, dB"
DISTORTION = "SI-SDR, dB"

Scores = dict[str, float]


def outputs(
    model: Model, clip: Clip, profiles: list[NDArray[np.float32]]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """What each way makes of a clip, (name, samples)."""
    noisy, size = spectra_of(model, clip.mixture), clip.mixture.size
    each = [enhanced(model, noisy, profile) for profile in profiles]
    sounds = [sound_of(model, one, size) for one in each]
    half = size // 2
    yield ONE, np.concatenate([sounds[0][:half], sounds[1][half:]]) if clip.halves else sounds[0]
    for name, combine in COMBINATIONS.items():
        yield name, sound_of(model, combine(noisy, each), size)
    for name, vector in ((MEAN_VECTOR, np.mean(profiles, axis=0)), (NONE, np.zeros_like(profiles[0]))):
        yield name, sound_of(model, enhanced(model, noisy, vector), size)


def score(clip: Clip, output: NDArray[np.float32]) -> Scores:
    """What counts of a clip."""
    if clip.reference is None:
        return {TAKEN: suppression_db(clip.mixture, output)}
    before, after = si_sdr(clip.reference, clip.mixture), si_sdr(clip.reference, output)
    return {
        GAIN: after - before,
        DISTORTION: after,
        LEVEL: level_change_db(clip.reference, output),
        LOST: 100 * over_suppression(clip.reference, output).active_share,
    }


def cost_ms(model: Model, profile: NDArray[np.float32]) -> list[float]:
    """Of a hop, the median with one profile, with two, and so on; they take turns, second by second."""
    recording = Recording(profile, half_band=profile, speech_seconds=0.0, snr_db=0.0)
    one = Profile("", model.contract.profiles_of, (recording,))
    enhancers = [Enhancer(model, [one] * count) for count in range(1, MOST_PROFILES + 1)]
    noise = np.random.default_rng(0).normal(
        0, 0.05, (SAMPLE_RATE_HZ // enhancers[0].hop_samples, enhancers[0].hop_samples)
    )
    times: list[list[float]] = [[] for _ in enhancers]
    for _ in range(COST_ROUNDS):
        for enhancer, took in zip(enhancers, times, strict=True):
            for hop in noise:
                began = time.perf_counter()
                enhancer.process(hop)
                took.append(1000 * (time.perf_counter() - began))
    return [round(float(np.median(took)), 4) for took in times]


@click.command()
@options.data
@options.backend
@click.option(
    "--groups", type=click.IntRange(2), default=GROUPS, show_default=True, help="Of three people each."
)
@click.option(
    "--results", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="File to write."
)
def main(root: Path, backend: str, groups: int, results: Path) -> None:
    """Score the ways to keep two voices and time further profiles, and write that into the results file."""
    model = Model.load(backend=backend)
    clips = []
    cost: list[list[float]] = []
    drawn = GroupBuilder(root).groups(groups)
    for _ in options.progress(range(groups), "groups"):
        group = next(drawn)
        profiles = [conditioning(one, model) for one in group.enrollments]
        cost.append(cost_ms(model, profiles[0]))
        for clip in group.clips:
            ways = {
                way: {metric: round(value, 2) for metric, value in score(clip, output).items()}
                for way, output in outputs(model, clip, profiles)
            }
            clips.append({"case": clip.case, "sexes": group.sexes, "ways": ways})
    found = {"model": described(model), "groups": groups, "cost_ms": cost, "clips": clips}
    lines = ",\n".join(json.dumps(clip) for clip in clips)
    head = json.dumps({name: value for name, value in found.items() if name != "clips"})
    results.write_text(f'{head[:-1]}, "clips": [\n{lines}\n]}}\n', encoding="utf-8")
    click.echo(f"{len(clips)} clips of {groups} groups are in {results}.")
