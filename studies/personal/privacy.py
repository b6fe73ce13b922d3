"""What personal weights give away, beside the profile: ``python -m studies personal-privacy``.

It takes the weights that ``python -m studies personal --weights FOLDER`` kept, and asks two things of them.

Whose are they? Somebody has the weights without the profile, and a recording of each of some candidates, none of
which was learnt. How much better than general weights do they treat a candidate: how much of the voice do they keep
where it is alone, and how much better does it come out beside another one? They are given no profile, or the
candidate's own. From each candidate's score the mean over the weights of other voices is taken: some voices are easier
than others, and whoever tries can make such weights himself. The profile is asked in its own way, by its cosine to the
profile of the recording.

Was a sentence read? Membership inference (Shokri et al., arXiv 1610.05820): with the profile, pieces of the reading and
pieces of other recordings of the same voice, in the same noise and beside the same other voices. Do personal weights
gain more on those that they learnt from?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import click
import numpy as np
import torch

from edge_pse.band import of_any_band
from edge_pse.enrollment import embed
from edge_pse.enrollment.features import FeatureCollector
from edge_pse.model import Model
from evaluation.metrics.signal import SAMPLE_RATE_HZ, level_change_db, si_sdr
from evaluation.metrics.statistics import summarise
from evaluation.published import StudyTable, publish_tables
from evaluation.report.markdown import table
from evaluation.sets.builder import SetBuilder
from evaluation.sets.corpus import NoiseSource, Talker, read_noises, read_talkers
from evaluation.sets.render import read_segment, render, render_enrollment
from evaluation.tables import Content
from studies import options
from studies.personal.clips import LIGHT_SNR_DB, NOISE_SNR_DB, Samples
from studies.personal.command import CHECKPOINTS, in_fp32
from studies.personal.results import RECIPE
from studies.personal.voices import cut, in_turns
from training import options as training_options
from training.checkpoint import load_checkpoint, model_id
from training.network import Network

RECORDING_S = 12.0
"""Of a candidate."""
PIECE_S = 3.0
MOST_PIECES = 12
"""Of each kind and voice."""
WHO, READ = "whose weights", "which sentences"
PUBLISHED_AS = {WHO: "voices told from personal weights", READ: "sentences told from personal weights"}


@dataclass(frozen=True)
class Learnt:
    """Personal weights of one voice."""

    voice: str
    seconds: float
    steps: int
    network: Network


def kept_weights(name: str, folder: Path) -> tuple[Network, list[Learnt]]:
    """The general weights of that name as they ship, and of each voice those of the recipe with the most steps, among
    those learnt from them.

    Raises click.ClickException where there are none.
    """
    general, _ = load_checkpoint(CHECKPOINTS / f"{name}.pt")
    prefix = f"{name}-{model_id(general)[len(name) + 1 :]}-"
    found: dict[str, Learnt] = {}
    for path in sorted(folder.glob(f"{prefix}*.pt"), key=lambda path: path.stat().st_mtime):
        network, history = load_checkpoint(path)
        if history["variant"] != RECIPE:
            continue
        known = found.get(history["voice"])
        if known is None or history["steps"] >= known.steps:
            found[history["voice"]] = Learnt(history["voice"], history["seconds"], history["steps"], network)
    if not found:
        raise click.ClickException(
            f"No weights of {name} in {folder}: python -m studies personal --weights keeps them."
        )
    return general, [found[voice] for voice in sorted(found)]


@dataclass(frozen=True)
class Heard:
    """What is made of a clip: it, and the voice in it."""

    mixture: Samples
    reference: Samples


@dataclass(frozen=True)
class Candidate:
    """A voice whose weights they may be: two clips of it, and its own profile, of other recordings than was learnt."""

    talker: Talker
    alone: Heard
    beside: Heard
    features: FeatureCollector
    """What the profile network makes of it."""


@dataclass(frozen=True)
class Attempt:
    """All that is tried."""

    root: Path
    general: Network
    profile_model: Model
    talkers: Sequence[Talker]
    """Those of ``studies.personal.voices.in_turns``."""
    others: Sequence[Talker]
    """Who talks beside them."""
    noises: Sequence[NoiseSource]
    learnt: Sequence[Learnt]

    @cached_property
    def _build(self) -> SetBuilder:
        return SetBuilder("privacy", self.root, list(self.others), list(self.noises))

    def _features(self, samples: Samples) -> FeatureCollector:
        features = FeatureCollector(self.profile_model)
        features.add(samples)
        features.finish()
        return features

    def _recording(self, talker: Talker, part: str, seconds: float) -> Samples:
        """At -26 dBFS, of what the talker reads (``enrollment``) or of the rest (``mixing``)."""
        whole = replace(talker, enrollment=getattr(talker, part))
        return render_enrollment(self.root, self._build.enrollment(whole, seconds))

    @cached_property
    def candidates(self) -> list[Candidate]:
        """All voices, each on recordings that nobody reads."""
        build, made = self._build, []
        for talker in options.progress(list(self.talkers), "candidates"):
            other = build.other_talker(talker, sex=talker.sex)
            scene = build.talkers_scene(build.scene({}, ()), talker, [other], noisy=True, room=False)
            beside = render(build.balance(scene, 0.0, LIGHT_SNR_DB), self.root)
            assert beside.reference is not None
            alone = beside.reference
            recording = self._recording(talker, "mixing", RECORDING_S)
            heard = Heard(alone, alone), Heard(beside.mixture, beside.reference)
            made.append(Candidate(talker, *heard, self._features(recording)))
        return made

    @cached_property
    def readings(self) -> list[FeatureCollector]:
        """What the profile network makes of each reading."""
        return [
            self._features(self._recording(self._talker(learnt), "enrollment", learnt.seconds))
            for learnt in self.learnt
        ]

    def _talker(self, learnt: Learnt) -> Talker:
        (talker,) = (t for t in self.talkers if t.speaker == learnt.voice)
        return cut(talker, learnt.seconds)

    def who(self) -> Content:
        """How often each way puts the voice first among all candidates, and before another one."""
        voices = [candidate.talker.speaker for candidate in self.candidates]
        own = [voices.index(learnt.voice) for learnt in self.learnt]
        space = self.profile_model.contract.voice_space
        theirs = space.project(np.stack([candidate.features.embedding() for candidate in self.candidates]))
        profiles = space.project(np.stack([reading.embedding() for reading in self.readings]))
        ways = {"the profile alone, by its cosine": profiles @ theirs.T, **self._by_weights()}
        rows = []
        for way, scores in ways.items():
            first = [100.0 * (np.argmax(row) == at) for row, at in zip(scores, own, strict=True)]
            before = [
                100.0 * area(row[[at]], np.delete(row, at)) for row, at in zip(scores, own, strict=True)
            ]
            rows.append([way, _shown(first), _shown(before)])
        chance = ["guessing", f"{100 / len(voices):.0f}", "50"]
        header = [
            f"{len(own)} voices among {len(voices)} candidates", "put first, %", "before another candidate, %",
        ]  # fmt: skip
        return header, [*rows, chance]

    def _by_weights(self) -> dict[str, np.ndarray]:
        """Scores (weights, candidate) by way."""
        none = torch.zeros(self.general.config.taken_size)
        given: dict[str, Callable[[Candidate], torch.Tensor]] = {
            "no profile given": lambda candidate: none,
            "the candidate's profile given": lambda candidate: _profile(candidate.features),
        }
        found = {}
        for name, profile in given.items():
            networks = [self.general, *(learnt.network for learnt in self.learnt)]
            treated = np.array([
                [_treatment(network, candidate, profile(candidate)) for candidate in self.candidates]
                for network in options.progress(networks, name.ljust(28))
            ])  # fmt: skip
            better = treated[1:] - treated[0]
            for number, what in enumerate(("kept where it is alone", "gain beside another")):
                found[f"the weights alone, {name}: {what}"] = without_others(better[..., number])
        return found

    def read(self) -> Content:
        """How well pieces of the reading are told from others of the same voice."""
        by_weights, by_profile = [], []
        for learnt, reading in options.progress(
            list(zip(self.learnt, self.readings, strict=True)), "sentences"
        ):
            talker = self._talker(learnt)
            read, unread = (
                pieces(self._recording(talker, part, sum(s.seconds for s in getattr(talker, part))))
                for part in ("enrollment", "mixing")
            )
            gains = [self._gained(learnt, some, _profile(reading)) for some in (read, unread)]
            by_weights.append(100 * area(*gains))
            space, profile_model = self.profile_model.contract.voice_space, self.profile_model
            alike = [
                np.array([space.cosine(reading.embedding(), embed(piece, profile_model)) for piece in some])
                for some in (read, unread)
            ]
            by_profile.append(100 * area(*alike))
        rows = [
            ["the profile alone, by its cosine to a piece", _shown(by_profile)],
            ["weights and profile, by what they gain on a piece", _shown(by_weights)],
            ["guessing", "50"],
        ]
        return [f"{len(self.learnt)} voices", "a piece that was read before one that was not, %"], rows

    def _gained(self, learnt: Learnt, some: Sequence[Samples], profile: torch.Tensor) -> np.ndarray:
        """Of each piece, SI-SDR under personal weights minus that under general ones, the mean of two scenes."""
        random = np.random.default_rng(0)  # the same for all pieces of one place
        build = self._build
        others = [t for t in self.talkers if t.speaker != learnt.voice]
        mixtures = []
        for piece in some:
            other = self._recording(others[int(random.integers(len(others)))], "mixing", PIECE_S)
            noise = build.noises[int(random.integers(len(build.noises)))].segment
            noisy = read_segment(self.root, noise)
            mixtures += [piece + _at(other, piece, 0.0), piece + _at(noisy, piece, NOISE_SNR_DB)]
        personal, general = (
            in_fp32(network, profile)(mixtures) for network in (learnt.network, self.general)
        )
        gained = [
            si_sdr(some[i // 2], p) - si_sdr(some[i // 2], g)
            for i, (p, g) in enumerate(zip(personal, general, strict=True))
        ]
        return np.array(gained).reshape(-1, 2).mean(axis=1)


def _profile(features: FeatureCollector) -> torch.Tensor:
    return torch.from_numpy(of_any_band(features.embedding(), features.embedding(half_band=True)))


def _at(other: Samples, piece: Samples, ratio_db: float) -> Samples:
    """Another sound, as long as the piece and so much fainter."""
    other = np.resize(other, len(piece))
    power = np.mean(np.square(other, dtype=np.float64)) + 1e-12
    gain = np.sqrt(np.mean(np.square(piece, dtype=np.float64)) / power) * 10 ** (-ratio_db / 20)
    return (gain * other).astype(np.float32)


def _treatment(network: Network, candidate: Candidate, profile: torch.Tensor) -> tuple[float, float]:
    """What is kept of the voice alone, dB, and its SI-SDR beside another, dB."""
    alone, beside = in_fp32(network, profile)([candidate.alone.mixture, candidate.beside.mixture])
    return level_change_db(candidate.alone.reference, alone), si_sdr(candidate.beside.reference, beside)


def pieces(recording: Samples) -> list[Samples]:
    """Of ``PIECE_S`` each, spread over the recording, ``MOST_PIECES`` at most."""
    length = round(PIECE_S * SAMPLE_RATE_HZ)
    starts = np.arange(0, len(recording) - length + 1, length)
    if len(starts) > MOST_PIECES:
        starts = starts[np.linspace(0, len(starts) - 1, MOST_PIECES).astype(int)]
    return [recording[start : start + length] for start in starts]


def area(wanted: np.ndarray, others: np.ndarray) -> float:
    """Share of the pairs in which the wanted one is above the other one: the area under the ROC curve."""
    above = wanted[:, None] > others[None]
    equal = wanted[:, None] == others[None]
    return float(np.mean(above + 0.5 * equal))


def without_others(scores: np.ndarray) -> np.ndarray:
    """Scores (weights, candidate) less, for each, the mean of the same candidate under the other weights."""
    if len(scores) == 1:
        return scores
    mean_of_others = (scores.sum(axis=0) - scores) / (len(scores) - 1)
    return scores - mean_of_others


def _shown(values: Sequence[float]) -> str:
    summary = summarise(list(values))
    assert summary is not None
    return f"{summary.mean:.0f} [{summary.low:.0f}, {summary.high:.0f}]"


@click.command()
@options.data
@click.option("--network", "name", default="pvqe-s", show_default=True)
@options.weights
@click.option("--threads", default=2, show_default=True)
@click.option("--publish", "published", is_flag=True, help="Write the tables into evaluation/results.json.")
def main(root: Path, name: str, folder: Path, threads: int, published: bool) -> None:  # fmt: skip
    """Try to tell voice and sentences from personal weights."""
    training_options.start(threads, 0, "cpu")
    general, learnt = kept_weights(name, folder)
    profile_model = Model.load(f"{name}.fp32").profile_network()
    talkers = read_talkers(root)
    attempt = Attempt(root, general, profile_model, in_turns(talkers), talkers, read_noises(root), learnt)
    tables = {WHO: attempt.who(), READ: attempt.read()}
    steps = sorted({one.steps for one in learnt})
    if published:
        about, command = model_id(general), "python -m studies personal-privacy"
        publish_tables(
            {PUBLISHED_AS[n]: StudyTable(command, about, *content) for n, content in tables.items()}
        )
    click.echo(f"{model_id(general)}, {len(learnt)} voices, {' or '.join(map(str, steps))} steps")
    for content in tables.values():
        click.echo(f"\n{table(*content)}")
