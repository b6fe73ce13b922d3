"""Personal weights on dev speakers: ``python -m studies personal``.

The network goes on learning from some recordings of each voice, its reading (`training.personal`). What that is worth
is measured on its other recordings: beside one other voice of the same or of the other sex, through another
microphone, when only others talk, in noise and alone. The mean of general and personal weights is measured beside
both.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch

from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from evaluation.metrics.signal import level_change_db, si_sdr, suppression_db
from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from evaluation.sets.builder import SetBuilder, is_adult
from evaluation.sets.corpus import NoiseSource, Talker, read_noises, read_talkers
from evaluation.sets.render import Clip, render, render_enrollment, through_device
from evaluation.sets.scene import Scene, Segment
from studies import options
from training import options as training_options
from training.checkpoint import load_checkpoint, model_id
from training.dev import enhance
from training.mean import mean
from training.network import CONFIGS, Network
from training.options import Corpora
from training.personal import PersonalScenes, learn_voice
from training.simulation.corpus import load_bank
from training.simulation.rooms import load_rooms

CHECKPOINTS = Path(__file__).parents[1] / "training/checkpoints"
SIRS_DB, LIGHT_SNR_DB, NOISE_SNR_DB = (-5.0, 0.0, 5.0), 20.0, 5.0
LEAST_REST_S = 12.0
"""Of the voice, beside what it reads: the clips are made of it."""
OTHER_MICROPHONE = "telephone"
SAME, MICROPHONE, CROSS = "same sex", "same sex, other microphone", "cross sex"
ABSENT, NOISE, ALONE = "others alone", "noise", "alone"
METRICS = {
    SAME: "SI-SDR gain, dB",
    MICROPHONE: "SI-SDR gain, dB",
    CROSS: "SI-SDR gain, dB",
    ABSENT: "suppression, dB",
    NOISE: "SI-SDR gain, dB",
    ALONE: "level, dB",
}
WEIGHTS = ("general", "personal", "mean of both")


@dataclass(frozen=True)
class Test:
    """A clip, and what is asked about it."""

    condition: str
    mixture: np.ndarray
    reference: np.ndarray | None


def with_reading(talker: Talker, seconds: float) -> Talker | None:
    """The talker with the last recordings, so many seconds of them, for the enrollment; None with too few."""
    segments = [*talker.mixing, *talker.enrollment]
    reading: list[Segment] = []
    missing = seconds
    while segments and missing > 0:
        last = segments.pop()
        reading.insert(0, replace(last, seconds=min(last.seconds, round(missing, 2))))
        missing -= last.seconds
    if missing > 0 or sum(segment.seconds for segment in segments) < LEAST_REST_S:
        return None
    return replace(talker, mixing=tuple(segments), enrollment=tuple(reading))


def tests_of(talker: Talker, build: SetBuilder, clips: int) -> list[Test]:
    """So many clips of each condition, the same at every call."""
    return [test for number in range(clips) for test in _tests(talker, build, number)]


def _tests(talker: Talker, build: SetBuilder, number: int) -> Iterator[Test]:
    for condition in (SAME, CROSS):
        other = build.other_talker(talker, sex=talker.sex, like=condition == SAME)
        scene = build.talkers_scene(build.scene({}, ()), talker, [other], noisy=True, room=False)
        clip = _rendered(build, build.balance(scene, SIRS_DB[number % len(SIRS_DB)], LIGHT_SNR_DB))
        yield Test(condition, clip.mixture, clip.reference)
        if condition == SAME and clip.reference is not None:
            heard = (through_device(sound, OTHER_MICROPHONE) for sound in (clip.mixture, clip.reference))
            yield Test(MICROPHONE, *heard)
        if number % 2 == (condition == CROSS):
            alone = build.balance(replace(scene, target=None), snr_db=LIGHT_SNR_DB)
            yield Test(ABSENT, _rendered(build, alone).mixture, None)
    noisy = build.talkers_scene(build.scene({}, ()), talker, [], noisy=True, room=False)
    clip = _rendered(build, build.balance(noisy, snr_db=NOISE_SNR_DB))
    yield Test(NOISE, clip.mixture, clip.reference)
    if clip.reference is not None:
        yield Test(ALONE, clip.reference, clip.reference)


def _rendered(build: SetBuilder, scene: Scene) -> Clip:
    return render(scene, build.root)


def score(network: Network, profile: torch.Tensor, tests: list[Test]) -> dict[str, list[float]]:
    """By condition: the metric of ``METRICS`` of each test."""
    scores: dict[str, list[float]] = {condition: [] for condition in METRICS}
    for test in tests:
        samples = torch.from_numpy(test.mixture.astype(np.float32))[None]
        output = enhance(network, samples, profile[None])[0].numpy()
        if test.reference is None:
            value = suppression_db(test.mixture, output)
        elif test.condition == ALONE:
            value = level_change_db(test.reference, output)
        else:
            value = si_sdr(test.reference, output) - si_sdr(test.reference, test.mixture)
        scores[test.condition].append(value)
    return scores


@dataclass(frozen=True)
class Study:
    """What is the same for all voices."""

    root: Path
    network: Network
    profile_model: Model
    corpora: Corpora
    talkers: list[Talker]
    noises: list[NoiseSource]

    def scenes(self, reading: np.ndarray) -> PersonalScenes:
        """What one voice learns from; the others at one speed only, which takes a fifth of the memory."""
        cache = self.corpora.cache / "one-speed"
        speech = load_bank("speech", self.corpora.speech, cache)
        noise = load_bank("noise", self.corpora.noise, cache)
        rooms = load_rooms(self.corpora.rooms, self.corpora.simulated_rooms, cache)
        return PersonalScenes(speech, noise, rooms, np.random.default_rng(0), reading)

    def run(self, talker: Talker, minutes: float, clips: int) -> dict[str, dict[str, list[float]]]:
        """One voice: scores by weights and condition."""
        build = SetBuilder(f"personal-{talker.speaker}", self.root, [*self.talkers, talker], self.noises)
        tests = tests_of(talker, build, clips)
        seconds = sum(segment.seconds for segment in talker.enrollment)
        reading = render_enrollment(self.root, build.enrollment(talker, seconds))
        profile = torch.from_numpy(conditioning(reading, self.profile_model))
        embed = load_checkpoint(CHECKPOINTS / "pvqe-s.pt")[0].embed
        personal = learn_voice(self.network, profile, self.scenes(reading), minutes, on_log=_say, embed=embed)
        both = mean(self.network, copy.deepcopy(personal), 0.5)
        return {
            name: score(network, profile, tests)
            for name, network in zip(WEIGHTS, (self.network, personal, both), strict=True)
        }


def _say(entry: dict[str, object]) -> None:
    click.echo(f"step {entry['step']}, loss {entry['loss']}, {entry['ms_a_step']} ms a step", err=True)


def _rows(results: dict[str, dict[str, dict[str, list[float]]]]) -> list[list[str]]:
    """A row for each condition: means over all clips of all voices, and what the personal weights add to it."""
    rows = []
    for condition, metric in METRICS.items():
        of = {
            name: np.concatenate([voice[name][condition] for voice in results.values()]) for name in WEIGHTS
        }
        gains = [
            np.mean(np.subtract(v["personal"][condition], v["general"][condition])) for v in results.values()
        ]
        change = summarise(np.array(gains))
        assert change is not None
        more = f"{change.mean:+.1f} [{change.low:+.1f}, {change.high:+.1f}]"
        rows.append(
            [condition, metric, *(f"{of[name].mean():.1f}" for name in WEIGHTS), more, f"{min(gains):+.1f}"]
        )
    return rows


@click.command()
@options.data
@training_options.corpora
@click.option("--network", "name", type=click.Choice(sorted(CONFIGS)), default="pvqe-s", show_default=True)
@click.option("--voices", default=8, show_default=True, help="How many dev speakers.")
@click.option("--speaker", "speakers", multiple=True, help="Only that one.")
@click.option("--seconds", default=30.0, show_default=True, help="Of reading.")
@click.option("--minutes", default=6.0, show_default=True, help="Of learning, each.")
@click.option("--clips", default=12, show_default=True, help="Of each condition.")
@click.option("--threads", default=2, show_default=True)
def main(
    root: Path, corpora: Corpora, name: str, voices: int, speakers: tuple[str, ...], seconds: float, minutes: float,
    clips: int, threads: int,
) -> None:  # fmt: skip
    """Say what a network gains that goes on learning one voice, on other recordings of it."""
    training_options.start(threads, 0, "cpu")
    network, _ = load_checkpoint(CHECKPOINTS / f"{name}.pt")
    profile_model = Model.load(f"{name}.fp32").profile_network()
    if profile_model.contract.model_id != (network.profiles_of or model_id(network)):
        raise click.ClickException(f"The checkpoint of {name} is not the model that ships: export it first.")
    talkers = read_talkers(root)
    read = [with_reading(talker, seconds) for talker in talkers if is_adult(talker)]
    chosen = [
        talker for talker in read if talker is not None and (not speakers or talker.speaker in speakers)
    ]
    # In turns through the corpora, so that few voices are not of one.
    chosen = [chosen[i] for i in np.random.default_rng(0).permutation(len(chosen))][:voices]
    if not chosen:
        raise click.ClickException(f"No dev speaker has {seconds + LEAST_REST_S:.0f} s of recordings.")
    study = Study(root, network, profile_model, corpora, talkers, read_noises(root))
    results = {}
    for talker in options.progress(chosen, "voices"):
        others = [other for other in talkers if other.speaker != talker.speaker]
        results[talker.speaker] = replace(study, talkers=others).run(talker, minutes, clips)
    click.echo(
        f"{name}, {len(results)} voices, {seconds:.0f} s of reading, {minutes:g} minutes of learning\n"
    )
    header = ["condition", "metric", *WEIGHTS, "personal minus general, mean over voices", "worst voice"]
    click.echo(table(header, _rows(results)))
    rows = [
        [speaker, *(f"{np.mean(r['general'][c]):.1f} -> {np.mean(r['personal'][c]):.1f}" for c in METRICS)]
        for speaker, r in results.items()
    ]
    click.echo(f"\n{table(['voice', *METRICS], rows)}")
