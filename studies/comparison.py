"""What should a voice be described by? The paper's first comparison, in equal short runs of the light network here:

    python -m studies comparison --speech DIR --noise DIR --rooms DIR --run DIR --data DIR --out docs

whether the network must be taught at first what tells voices apart: ``--question teaching``; and what longer clips, a
decoder that looks further back and learning rates of their own are worth: ``--question levers``. Each run sees the same
scenes in the same order, but for longer clips. They go on where they stopped, so the command can be given again. The
answer goes to the page of `studies.questions`. Resemblyzer is needed, see ``training/teacher.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import click
import numpy as np
import torch
from torch import Tensor

import studies.options
from evaluation.metrics.statistics import summarise
from evaluation.report.markdown import table
from evaluation.scoring import score
from evaluation.sets import SETS_FOLDER
from evaluation.sets.render import Clip, render
from evaluation.sets.scene import ProfileKind, read_scenes
from studies.descriptions import DVector, FilterbankStatistics, NoProfile
from studies.questions.measuring import Measured, cell
from studies.questions.page import Answer
from studies.questions.plot import Panel, draw
from training import options
from training.dev import enhance
from training.network import CONFIGS, HOP_SAMPLES, Network
from training.options import Corpora
from training.schedule import Stage, load_schedule
from training.simulation.scenes import SceneSimulator
from training.spectral import analyse
from training.step import ProfileNetwork
from training.teacher import Rotation, d_vectors
from training.train import Run, Trainer

NETWORK = CONFIGS["pvqe-xs"]
SCHEDULE = Path(__file__).with_name("comparison.toml")
SETS: dict[str, tuple[ProfileKind, ...]] = {
    "two-talkers": ("right", "wrong"),
    "noise": ("right",),
    "interferer-only": ("right",),
    "clean": ("right",),
}
_VECTORS_FILE = "d-vectors.npy"
_UNTAUGHT = ((0.0, 0.0),)


@dataclass(frozen=True)
class Variant:
    """A network, and what describes voices to it."""

    label: str
    describes: Literal["itself", "d-vector", "filterbank", "no-profile"]
    taught: bool = False
    """Given the d-vector at first, and taught to make its own embedding like it."""
    modulated_skips: bool = True
    decoder_frames: int = NETWORK.decoder_frames
    rates: Mapping[str, float] = field(default_factory=dict)
    stretch: int = 1
    """Clips so many times as long, in so many times fewer steps."""

    def stage(self, stage: Stage) -> Stage:
        """A stage as this variant is trained in it."""
        if not self.taught:
            stage = replace(stage, teacher_forced_share=_UNTAUGHT, teacher_weight=_UNTAUGHT)
        scenes = replace(stage.scenes, clip_s=self.stretch * stage.scenes.clip_s)
        return replace(stage, steps=stage.steps // self.stretch, rates=self.rates, scenes=scenes)


VARIANTS = {
    "internal": Variant("internal embedding, taught by a d-vector at first", "itself", taught=True),
    "untaught": Variant("internal embedding from the start", "itself"),
    "d-vector": Variant("separate encoder: d-vector", "d-vector"),
    "filterbank": Variant("mean and deviation of mel bands", "filterbank"),
    "no-profile": Variant("nothing", "no-profile"),
    "concatenation": Variant(
        "d-vector, by concatenation alone as in the paper", "d-vector", modulated_skips=False
    ),
    "longer": Variant("the same, clips twice as long, half the steps", "itself", taught=True, stretch=2),
    "context": Variant("the same, decoder with one frame more", "itself", taught=True, decoder_frames=3),
    "slower": Variant(
        "the same, recurrent layers at half the learning rate",
        "itself",
        taught=True,
        rates=dict.fromkeys(("gru1", "gru2"), 0.5),
    ),
}


@dataclass(frozen=True)
class Question:
    """Which variants answer it, and what there is to know about their runs."""

    title: str
    variants: tuple[str, ...]
    note: str
    header: str = "a voice is described by"


QUESTIONS = {
    "describing": Question(
        "What should a voice be described by?",
        ("internal", "d-vector", "filterbank", "no-profile", "concatenation"),
        "The internal embedding costs its runs a pass of the enrollments through the network in every step, and the "
        "device nothing.",
    ),
    "teaching": Question(
        "Must the network be taught at first what tells voices apart?",
        ("internal", "untaught"),
        "The taught one is given a d-vector in place of its embedding throughout the first stage, and less and less "
        "often until four fifths of the second; all along, its embedding is drawn to it.",
    ),
    "levers": Question(
        "Are longer clips, more context or other learning rates worth having?",
        ("internal", "longer", "context", "slower"),
        "Longer clips are other scenes, of as many hours. With one frame more, the decoder's convolutions see three in "
        "place of two, which costs the device more; the last one sees one, as always in this network.",
        "what is trained",
    ),
}


@dataclass(frozen=True)
class Comparison:
    """What all variants share."""

    simulator: SceneSimulator
    folder: Path
    seed: int

    def trainer(self, variant: Variant, stages: Sequence[Stage]) -> Trainer:
        """A new run."""
        torch.manual_seed(self.seed)
        simulator = self.simulator
        device = simulator.speech.samples.device
        scenes = SceneSimulator(
            simulator.speech, simulator.noise, simulator.rooms, np.random.default_rng(self.seed)
        )
        describer = self._describer(variant)
        size = None if describer is None else describer.size
        config = replace(
            NETWORK,
            profile_size=size,
            modulated_skips=variant.modulated_skips,
            decoder_frames=variant.decoder_frames,
        )
        teacher = None
        if variant.taught:
            vectors = self._vectors()
            teacher = torch.from_numpy(Rotation.of(vectors, NETWORK.embedding_size)(vectors)).to(device)
        adapted = [variant.stage(stage) for stage in stages]
        return Trainer(Network(config).to(device), adapted, scenes, teacher, self.seed, describer)

    def _describer(self, variant: Variant) -> DVector | FilterbankStatistics | NoProfile | None:
        match variant.describes:
            case "itself":
                return None
            case "d-vector":
                return DVector(Rotation.of(self._vectors(), NETWORK.embedding_size))
            case "filterbank":
                return FilterbankStatistics(self.simulator.speech)
            case "no-profile":
                return NoProfile(NETWORK.embedding_size)

    def _vectors(self) -> np.ndarray:
        """D-vectors of all training voices; made once."""
        file = self.folder / _VECTORS_FILE
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial.npy")
            np.save(partial, d_vectors(self.simulator.speech))
            partial.replace(file)
        return np.load(file)


class Scored:
    """What the evaluation's sets say of one variant."""

    def __init__(
        self, network: Network, profile_network: ProfileNetwork, clips: Mapping[str, Sequence[Clip]]
    ) -> None:
        self.network, self.profile_network = network, profile_network
        self._profiles: dict[str, Tensor] = {}
        self.by_set = {name: Measured() for name in clips}
        for name, of_set in clips.items():
            for clip in of_set:
                for profile in SETS[name]:
                    self.by_set[name].add("all", profile, self._score(clip, profile))
        sexes = [clip.scene.tags.get("sexes") for clip in clips["two-talkers"]]
        self._same = np.array([pair == "same" for pair in sexes])

    def gains(self, same_sex: bool | None = None) -> np.ndarray:
        """SI-SDR gain on two talkers with the right profile, dB, (clip,)."""
        gains = self.by_set["two-talkers"].values("all", "si_sdr_gain")
        return gains if same_sex is None else gains[self._same == same_sex]

    def row(self) -> list[str]:
        """Its cells of the table, in the order of `HEADER`."""
        two_talkers = self.by_set["two-talkers"]
        return [
            cell(self.gains()),
            cell(self.gains(True)),
            cell(self.gains(False)),
            cell(two_talkers.gap("all")),
            two_talkers.cell("all", "wrong_talker"),
            self.by_set["noise"].cell("all", "si_sdr_gain"),
            self.by_set["interferer-only"].cell("all", "suppression_db"),
            self.by_set["clean"].cell("all", "tsos"),
        ]

    @torch.no_grad()
    def _score(self, clip: Clip, profile: ProfileKind) -> dict[str, float]:
        device = next(self.network.parameters()).device
        mixture = torch.from_numpy(clip.mixture)[None].to(device)
        output = enhance(self.network, mixture, self._profile(clip, profile, device)[None])
        return score(clip, output[0].cpu().numpy(), "signal").metrics

    def _profile(self, clip: Clip, profile: ProfileKind, device: torch.device) -> Tensor:
        enrollment = clip.scene.right if profile == "right" else clip.scene.wrong
        audio = clip.enrollment(profile)
        assert enrollment is not None and audio is not None
        key = repr(enrollment)
        if key not in self._profiles:
            whole = torch.from_numpy(audio[: len(audio) // HOP_SAMPLES * HOP_SAMPLES])[None]
            self._profiles[key] = self.profile_network.embed(analyse(whole.to(device)))[0]
        return self._profiles[key]


HEADER = [
    "two talkers, gain dB", "same sex", "cross sex", "right minus wrong profile, dB",
    "wrong talker, %", "noise, gain dB", "interferer only, BAK SUPPR dB", "clean, TSOS %",
]  # fmt: skip


def answer(name: str, scored: Mapping[str, Scored], steps: int, hours: float, command: str) -> Answer:
    """The table and the plot that answer a question."""
    question = QUESTIONS[name]
    labels = [VARIANTS[name].label for name in scored]
    all_of = list(scored.values())
    gap = [summarise(one.by_set["two-talkers"].gap("all")) for one in all_of]
    noise = [summarise(one.by_set["noise"].values("all", "si_sdr_gain")) for one in all_of]
    panels = [
        Panel(
            "two talkers, SI-SDR dB",
            list(scored),
            {"gain": [summarise(one.gains()) for one in all_of], "right minus wrong profile": gap},
            joined=False,
        ),
        Panel("noise, SI-SDR gain dB", list(scored), {"gain": noise}, joined=False),
    ]
    names = ", ".join(f"{name}: {label}" for name, label in zip(scored, labels, strict=True))
    return Answer(
        name,
        question.title,
        command,
        f"{NETWORK.name}, from scratch each time, **{steps} steps ({hours:.0f} hours presented)**: very short runs, "
        "which say what is learnt soon, not what is best in the end. They see the same scenes in the same order "
        f"(`studies/comparison.toml`); scored on the evaluation's sets. {question.note} In the plot, {names}.",
        table(
            [question.header, *HEADER],
            [[label, *one.row()] for label, one in zip(labels, all_of, strict=True)],
        ),
        draw(panels),
    )


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(VARIANTS)))
@click.option(
    "--question", type=click.Choice(list(QUESTIONS)), default="describing", show_default=True,
    help="Its variants, and its section of the page.",
)  # fmt: skip
@options.corpora
@click.option("--run", "folder", type=click.Path(path_type=Path), required=True, help="Folder of the runs.")
@click.option("--minutes", default=60.0, show_default=True, help="Stop a run, resumably, after this long.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
@studies.options.data
@studies.options.out
def main(
    names: tuple[str, ...], question: str, corpora: Corpora, folder: Path, minutes: float, device: str, threads: int,
    seed: int, root: Path, out: Path,
) -> None:  # fmt: skip
    """Train and score the variants NAMES (default: those of the question)."""
    comparison = Comparison(corpora.scenes(options.start(threads, seed, device), seed), folder, seed)
    stages = load_schedule(SCHEDULE)
    trainers = {}
    for name in names or QUESTIONS[question].variants:
        trainers[name] = trainer = comparison.trainer(VARIANTS[name], stages)
        run = Run(trainer, folder / name, minutes, None, minutes)
        run.resume()
        run.go()
        if trainer.stage_index < len(trainer.stages):
            raise click.ClickException(
                f"{name} stopped at step {trainer.steps}: run the command again to go on."
            )
    clips = {name: [render(s, root) for s in read_scenes(SETS_FOLDER / f"{name}.jsonl")] for name in SETS}
    scored = {
        name: Scored(trainer.averaged, trainer.profile_network or trainer.averaged, clips)
        for name, trainer in trainers.items()
    }
    hours = max(trainer.seconds for trainer in trainers.values()) / 3600
    where = "--speech DIR --noise DIR --rooms DIR --run DIR --data DIR --out docs"
    command = " ".join(["python -m studies comparison", f"--question {question}", *names, where])
    steps = max(trainer.steps for trainer in trainers.values())
    found = answer(question, scored, steps, hours, command)
    found.write(out)
    click.echo(found.section())
