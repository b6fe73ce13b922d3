"""``python -m studies narrow-band``: scores the ways to show a stream of 8 kHz to the network.

Dev speakers are heard at 8 kHz, alone, beside another one and not at all, enrolled with the whole band or at 8 kHz
as well; and so are the clips of the evaluation's set "narrow-band". The scores go into the results file, of which
``python -m studies narrow-band-page`` makes the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_pse.band import LowerHalf, of_any_band
from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from evaluation.metrics.signal import (
    SAMPLE_RATE_HZ,
    level_change_db,
    over_suppression,
    si_sdr,
    suppression_db,
)
from evaluation.sets import SETS_FOLDER
from evaluation.sets.corpus import read_talkers
from evaluation.sets.render import render, render_enrollment
from evaluation.sets.scene import Scene, read_scenes
from evaluation.systems.model import described
from studies import options
from studies.microphones import LEVEL_DBFS, at_level, read_voice
from studies.narrow_band.ways import RATE_HZ, WAYS, ZEROS, Sound, Way, changed
from studies.several.ways import Spectra, sound_of, spectra_of

RESULTS = Path(__file__).with_name("results.json")
FIRST_SECONDS = 4.0
LEVEL, FIRST, LOST, GAIN, TAKEN = (
    "level, dB", "level of the first seconds, dB", "frames lost, %", "SI-SDR gain, dB", "taken away, dB",
)  # fmt: skip
ALONE, BESIDE, OTHER = "alone", "beside another", "another alone"
WHOLE, HALF = "whole band", "8 kHz"

Scores = dict[str, float]
Row = dict[str, Any]


@dataclass(frozen=True)
class Heard:
    """One mixture at 8 kHz, or with the whole band at 16, and what of it is to be kept: None for nothing."""

    case: str
    mixture: Sound
    reference: Sound | None


def narrow(samples: Sound) -> Sound:
    """A recording at 16 kHz as one of 8 kHz has it."""
    return changed(samples, SAMPLE_RATE_HZ, RATE_HZ)


def scored(heard: Heard, output: Sound) -> Scores:
    """At 16 kHz, where the metrics are."""
    wide, out = (changed(part, RATE_HZ, SAMPLE_RATE_HZ) for part in (heard.mixture, output))
    return scored_wide(heard.case, wide, _wide(heard.reference), out)


def _wide(samples: Sound | None) -> Sound | None:
    return None if samples is None else changed(samples, RATE_HZ, SAMPLE_RATE_HZ)


def scored_wide(case: str, mixture: Sound, reference: Sound | None, output: Sound) -> Scores:
    """Of samples at 16 kHz."""
    if reference is None:
        return {TAKEN: suppression_db(mixture, output)}
    scores = {
        LEVEL: level_change_db(reference, output),
        LOST: 100 * over_suppression(reference, output).active_share,
    }
    if case == BESIDE:
        return {GAIN: si_sdr(reference, output) - si_sdr(reference, mixture), LOST: scores[LOST]}
    first = round(FIRST_SECONDS * SAMPLE_RATE_HZ)
    return {**scores, FIRST: level_change_db(reference[:first], output[:first])}


class Networks:
    """A model, and the one that makes its profiles; zeros for a far end where it takes one."""

    def __init__(self, model: Model):
        self.model, self.of_profiles = model, model.profile_network()
        contract = model.contract
        self._silence = np.zeros((1, 2, 1, contract.bins), np.float32) if contract.far_end else None

    def conditioning(self, recording: Sound) -> Sound:
        """Of a profile that was made of a recording at 16 kHz."""
        return conditioning(recording, self.of_profiles)

    def narrow_conditioning(self, way: Way, recording: Sound) -> Sound:
        """The same of one of 8 kHz, in a way."""
        contract, step = self.of_profiles.contract, self.of_profiles.backend.step
        lower = LowerHalf(contract.bins, contract.first_bin)
        nobody = np.zeros((1, contract.profile_size), np.float32)
        states, half_states = contract.initial_states(), contract.initial_states()
        embeddings = []
        for frame in (way if way.enrolls else WAYS[ZEROS]).shown(self.of_profiles, recording):
            spectrum = np.stack([frame.real, frame.imag])[None, :, None].astype(np.float32)
            _, whole, states = step(spectrum, nobody, states)
            whole = whole.copy()
            _, half, half_states = step(lower.of(spectrum), nobody, half_states)
            embeddings.append(of_any_band(whole[0], half[0]))
        return np.asarray(np.mean(embeddings, axis=0, dtype=np.float64), np.float32)

    def enhanced(self, shown: Spectra, profile: Sound) -> Spectra:
        """What the network makes of spectra with a profile."""
        states, out = self.model.contract.initial_states(), np.empty_like(shown)
        for hop, frame in enumerate(shown):
            spectrum = np.stack([frame.real, frame.imag])[None, :, None].astype(np.float32)
            given, _, states = self.model.backend.step(spectrum, profile[None], states, self._silence)
            out[hop] = given[0, 0, 0] + 1j * given[0, 1, 0]
        return out


def through(networks: Networks, way: Way, profile: Sound, heard: Heard) -> Scores:
    """The scores of what the network makes of it."""
    enhanced = networks.enhanced(way.shown(networks.model, heard.mixture), profile)
    return scored(heard, way.back(networks.model, enhanced, heard.mixture.size))


def of_talkers(networks: Networks, root: Path, names: list[str], every: int) -> Iterator[Row]:
    """The dev speakers, each heard in three cases with two profiles."""
    hear = at_level(LEVEL_DBFS)
    voices = [read_voice(root, talker) for talker in read_talkers(root)]
    for number in options.progress(range(0, len(voices), every), "speakers"):
        voice, other = voices[number], voices[(number + 7) % len(voices)]
        said = hear(narrow(voice.speech))
        beside = hear(np.resize(narrow(other.speech), said.size))
        clips = Heard(ALONE, said, said), Heard(BESIDE, said + beside, said), Heard(OTHER, beside, None)
        enrollment = hear(voice.enrollment)
        whole, halves = networks.conditioning(enrollment), dict[str, Sound]()
        rows: list[Row] = [
            {"case": clip.case, "enrolled": kind, "ways": {}} for clip in clips for kind in (WHOLE, HALF)
        ]
        for name in names:
            way = WAYS[name]
            shown_in = name if way.enrolls else ZEROS
            if shown_in not in halves:
                halves[shown_in] = networks.narrow_conditioning(way, narrow(enrollment))
            profiles = whole, halves[shown_in]
            heard = [(clip, profile) for clip in clips for profile in profiles]
            for row, (clip, profile) in zip(rows, heard, strict=True):
                row["ways"][name] = through(networks, way, profile, clip)
        yield from rows


def of_set(networks: Networks, root: Path, names: list[str], every: int) -> Iterator[Row]:
    """The clips of the set "narrow-band" that are heard or enrolled so, with the right profile."""
    for scene in options.progress(read_scenes(SETS_FOLDER / "narrow-band.jsonl")[::every], "clips"):
        clip = render(replace(scene, device=None), root)
        case = ALONE if scene.tags["situation"] == ALONE else BESIDE
        heard = Heard(case, clip.mixture, clip.reference)
        ways = {name: _of_clip(networks, root, WAYS[name], scene, heard) for name in names}
        yield {"case": case, "band": scene.tags["band"], "ways": ways}


def _of_clip(networks: Networks, root: Path, way: Way, scene: Scene, heard: Heard) -> Scores:
    assert scene.right is not None and heard.reference is not None
    recording = render_enrollment(root, replace(scene.right, device=None))
    if scene.right.device:
        profile = networks.narrow_conditioning(way, narrow(recording))
    else:
        profile = networks.conditioning(recording)
    if scene.device:
        narrowed = Heard(heard.case, narrow(heard.mixture), narrow(heard.reference))
        return through(networks, way, profile, narrowed)
    enhanced = networks.enhanced(spectra_of(networks.model, heard.mixture), profile)
    output = sound_of(networks.model, enhanced, heard.mixture.size)
    return scored_wide(heard.case, heard.mixture, heard.reference, output)


def merged(before: list[Row], rows: list[Row]) -> list[Row]:
    """The rows with the ways that they had before and those that were measured now, rounded."""
    for row, old in zip(rows, before or rows, strict=True):
        now = {way: {name: round(value, 3) for name, value in of.items()} for way, of in row["ways"].items()}
        ways = {**old["ways"], **now}
        row["ways"] = {way: ways[way] for way in WAYS if way in ways}
    return rows


@click.command()
@options.data
@options.model
@options.backend
@click.option(
    "--way",
    "names",
    multiple=True,
    type=click.Choice(list(WAYS)),
    help="Only that one; what the results file has of others stays.",
)
@click.option("--every", type=click.IntRange(1), default=1, help="Only each n-th speaker and clip.")
@click.option(
    "--results", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="File to write."
)  # fmt: skip
def main(
    root: Path, model_name: str, backend: str, names: tuple[str, ...], every: int, results: Path
) -> None:
    """Score what the network may be shown of a stream of 8 kHz, and write that into the results file."""
    model = Model.load(model_name, backend)
    chosen = list(names or WAYS)
    before = json.loads(results.read_text(encoding="utf-8")) if names and results.exists() else {}
    rows = {
        name: merged(before.get(name, []), list(measure(Networks(model), root, chosen, every)))
        for name, measure in {"talkers": of_talkers, "clips": of_set}.items()
    }
    head = json.dumps({"model": described(model), "level_dbfs": LEVEL_DBFS})
    groups = [f'"{name}": [\n' + ",\n".join(map(json.dumps, of)) + "\n]" for name, of in rows.items()]
    results.write_text(f"{head[:-1]}, {', '.join(groups)}}}\n", encoding="utf-8")
    click.echo(
        f"{len(rows['talkers'])} clips of speakers and {len(rows['clips'])} of the set are in {results}."
    )
