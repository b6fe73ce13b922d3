"""Spend a limited time on a GPU, with no decision left to anybody: ``python -m training.budget --minutes 9
--budget-minutes 27 --speech DIR --noise DIR --rooms DIR --device cuda --out DIR``.

The runs of a plan (``training/recipes/budget.toml``) are made one after the other, each in its share of the time: first
it is measured how large its steps should be here (``training.throughput``), then its stage is fitted to what is left of
its share. The same command again goes on where it stopped, or where it was killed; so a budget can be spent in calls of
some minutes. What comes of it is in ``--out`` after each save: the weights and the log of each network, and
``progress.json``. On another machine, or where ``--work`` is lost, ``--resume`` takes up those results.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from training import options
from training.checkpoint import load_checkpoint, model_id, profiles_id
from training.network import CONFIGS, Network
from training.options import Corpora
from training.schedule import RECIPES, Stage, choose_stages, load_schedule
from training.simulation.scenes import SceneSimulator
from training.teacher import own_vectors
from training.throughput import Setting, Trial, measure, out_of_memory, release_memory
from training.train import Run, Trainer, starting_point

CHECKPOINTS = Path(__file__).with_name("checkpoints")  # of what ships
PROGRESS = "progress.json"
SAVE_SECONDS = 90.0


@dataclass(frozen=True)
class PlannedRun:
    """One network's part of the time."""

    network: str
    stage: Stage
    share: float  # of the budget
    speaker_groups: tuple[int, ...]  # sizes of a step to try


@dataclass(frozen=True)
class Plan:
    """Runs in order."""

    runs: tuple[PlannedRun, ...]
    noise_scale: float  # of the gradient, in speaker groups: see training.throughput
    trial_seconds: float  # for which each size is measured


def load_plan(path: Path) -> Plan:
    """A plan from TOML. Raises ValueError where it can't be one."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    runs = []
    try:
        for entry in content.pop("run"):
            stages = load_schedule(path.parent / entry.pop("stages"))
            (stage,) = choose_stages(stages, entry.pop("stage"))
            sizes = tuple(entry.pop("speaker_groups"))
            runs.append(PlannedRun(stage=stage, speaker_groups=sizes, **entry))
        plan = Plan(tuple(runs), **content)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not math.isclose(sum(run.share for run in runs), 1):
        raise ValueError(f"{path}: the shares of the runs must be 1 together.")
    return plan


@dataclass
class RunProgress:
    """How far a run has come, and how its steps are made."""

    stage: str = ""
    device: str = ""  # that was measured
    trials: list[Trial] = field(default_factory=list)
    seconds_a_step: float = 0.0  # of late; 0: not known
    position: tuple[int, int, int, float] | None = None  # of what is saved: see Trainer
    finished: bool = False

    def best(self, noise_scale: float) -> Trial | None:
        """What was measured to be best, if anything can be used."""
        usable = [trial for trial in self.trials if not trial.failure]
        return max(usable, key=lambda trial: trial.progress(noise_scale), default=None)

    def leave(self, setting: Setting, reason: str) -> None:
        """Use a setting no more."""
        self.trials = [replace(t, failure=reason) if t.setting == setting else t for t in self.trials]
        self.seconds_a_step = 0.0


@dataclass
class Progress:
    """What there is of a budget."""

    spent_s: float = 0.0  # in all calls
    runs: dict[str, RunProgress] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Progress:
        """From a folder; nothing, where there is none."""
        path = folder / PROGRESS
        if not path.exists():
            return cls()
        content = json.loads(path.read_text(encoding="utf-8"))
        runs = {}
        for name, run in content["runs"].items():
            trials = [Trial(**trial | {"setting": Setting(**trial["setting"])}) for trial in run["trials"]]
            runs[name] = RunProgress(**run | {"trials": trials})
        return cls(content["spent_s"], runs)

    def write(self, folder: Path) -> None:
        """Into a folder, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{PROGRESS}.partial"
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / PROGRESS)


def take_up(work: Path, results: Path | None) -> Progress:
    """The progress in ``work``; or that in ``results``, which then goes into ``work``, where more time was spent."""
    progress = Progress.load(work)
    if results is None or (found := Progress.load(results)).spent_s <= progress.spent_s:
        return progress
    for name in found.runs:
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state.pt").unlink(missing_ok=True)
        for source, target in _results(results, folder, name):
            if target.exists():
                shutil.copyfile(target, source)
    found.write(work)
    return found


def _results(out: Path, folder: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """Files of a run, and what they are among the results."""
    yield folder / "best.pt", out / f"{name}.pt"
    yield folder / "log.jsonl", out / f"{name}.jsonl"


@dataclass
class Call:
    """One call: what it has, and how long it may take."""

    plan: Plan
    corpora: Corpora
    checkpoints: Path
    work: Path
    out: Path
    device: torch.device
    seed: int
    call_s: float
    budget_s: float
    save_seconds: float
    started: float  # by time.monotonic
    progress: Progress

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        self._spent_before = self.progress.spent_s
        self._startup_s = 0.0  # from the call's start to its first step, once that is made
        self._measuring_s = 0.0

    # --- time ------------------------------------------------------------------------------------------------------

    def _elapsed(self) -> float:
        return time.monotonic() - self.started

    def _left_of_call(self) -> float:
        return min(self.call_s, self.budget_s - self._spent_before) - self._elapsed()

    def _is_time_to_begin(self) -> bool:
        """What is left of a call must not go before the first step, where another call follows."""
        return self._left_of_call() > (0 if self._is_last() else self._startup_s)

    def _is_last(self) -> bool:
        """Whether the budget ends with this call."""
        return self._spent_before + self.call_s >= self.budget_s

    def _left_of(self, planned: PlannedRun) -> float:
        """Seconds until the share of a run is over, with those of the runs before it."""
        runs = self.plan.runs
        shares = sum(run.share for run in runs[: runs.index(planned) + 1])
        return shares * self.budget_s - self._spent_before - self._elapsed()

    def _to_train(self, planned: PlannedRun) -> float:
        """The same without what later calls need until they train."""
        left, call = self._left_of(planned), self._left_of_call()
        further_calls = math.ceil(max(left - call, 0) / self.call_s)
        return max(left - further_calls * (self._startup_s - self._measuring_s), 1.0)

    # --- what a run begins with ------------------------------------------------------------------------------------

    @cached_property
    def _scenes(self) -> SceneSimulator:
        return self.corpora.scenes(self.device, self.seed)

    def _weights(self, network: str) -> Path:
        """The latest there are of a network."""
        made = self.work / network / "best.pt"
        return made if made.exists() else self.checkpoints / f"{network}.pt"

    def _vectors(self, network: Network) -> Tensor:
        """What the network makes of each voice before it goes on learning."""
        path = self.work / f"vectors-{model_id(network)}.npy"
        voices = len(self._scenes.speech.tracks)
        if not path.exists() or len(np.load(path, mmap_mode="r")) != voices:
            partial = path.with_suffix(".partial.npy")
            np.save(partial, own_vectors(self._scenes.speech, network.to(self.device)))
            partial.replace(path)
        return torch.from_numpy(np.load(path)).to(self.device)

    def _trainer(self, planned: PlannedRun, setting: Setting) -> Trainer:
        name = planned.network
        shipped = self.checkpoints / f"{name}.pt"
        old, _ = load_checkpoint(shipped)
        begun = self.work / name / "best.pt"
        profiles, before = None, None
        if not old.makes_profiles:
            maker = profiles_id(old).rpartition("-")[0]
            profiles = self._weights(maker)
            if old.config.far_channels is not None and not begun.exists():
                before = self.checkpoints / f"{maker}.pt"
        init = begun if begun.exists() else shipped
        network, profile_network = starting_point(CONFIGS[name], init, profiles, before)
        teacher = self._vectors(old) if planned.stage.needs_teacher() else None
        profile_network = None if profile_network is None else profile_network.to(self.device)
        stages = [setting.stage(planned.stage)]
        trainer = Trainer(network.to(self.device), stages, self._scenes, teacher, self.seed, profile_network)
        if setting.compiled:
            trainer.compile()
        return trainer

    # --- the call --------------------------------------------------------------------------------------------------

    def go(self) -> bool:
        """Make what there is time for -> whether that was the last call: all is made, or the budget spent."""
        for planned in self.plan.runs:
            run = self.progress.runs.setdefault(planned.network, RunProgress(planned.stage.name))
            if not run.finished and not (self._is_time_to_begin() and self._advance(planned, run)):
                break
        self._deliver()
        runs = self.progress.runs
        made = len(runs) == len(self.plan.runs) and all(run.finished for run in runs.values())
        # A run stops before the steps for which there is no time: what is left of the budget is no call's worth.
        return made or self._is_last()

    def _advance(self, planned: PlannedRun, run: RunProgress) -> bool:
        """Go on with a run until it or the time is over -> whether it is finished."""
        while True:
            trainer, setting = self._prepare(planned, run)
            try:
                self._train(planned, run, trainer)
                return run.finished
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                run.leave(setting, "memory ran out in the run")
                click.echo(f"{planned.network}: memory ran out with {setting}.", err=True)
            del trainer
            release_memory()

    def _prepare(self, planned: PlannedRun, run: RunProgress) -> tuple[Trainer, Setting]:
        """A trainer with the setting that is best on this device."""
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        best = run.best(self.plan.noise_scale)
        if best is not None and run.device == device:
            run.seconds_a_step = run.seconds_a_step or best.seconds_a_step
            return self._trainer(planned, best.setting), best.setting
        if run.device != device:
            run.device, run.trials = device, []

        def report(trial: Trial) -> None:
            click.echo(f"{planned.network}: {trial}", err=True)
            run.trials.append(trial)

        sizes = [
            size for size in planned.speaker_groups if Setting(size) not in {t.setting for t in run.trials}
        ]
        begun = self._elapsed()
        trainer, best = measure(
            lambda setting: self._trainer(planned, setting),
            sizes, self.plan.noise_scale, self.plan.trial_seconds, report,
        )  # fmt: skip
        run.seconds_a_step = best.seconds_a_step
        if not self._startup_s:
            self._measuring_s = self._elapsed() - begun
        self._deliver()
        return trainer, best.setting

    def _train(self, planned: PlannedRun, run: RunProgress, trainer: Trainer) -> None:
        training = Run(
            trainer, self.work / planned.network, 0, None, math.inf,
            save_seconds=self.save_seconds, saved=lambda: self._saved(trainer, run),
        )  # fmt: skip
        if not training.resume():
            if run.position is not None:  # the weights alone have come from elsewhere
                trainer.stage_index, trainer.stage_step, trainer.steps, trainer.seconds = run.position
            if planned.stage.scenes.close_share:
                trainer.embed_voices()
        self._startup_s = self._startup_s or self._elapsed()
        training.minutes = self._left_of_call() / 60
        training.fit_minutes = self._to_train(planned) / 60
        if not trainer.finished:
            trainer.fit(self._to_train(planned), run.seconds_a_step)
        training.go()

    def _saved(self, trainer: Trainer, run: RunProgress) -> None:
        run.position = trainer.stage_index, trainer.stage_step, trainer.steps, trainer.seconds
        run.finished = trainer.finished
        run.seconds_a_step = trainer.seconds_a_step or run.seconds_a_step
        self._deliver()

    def _deliver(self) -> None:
        """Bring what there is to the results."""
        self.progress.spent_s = self._spent_before + self._elapsed()
        self.progress.write(self.work)
        self.out.mkdir(parents=True, exist_ok=True)
        for name in self.progress.runs:
            for source, target in _results(self.out, self.work / name, name):
                if source.exists():
                    partial = target.with_suffix(".partial")
                    shutil.copyfile(source, partial)
                    partial.replace(target)
        self.progress.write(self.out)


_PATH = click.Path(path_type=Path)


@click.command()
@options.corpora
@click.option("--minutes", type=click.FloatRange(0, min_open=True), required=True, help="Of this call.")
@click.option(
    "--budget-minutes", type=click.FloatRange(0, min_open=True), help="Of all calls.  [default: of this one]"
)
@click.option(
    "--out", type=_PATH, required=True, help="Folder for weights, logs and progress, after each save."
)
@click.option(
    "--work",
    type=_PATH,
    default=Path(".cache/budget"),
    show_default=True,
    help="Folder of states to go on from.",
)
@click.option("--resume", type=_PATH, help="Results of earlier calls, where --work has none or older ones.")
@click.option(
    "--plan", "plan_path", type=_PATH, default=RECIPES / "budget.toml", help="TOML; default: budget.toml."
)
@click.option(
    "--checkpoints", type=_PATH, default=CHECKPOINTS, help="Weights to go on from; default: those that ship."
)
@click.option("--save-seconds", default=SAVE_SECONDS, show_default=True, help="Between saves.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    corpora: Corpora, minutes: float, budget_minutes: float | None, out: Path, work: Path, resume: Path | None,
    plan_path: Path, checkpoints: Path, save_seconds: float, device: str, threads: int, seed: int,
) -> None:  # fmt: skip
    """Make the runs of a plan in a limited time, in one call or several."""
    started = time.monotonic()
    try:
        plan = load_plan(plan_path)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"The plan can't be used: {error}") from error
    where = options.start(threads, seed, device)
    if where.type == "cuda":  # what one call has compiled is there in the next
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((work / "compiled").resolve()))
    progress = take_up(work, resume)
    budget_s = 60 * (budget_minutes or minutes)
    call = Call(
        plan, corpora, checkpoints, work, out, where, seed, 60 * minutes, budget_s, save_seconds, started,
        progress,
    )  # fmt: skip
    try:
        over = call.go()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{call.progress.spent_s:.0f} s of {budget_s:.0f} are spent.")
    for name, run in call.progress.runs.items():
        if run.position is not None:
            _, _, steps, seconds = run.position
            state = "finished" if run.finished else "not finished"
            click.echo(f"{name}: {steps} steps, {seconds / 3600:.1f} hours presented, {state}.")
    click.echo("That was the last call." if over else "The same command again goes on.")


if __name__ == "__main__":
    main()
