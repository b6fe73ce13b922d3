"""``python -m studies upper-band``: scores rules for the band above 8 kHz, of which ``upper-band-page`` makes the page.

The network runs once for each scene; each rule is given what it was given and gave. Wanted voice and rest are known
apart, and so is what the gains do to either.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edge_pse.model import Model
from evaluation.data import data_root
from evaluation.systems.model import described
from studies import options
from studies.upper_band.rules import RULES, SHIPS, Make
from studies.upper_band.scenes import (
    ALONE,
    HISS,
    HOP_SAMPLES,
    LEAD_HOPS,
    NOISE,
    OTHERS,
    RATE_HZ,
    Passed,
    passed,
    scenes,
    spectra_of,
)

RESULTS = Path(__file__).with_name("results.json")
SPACING_HZ = RATE_HZ / 2 / HOP_SAMPLES
SCORED = slice(round(8_250 / SPACING_HZ), round(20_000 / SPACING_HZ))
"""Bins that are scored: as in the evaluation."""
BELOW_HZ = 4_000.0, 7_250.0
SIBILANT_DB, LOST_DB = 15.0, 6.0
FLOOR_DB = 40.0
LEARNT_HOPS = 50
COST_HOPS = 500
_TINY = 1e-20

VOICE, BELOW, SIBILANTS, DISTANCE, GAIN, TAKEN, LESS, KURTOSIS, REST = (
    "voice, dB", "the same below, dB", "sibilants that lose over 6 dB, %", "LSD, dB", "SI-SDR gain, dB",
    "taken away above, dB", "less above than below, dB", "log kurtosis ratio before the voice",
    "noise while the voice speaks, dB",
)  # fmt: skip
Powers = NDArray[np.float64]
Spectra = NDArray[np.complex128]


def gains_of(make: Make, taken: Passed) -> Powers:
    """Of each hop and bin that is scored, (hops, bins)."""
    made = make(*taken.made_with)
    upper = taken.upper.copy()
    made(taken.given, taken.enhanced, upper)
    before = np.abs(taken.upper)
    from_bin = SCORED.start - round(taken.made_with[2])
    gains = np.divide(np.abs(upper), before, out=np.ones_like(before), where=before > 0)
    return gains[:, from_bin : from_bin + SCORED.stop - SCORED.start].astype(np.float64)


def db(after: float, before: float) -> float:
    """A ratio of powers."""
    return float(10 * np.log10((after + _TINY) / (before + _TINY)))


def distance_db(reference: Powers, estimate: Powers) -> float:
    """Log-spectral distance where the reference sounds, as ``evaluation.metrics.upper_band`` has it."""
    means = reference.mean(axis=1)
    floor = means.max() * 10 ** (-FLOOR_DB / 10)
    ratios = 10 * np.log10(np.maximum(reference, floor) / np.maximum(estimate, floor))
    return float(np.sqrt(np.square(ratios).mean(axis=1))[means > floor].mean())


def si_sdr(reference: Spectra, estimate: Spectra) -> float:
    """Of spectra, as ``evaluation.metrics.signal.si_sdr`` of samples."""
    energy = float(np.square(np.abs(reference)).sum())
    share = float((estimate * reference.conj()).real.sum()) / energy
    return db(share**2 * energy, float(np.square(np.abs(estimate - share * reference)).sum()))


def kurtosis_of(powers: Powers) -> float:
    """Of the powers of noise: isolated ones that are left make it sound like tones."""
    centred = powers - powers.mean()
    return float(np.mean(centred**4) / np.mean(centred**2) ** 2)


def suppression_below_db(taken: Passed, hops: slice) -> float:
    """What became of 4 to 7.25 kHz, where nothing fades out."""
    first_bin = taken.made_with[1]
    band = slice(*(round(hz / SPACING_HZ - first_bin) for hz in BELOW_HZ))
    before, after = (np.square(part[hops, ..., band]).sum() for part in (taken.given, taken.enhanced))
    return db(float(after), float(before))


def score(case: str, wanted: Spectra, rest: Spectra, taken: Passed, gains: Powers) -> dict[str, float]:
    """What counts in a scene of which these are the spectra above 8 kHz, (hops, bins)."""
    voice, noise = np.square(np.abs(wanted)), np.square(np.abs(rest))
    kept, left = np.square(gains) * voice, np.square(gains) * noise
    if case == OTHERS:
        left_db = db(left.sum(), noise.sum())
        return {TAKEN: -left_db, LESS: left_db - suppression_below_db(taken, slice(None))}
    scores = {VOICE: db(kept.sum(), voice.sum())}
    if case == ALONE:
        energies = voice.sum(axis=1)
        sibilants = energies > energies.max() * 10 ** (-SIBILANT_DB / 10)
        changes = 10 * np.log10(kept.sum(axis=1)[sibilants] / energies[sibilants] + _TINY)
        return scores | {
            BELOW: suppression_below_db(taken, slice(None)),
            SIBILANTS: 100 * float(np.mean(changes < -LOST_DB)),
            DISTANCE: distance_db(voice, kept),
        }
    mixture = wanted + rest
    scores[GAIN] = si_sdr(wanted, gains * mixture) - si_sdr(wanted, mixture)
    scores[DISTANCE] = distance_db(voice, np.square(np.abs(gains * mixture)))
    if case in (NOISE, HISS):
        scores[REST] = db(left[LEAD_HOPS:].sum(), noise[LEAD_HOPS:].sum())
    if case == NOISE:
        lead = slice(LEARNT_HOPS, LEAD_HOPS)
        left_db = db(left[lead].sum(), noise[lead].sum())
        scores[LESS] = left_db - suppression_below_db(taken, lead)
        if left[lead].any():  # of nothing it is not defined
            scores[KURTOSIS] = float(np.log(kurtosis_of(left[lead]) / kurtosis_of(noise[lead])))
    return scores


def cost_ms(model: Model, taken: Passed) -> dict[str, float]:
    """Of a hop, medians: what the rule that ships takes, and what a step of the network takes."""
    band, contract = RULES[SHIPS](*taken.made_with), model.contract
    profile, states = np.zeros((1, contract.profile_size), np.float32), contract.initial_states()
    far = np.zeros_like(taken.given[0]) if contract.far_end else None
    times: list[tuple[float, float]] = []
    for hop in range(min(len(taken.given), COST_HOPS)):
        part = slice(hop, hop + 1)
        given, enhanced, upper = taken.given[part], taken.enhanced[part], taken.upper[part].copy()
        began = time.perf_counter()
        band(given, enhanced, upper)
        between = time.perf_counter()
        _, _, states = model.backend.step(given[0], profile, states, far)
        times.append((between - began, time.perf_counter() - between))
    band_ms, network_ms = (1000 * float(np.median(of)) for of in zip(*times, strict=True))
    return {"cost_ms": round(band_ms, 4), "network_ms": round(network_ms, 4)}


def measure(root: Path, model: Model, label: str) -> dict[str, object]:
    """Means over the scenes of all voices there, rule by rule."""
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in RULES}
    all_scenes = list(scenes(root, model))
    for scene in options.progress(all_scenes, label):
        taken = passed(model, scene)
        wanted, rest = (spectra_of(part)[:, SCORED] for part in (scene.wanted, scene.rest))
        for name, make in RULES.items():
            for metric, value in score(scene.case, wanted, rest, taken, gains_of(make, taken)).items():
                found[name][f"{scene.case}: {metric}"].append(value)
    talkers = len({scene.profile.name for scene in all_scenes})
    rules = {
        name: {metric: round(float(np.mean(values)), 2) for metric, values in of.items()}
        for name, of in found.items()
    }
    return {"talkers": talkers, "scenes": len(all_scenes), "rules": rules}


@click.command()
@options.data
@options.model
@options.backend
@click.option(
    "--voices",
    type=click.Path(path_type=Path),
    help="Another such folder, whose voices are scored by themselves.",
)
@click.option(
    "--results", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="File to write."
)
def main(root: Path, model_name: str, backend: str, voices: Path | None, results: Path) -> None:
    """Score rules for what lies above 8 kHz, and write that into the results file."""
    model = Model.load(model_name, backend)
    cost = cost_ms(model, passed(model, next(scenes(root, model))))
    found: dict[str, object] = {"model": described(model), **cost}
    found["data"] = measure(root, model, "data")
    if voices is not None:
        found["voices"] = measure(data_root(voices), model, "voices")
    results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    click.echo(f"Scores of {len(RULES)} rules are in {results}.")
