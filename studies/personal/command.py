"""Personal weights on dev speakers: ``python -m studies personal``.

The network goes on learning from some recordings of each voice, its reading (`training.personal`). What that is worth
is measured on its other recordings (`studies.personal.clips`). A cell is one voice, one length of reading, one number
of minutes, one variant of the recipe and one network. With ``--results`` each cell is kept as soon as it is measured,
and those that are there are not measured again, so that hours can be spread over days.

Minutes are those of the machine that `studies.personal.learning.MACHINE` says, and stand for a number of steps: the
steps are what another machine can repeat. Several minutes are moments of one run.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import click
import numpy as np
import torch

from edge_pse.enrollment import conditioning, embed
from edge_pse.model import Model
from edge_pse.model_file import write_description
from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from evaluation.sets.builder import SetBuilder
from evaluation.sets.corpus import NoiseSource, Talker, read_noises, read_talkers
from evaluation.sets.render import render_enrollment
from export.description import description
from export.onnx import write_onnx
from personalisation.others import Others, load_others
from quantization import quality
from quantization.onnx_int8 import quantize_onnx
from quantization.recipes import RECIPES, SHIPPED
from studies import options
from studies.personal import results
from studies.personal.clips import ROWS, Enhance, Samples, Trial, score, trials_of
from studies.personal.learning import MEAN, STEP_MS, VARIANTS, Learner, Variant, Weights, fingerprint
from studies.personal.results import GENERAL, RECIPE, Cell
from studies.personal.voices import LEAST_REST_S, cut, in_turns, reading_seconds
from training import options as training_options
from training.checkpoint import load_checkpoint, model_id, profiles_id
from training.dev import enhance
from training.mean import mean
from training.network import CONFIGS, Network
from training.personal import SCHEDULE, PersonalScenes
from training.schedule import load_schedule

CHECKPOINTS = Path(__file__).parents[2] / "training/checkpoints"
AGAINST_S = 20.0
"""Of the most similar voice, where it is among the others."""
LIKENESS_S = 10.0
"""Of each voice, to find the one most like another."""
_AT_ONCE = 8


@dataclass(frozen=True)
class Study:
    """What is the same for all voices."""

    root: Path
    learner: Learner
    profile_model: Model
    talkers: list[Talker]
    noises: list[NoiseSource]
    clips: int

    @classmethod
    def of(cls, name: str, root: Path, folder: Path, clips: int) -> Study:
        """A study of the network of that name as it ships. Raises click.ClickException where it is another."""
        network, _ = load_checkpoint(CHECKPOINTS / f"{name}.pt")
        model = Model.load(f"{name}.fp32")
        profile_model = model.profile_network()
        ids = model.contract.model_id, profile_model.contract.profiles_of
        if ids != (model_id(network), profiles_id(network)):
            raise click.ClickException(
                f"The checkpoint of {name} is not the model that ships: export it first."
            )
        profile_network, _ = load_checkpoint(CHECKPOINTS / "pvqe-s.pt")
        learner = Learner(network, load_schedule(SCHEDULE)[0], profile_network, folder)
        return cls(root, learner, profile_model, read_talkers(root), read_noises(root), clips)

    @cached_property
    def likeness(self) -> tuple[list[str], np.ndarray]:
        """Speakers, and the cosines (speaker, speaker) between short recordings of them, in the voice space."""
        build = SetBuilder("likeness", self.root, self.talkers, self.noises)
        names, embeddings = [], []
        for talker in options.progress(self.talkers, "similar voices"):
            short = render_enrollment(self.root, build.enrollment(talker, LIKENESS_S))
            names.append(talker.speaker)
            embeddings.append(embed(short, self.profile_model))
        units = self.profile_model.contract.voice_space.project(np.stack(embeddings))
        return names, units @ units.T

    def most_similar(self, talker: Talker) -> Talker:
        """Of the other dev speakers."""
        names, cosines = self.likeness
        order = np.argsort(-cosines[names.index(talker.speaker)])
        chosen = next(names[i] for i in order if names[i] != talker.speaker)
        return next(other for other in self.talkers if other.speaker == chosen)

    @cached_property
    def others(self) -> Others:
        """Those that ``edge-pse personalise`` learns against."""
        return load_others(profiles_id(self.learner.profile_network))

    def scenes(
        self, variant: Variant, reading: Samples, against: Sequence[Samples]
    ) -> tuple[PersonalScenes, torch.Tensor]:
        """What one voice learns from; and what the profile network makes of the others in it, (voice, embedding)."""
        others, random = self.others, np.random.default_rng(0)
        speech = variant.others(others.speech)
        scenes = PersonalScenes(speech, others.noise, others.rooms, random, reading, against)
        return scenes, others.embeddings


@dataclass(frozen=True)
class Plan:
    """What of one voice is asked for."""

    seconds: Sequence[float]
    """Empty: all that it reads."""
    variants: Sequence[str]
    steps: dict[float, int]
    """By minutes."""
    int8: bool

    @property
    def run_minutes(self) -> float:
        """Of the one run that all these minutes are moments of."""
        return max(self.steps)


@dataclass(frozen=True)
class Asked:
    """What is asked of one voice, whatever it reads; made when it is asked for."""

    study: Study
    talker: Talker

    @cached_property
    def nearest(self) -> Talker:
        return self.study.most_similar(self.talker)

    @cached_property
    def trials(self) -> list[Trial]:
        study, talker = self.study, self.talker
        others = [other for other in study.talkers if other.speaker != talker.speaker]
        build = SetBuilder(f"personal-{talker.speaker}", study.root, [*others, talker], study.noises)
        return trials_of(talker, build, self.nearest, study.clips)


@dataclass(frozen=True)
class OneVoice:
    """A voice with some seconds of its reading."""

    study: Study
    talker: Talker
    """Its enrollment is the reading."""
    asked: Asked

    @cached_property
    def build(self) -> SetBuilder:
        return SetBuilder("reading", self.study.root, [self.talker], self.study.noises)

    @property
    def seconds(self) -> float:
        return reading_seconds(self.talker)

    @cached_property
    def reading(self) -> Samples:
        return render_enrollment(self.study.root, self.build.enrollment(self.talker, self.seconds))

    @cached_property
    def profile(self) -> torch.Tensor:
        return torch.from_numpy(conditioning(self.reading, self.study.profile_model))

    def scenes(self, variant: str) -> tuple[PersonalScenes, torch.Tensor]:
        """See ``Study.scenes``."""
        against = []
        if VARIANTS[variant].against:
            against.append(
                render_enrollment(self.study.root, self.build.enrollment(self.asked.nearest, AGAINST_S))
            )
        return self.study.scenes(VARIANTS[variant], self.reading, against)

    def learnt(self, variant: str, plan: Plan) -> dict[int, Weights]:
        """Of one run, by steps."""
        return self.study.learner.learn(
            self.talker.speaker, self.seconds, variant, sorted(plan.steps.values()), self.profile,
            lambda: self.scenes(variant),
        )  # fmt: skip

    def cell(
        self,
        variant: str,
        minutes: float,
        precision: str,
        run_minutes: float = 0.0,
        weights: Weights | None = None,
    ) -> Cell:
        """Without scores; with neither ``run_minutes`` nor ``weights`` of the general network."""
        learner = self.study.learner
        return Cell(
            network=learner.network.config.name, voice=self.talker.speaker, corpus=self.talker.corpus,
            sex=self.talker.sex or "", seconds=self.seconds, variant=variant, minutes=minutes,
            run_minutes=run_minutes, precision=precision, recipe=fingerprint(learner.stage) if weights else "",
            steps=weights.steps if weights else 0, ms_a_step=weights.ms_a_step if weights else 0.0,
            threads=weights.threads if weights else 0, base=model_id(learner.network),
            clips=self.study.clips, scores={},
        )  # fmt: skip

    def scored(self, cell: Cell, network: Network) -> Cell:
        """With the scores of these weights."""
        run = in_int8 if cell.precision == "int8" else in_fp32
        return replace(cell, scores=score(run(network, self.profile), self.asked.trials))


def in_fp32(network: Network, profile: torch.Tensor) -> Enhance:
    """Whole clips, as they are learnt from."""

    def run(mixtures: Sequence[Samples]) -> list[Samples]:
        outputs: dict[int, Samples] = {}
        # Clips of one length share a pass.
        order = sorted(range(len(mixtures)), key=lambda i: len(mixtures[i]))
        for length in sorted({len(mixture) for mixture in mixtures}):
            alike = [i for i in order if len(mixtures[i]) == length]
            for start in range(0, len(alike), _AT_ONCE):
                some = alike[start : start + _AT_ONCE]
                samples = torch.from_numpy(np.stack([mixtures[i] for i in some]).astype(np.float32))
                enhanced = enhance(network, samples, profile.expand(len(some), -1))
                outputs |= dict(zip(some, enhanced.numpy(), strict=True))
        return [outputs[i] for i in range(len(mixtures))]

    return run


def in_int8(network: Network, profile: torch.Tensor) -> Enhance:
    """Hop by hop in ONNX Runtime, from a file as it ships, made of these weights."""
    network = copy.deepcopy(network)
    network.profiles_of = None  # for its description: the profile is given, and nobody else's is made with it
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "network.fp32.onnx", Path(folder) / "network.int8.onnx"
        write_onnx(network, whole)
        quantize_onnx(whole, RECIPES[SHIPPED[".onnx"][0]], small)
        write_description(small, description(network, "int8"))
        model = Model.load(small, "onnx")
    return lambda mixtures: [
        quality.enhance(model, mixture.astype(np.float32), profile.numpy()) for mixture in mixtures
    ]


def voices_of(study: Study, talker: Talker, plan: Plan) -> Iterator[OneVoice]:
    """That voice with each length of reading that it has."""
    asked, whole = Asked(study, talker), reading_seconds(talker)
    for seconds in plan.seconds or (whole,):
        if seconds <= whole + 0.05:
            yield OneVoice(study, cut(talker, seconds), asked)


def cells_of(voice: OneVoice, plan: Plan, known: Sequence[Cell]) -> Iterator[Cell]:
    """All cells of the plan, those that are known as they are; general weights first."""

    def found(cell: Cell) -> Cell | None:
        return next((other for other in known if other.same_as(cell)), None)

    precisions = ("fp32", "int8") if plan.int8 else ("fp32",)
    general = voice.study.learner.network
    for precision in precisions:
        cell = voice.cell(GENERAL, 0, precision)
        yield found(cell) or voice.scored(cell, general)
    for variant in plan.variants:
        wanted = [
            (voice.cell(variant, minutes, precision, plan.run_minutes, Weights(general, steps)), steps)
            for minutes, steps in plan.steps.items()
            for precision in precisions
        ]
        there = [found(cell) for cell, _ in wanted]
        made = {} if all(there) else voice.learnt(RECIPE if variant == MEAN else variant, plan)
        for (cell, steps), old in zip(wanted, there, strict=True):
            if old is not None:
                yield old
                continue
            network = made[steps].network
            if variant == MEAN:
                network = mean(general, copy.deepcopy(network), 0.5)
            cell = voice.cell(variant, cell.minutes, cell.precision, plan.run_minutes, made[steps])
            yield voice.scored(cell, network)


def report(cells: Sequence[Cell]) -> str:
    """A row for each score: means over voices of each column, and what the last one adds to the general weights."""
    columns = list(dict.fromkeys((c.variant, c.minutes, c.precision) for c in cells))
    names = [
        " ".join([v, *([f"{m:g} min"] if m else []), *([p] if p != "fp32" else [])]) for v, m, p in columns
    ]
    by_voice: dict[tuple[str, float], dict[tuple[str, float, str], Cell]] = {}
    for cell in cells:
        by_voice.setdefault((cell.voice, cell.seconds), {})[cell.variant, cell.minutes, cell.precision] = cell
    rows = []
    for name, row in ROWS.items():
        means = [np.mean([of[c].row(name) for of in by_voice.values()]) for c in columns]
        gains = [of[columns[-1]].row(name) - of[columns[0]].row(name) for of in by_voice.values()]
        change = summarise(gains)
        assert change is not None
        worst = f"{row.worst(gains):+.1f}"
        more = f"{change.mean:+.1f} [{change.low:+.1f}, {change.high:+.1f}]"
        rows.append([name, row.unit, *(f"{value:.1f}" for value in means), more, worst])
    return table(["", "", *names, f"{names[-1]} minus {names[0]}", "worst voice"], rows)


@click.command()
@options.data
@click.option("--network", "name", type=click.Choice(sorted(CONFIGS)), default="pvqe-s", show_default=True)
@click.option("--voices", default=8, show_default=True, help="How many dev speakers.")
@click.option("--speaker", "speakers", multiple=True, help="Only that one.")
@click.option(
    "--seconds", multiple=True, type=float, help="Of reading; default: 30 or 60, as each voice has."
)
@click.option("--minutes", multiple=True, type=float, default=(6.0,), help="Of learning, each; default: 6.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice([*VARIANTS, MEAN]),
    default=(RECIPE, MEAN),
    help="Default: the recipe, and the mean of it and the general weights.",
)
@click.option("--step-ms", type=float, help="Of the machine that the minutes are of.")
@click.option("--int8", is_flag=True, help="Int8 files, too.")
@click.option("--clips", default=12, show_default=True, help="Of each condition.")
@click.option("--threads", default=2, show_default=True)
@click.option(
    "--results",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that cells are kept in, and known from; without it nothing is kept.",
)
@click.option(
    "--weights",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where weights are kept, to be scored again, or for personal-privacy; without it they are not kept.",
)
def main(
    root: Path, name: str, voices: int, speakers: tuple[str, ...], seconds: tuple[float, ...],
    minutes: tuple[float, ...], variants: tuple[str, ...], step_ms: float | None, int8: bool, clips: int,
    threads: int, file: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Say what a network gains that goes on learning one voice, on other recordings of it."""
    training_options.start(threads, 0, "cpu")
    step_ms = step_ms or STEP_MS.get(name, STEP_MS["pvqe-s"])
    plan = Plan(seconds, variants, {m: max(1, round(60_000 * m / step_ms)) for m in sorted(minutes)}, int8)
    with tempfile.TemporaryDirectory() as temporary:
        study = Study.of(name, root, folder or Path(temporary), clips)
        found = [t for t in in_turns(study.talkers) if not speakers or t.speaker in speakers]
        longest = max(seconds, default=0.0)
        chosen = [talker for talker in found if reading_seconds(talker) >= longest - 0.05][:voices]
        if not chosen:
            raise click.ClickException(f"No dev speaker has {longest + LEAST_REST_S:.0f} s of recordings.")
        known = results.read(file) if file else []
        cells = []
        for talker in options.progress(chosen, "voices"):
            for voice in voices_of(study, talker, plan):
                for cell in cells_of(voice, plan, known):
                    cells.append(cell)
                    if file and cell not in known:
                        results.add(file, [cell])
    lengths, recipe = ", ".join(f"{m:g}" for m in plan.steps), fingerprint(study.learner.stage)
    click.echo(f"{name}, {len(chosen)} voices, {lengths} minutes of learning, recipe {recipe}\n")
    click.echo(report(cells))
