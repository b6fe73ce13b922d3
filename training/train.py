"""Train a network: ``python -m training.train --network pvqe-s --speech DIR --noise DIR --rooms DIR --run DIR``.

A run lives in one folder: ``state.pt`` to resume from (written every 90 seconds and at the end), ``log.jsonl`` with
losses and dev scores, ``best.pt`` with the averaged weights of the last step, whatever their scores. The same command
again goes on where it stopped.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from training import options, parallel
from training.checkpoint import (
    follow,
    keep_profiles,
    load_checkpoint,
    save_checkpoint,
    take_profiles,
    with_far_branch,
)
from training.clock import StepClock
from training.dev import dev_scores
from training.device import to_device
from training.network import CONFIGS, HOP_SAMPLES, SAMPLE_RATE_HZ, Network, NetworkConfig
from training.optimizer import Optimizer
from training.options import Corpora, supports_bfloat16
from training.schedule import Stage, choose_stages, default_stages, load_schedule, value_at
from training.simulation.scenes import NO_PROFILE, SceneBatch, SceneSimulator
from training.spectral import analyse
from training.step import REFERENCE_LEVEL, ProfileNetwork, StepLoss, Supervision

_AVERAGING = 0.998  # of the weights that ship, a step
_LOG_STEPS = 20
_SAVE_SECONDS = 90
_SPEED_KNOWN_AT = 1  # log entry, from 0: the first one's steps pay for memory and compilation
_USED_SHARE = 0.97  # of the minutes, where the stage is to fit in them
_GRADIENT_NORM = 1.0


class Trainer:
    """One run: networks, optimizer, position in the schedule, and all that is needed to resume."""

    def __init__(
        self, network: Network, stages: list[Stage], scenes: SceneSimulator, teacher: Tensor | None, seed: int,
        profile_network: ProfileNetwork | None = None,
    ):  # fmt: skip

        if teacher is None and any(stage.needs_teacher() for stage in stages):
            raise click.UsageError(
                "A stage needs speaker vectors: make them with python -m training.teacher, or skip it."
            )
        for stage in stages:
            check_fits(network, stage)
        self.network, self.stages, self.scenes = network.train(), stages, scenes
        self._entered: Stage | None = None
        self.profile_network = profile_network
        self._loss: nn.Module = parallel.SharedLoss(network, profile_network)  # made anew for each stage
        self.averaged = copy.deepcopy(network).eval()
        self.teacher = teacher
        self.device = next(network.parameters()).device
        self.bfloat16 = supports_bfloat16(self.device)
        if self.device.type == "cuda":
            _lay_out(network, torch.channels_last)  # a third faster (docs/history.md)
        self.optimizer = Optimizer(network, self.bfloat16)
        self.random = np.random.default_rng(seed)
        self.stage_index, self.stage_step, self.steps, self.seconds = 0, 0, 0, 0.0
        self.seconds_a_step: float | None = None  # of the last log entry
        # What the network makes of each voice, NaN where it has not heard it yet; and the same for NumPy, on a GPU
        # as old as the last log entry.
        shape = len(scenes.speech.tracks), network.config.taken_size
        self.embeddings = torch.full(shape, torch.nan, device=self.device)
        self._known_embeddings = self.embeddings.cpu().numpy()
        self.clock = StepClock(self.device)

    def compile(self) -> None:
        """Fuse the operations of encoder and decoder: on a GPU twice as fast, after a minute."""
        _lay_out(self.network, torch.contiguous_format)
        network: Any = self.network
        network.encode = torch.compile(network.encode, dynamic=False)
        network.decode = torch.compile(network.decode, dynamic=False)

    @property
    def finished(self) -> bool:
        """Whether the schedule is at its end."""
        return self.stage_index >= len(self.stages)

    def fit(self, seconds: float, seconds_a_step: float | None = None) -> None:
        """Make the stage end in ``seconds``, at ``seconds_a_step`` or else the speed of the last log entry."""
        stage = self.stages[self.stage_index]
        seconds_a_step = seconds_a_step or self.seconds_a_step
        if seconds_a_step is None:
            raise ValueError("There is no log entry yet: say how long a step takes.")
        left = int(seconds / seconds_a_step)
        self.stages[self.stage_index] = replace(stage, steps=self.stage_step + max(left, 1))

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs."""
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "voice_space": self.averaged.voice_space,
            "optimizer": self.optimizer.state_dict(),
            "position": (self.stage_index, self.stage_step, self.steps, self.seconds),
            "random": (self.random.bit_generator.state, self.scenes.random.bit_generator.state),
            "embeddings": self.embeddings,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the run that gave ``state`` was."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.averaged.voice_space = state["voice_space"]  # gone once profiles have learnt
        if self.averaged.profile_weights not in (None, self.averaged.profile_fingerprint()):
            self._rename_profiles()
        self.optimizer.load_state_dict(state["optimizer"])
        self.stage_index, self.stage_step, self.steps, self.seconds = state["position"]
        for generator, saved in zip((self.random, self.scenes.random), state["random"], strict=True):
            if parallel.rank():  # what was saved is the first process's: this one draws scenes of its own
                saved = np.random.default_rng([parallel.rank(), self.steps]).bit_generator.state
            generator.bit_generator.state = saved
        self.embeddings.copy_(state["embeddings"])
        self._known_embeddings = self.embeddings.cpu().numpy()

    def run(self) -> Iterator[dict[str, Any]]:
        """Train to the end of the schedule, one log entry every _LOG_STEPS steps."""
        entries: list[dict[str, Tensor]] = []
        self.clock.restart()
        while not self.finished:
            stage = self.stages[self.stage_index]
            entries.append(self.step(stage))
            if len(entries) == _LOG_STEPS:
                yield self.summarise(stage, entries)
                entries = []
                self.clock.restart()
            if self.stage_step >= stage.steps:
                self.stage_index, self.stage_step = self.stage_index + 1, 0

    def _enter(self, stage: Stage) -> None:
        """Let the stage's parts of the network learn and keep the others as they are."""
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(stage.teaches(name))
        for name, module in self.network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(stage.teaches(name) and stage.norm_statistics)
        if self.network.profiles_learn():
            self.averaged.voice_space = None  # it was that of other profiles
            if self.averaged.makes_profiles:
                self._rename_profiles()
        self._loss = parallel.shared(self.network, self.profile_network)
        self._entered = stage

    def _rename_profiles(self) -> None:
        """They are others than those that the run began with, and so have an id of their own."""
        self.averaged.profiles_of, self.averaged.profile_weights = None, None

    def step(self, stage: Stage) -> dict[str, Tensor]:
        """One optimizer step of a stage: its losses. It doesn't wait for a GPU; reading what it returns does."""
        if stage is not self._entered:
            self._enter(stage)
        batch = self._draw(stage)
        self.clock.lap("data")
        self.optimizer.zero_grad()
        loss = self._add_gradients(stage, batch)
        norm = self.optimizer.clip(_GRADIENT_NORM)
        self.optimizer.step(stage.learning_rate_at(self.stage_step), stage.rates)
        self._average()
        self._remember(batch, loss.embeddings)
        self.clock.lap("optimizer")
        self.stage_step += 1
        self.steps += 1
        self.seconds += batch.seconds * parallel.processes()
        return loss.parts | {"loss": loss.total.detach(), "gradient": norm}

    def _draw(self, stage: Stage) -> SceneBatch:
        return self.scenes.draw(stage.scenes, self._known_embeddings)

    def _add_gradients(self, stage: Stage, batch: SceneBatch) -> StepLoss:
        weights = stage.loss_weights(self.stage_step / stage.steps)
        loss: StepLoss = self._loss(batch, weights, self.bfloat16, self._supervision(stage, batch))
        self.clock.lap("forward")
        loss.total.backward()
        self.clock.lap("backward")
        return loss

    def _supervision(self, stage: Stage, batch: SceneBatch) -> Supervision:
        supervision = Supervision(
            voice_embeddings=self.embeddings,
            distilled_network=self.profile_network if isinstance(self.profile_network, Network) else None,
        )
        if self.teacher is None or not stage.needs_teacher():
            return supervision
        share = value_at(stage.teacher_forced_share, self.stage_step / stage.steps)
        forced = self.random.random(len(batch.output_profile)) < share
        forced &= batch.output_profile != NO_PROFILE
        return replace(
            supervision,
            teacher_vectors=self.teacher[to_device(batch.enrollment_voices, self.device)],
            teacher_forced=to_device(forced, self.device),
        )

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(_AVERAGING, (1 + self.steps) / (10 + self.steps))
        current = self.network.state_dict()
        for name, tensor in self.averaged.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(current[name], 1 - keep)

    def _remember(self, batch: SceneBatch, embeddings: Tensor) -> None:
        voices = to_device(batch.enrollment_voices, self.device)
        before = self.embeddings[voices]
        embeddings = embeddings.to(before.dtype)
        self.embeddings[voices] = torch.where(before.isnan(), embeddings, (before + embeddings) / 2)

    @torch.no_grad()
    def embed_voices(
        self, seconds: float = 3.0, at_once: int = 16, embed: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        """A first embedding of every voice that has none, so that close ones can be told from the start.

        ``embed``: (clip, 2, frame, bin) -> (clip, embedding), where it is not that of what makes the profiles here.
        """
        embed = embed or (self.profile_network or self.averaged).embed
        voices = np.flatnonzero(self.embeddings.isnan().any(1).cpu())
        length = round(seconds * SAMPLE_RATE_HZ / HOP_SAMPLES) * HOP_SAMPLES
        for some in np.array_split(voices, max(1, len(voices) // at_once)):
            clips = REFERENCE_LEVEL * self.scenes.speech.cut(some, np.zeros(len(some), int), length)
            self.embeddings[to_device(some, self.device)] = embed(analyse(clips)).float()
        self._known_embeddings = self.embeddings.cpu().numpy()

    def summarise(self, stage: Stage, entries: list[dict[str, Tensor]]) -> dict[str, Any]:
        """A log entry: means of the losses of some steps, and where their time went."""
        means = {key: round(float(torch.stack([e[key] for e in entries]).mean()), 4) for key in entries[0]}
        self._known_embeddings = self.embeddings.cpu().numpy()
        spent = self.clock.spent()
        seconds = sum(spent.values())
        self.seconds_a_step = seconds / len(entries)
        return {
            "stage": stage.name,
            "step": self.steps,
            "hours": round(self.seconds / 3600, 3),
            "ms_a_step": round(1000 * seconds / len(entries)),
            "share": {key: round(value / seconds, 3) for key, value in spent.items()},
            **means,
        }


def _lay_out(network: Any, memory_format: torch.memory_format) -> None:
    network.to(memory_format=memory_format)


def check_fits(network: Network, stage: Stage) -> None:
    """Raise UsageError when the stage is of another kind of network."""
    names = {name for name, _ in (*network.named_modules(), *network.named_parameters())}
    unknown = set(stage.train_only) - names
    if unknown:
        raise click.UsageError(
            f"Stage {stage.name} trains {', '.join(sorted(unknown))}, which {network.config.name} does not have."
        )
    unknown = stage.rates.keys() - {name for name, _ in network.named_children()}
    if unknown:
        raise click.UsageError(
            f"Stage {stage.name} has a rate for {', '.join(sorted(unknown))}: parts of {network.config.name} are "
            f"{', '.join(name for name, _ in network.named_children())}."
        )
    if stage.scenes.echo is not None and network.config.far_channels is None:
        raise click.UsageError(
            f"Stage {stage.name} has echo in it, {network.config.name} no far end: choose --network with one."
        )


@dataclass
class Run:
    """A trainer with a folder and a time limit."""

    trainer: Trainer
    folder: Path
    minutes: float
    dev_data: Path | None
    dev_minutes: float
    fit_minutes: float | None = None  # in which the stage ends
    save_seconds: float = _SAVE_SECONDS
    saved: Callable[[], None] | None = None  # called after each save

    def resume(self) -> bool:
        """Go on where the folder's state is, if there is one -> whether there was."""
        state = self.folder / "state.pt"
        if not state.exists():
            return False
        self.trainer.load_state_dict(torch.load(state, map_location=self.trainer.device, weights_only=False))
        return True

    def go(self) -> None:
        """Train until the schedule or the time is over; leaves a state that resumes and weights that ship."""
        self.folder.mkdir(parents=True, exist_ok=True)
        started = saved = scored = logged = time.monotonic()
        for number, entry in enumerate(self.trainer.run()):
            now = time.monotonic()
            self._log(entry)
            # The next entry takes about as long as this one; the first one pays for memory and compilation.
            next_takes, logged = (now - logged) * (number > 0), now
            over = parallel.agreed(now - started + next_takes > self.minutes * 60)
            if self.fit_minutes is not None and number == _SPEED_KNOWN_AT and not self.trainer.finished:
                self.trainer.fit(_USED_SHARE * self.fit_minutes * 60 - (now - started))
            if now - saved > self.save_seconds or over:
                self.save()
                saved = now
            if now - scored > self.dev_minutes * 60:
                self.score()
                scored = time.monotonic()
            if over:
                break
        self.save()
        self.score()

    def save(self) -> None:
        """Write ``state.pt`` and ``best.pt``, each whole or not at all."""
        if parallel.rank():
            return
        partial = self.folder / "state.partial"
        torch.save(self.trainer.state_dict(), partial)
        partial.replace(self.folder / "state.pt")
        history = {"steps": self.trainer.steps, "hours_presented": round(self.trainer.seconds / 3600, 2)}
        save_checkpoint(self.folder / "best.pt", self.trainer.averaged, history)
        if self.saved is not None:
            self.saved()

    def score(self) -> None:
        """Dev scores of the averaged weights, into the log."""
        if self.dev_data is not None and parallel.rank() == 0:
            scores = dev_scores(self.trainer.averaged, self.dev_data, self.trainer.profile_network)
            self._log(
                {"step": self.trainer.steps, "hours": round(self.trainer.seconds / 3600, 3), "dev": scores}
            )

    def _log(self, entry: dict[str, Any]) -> None:
        if parallel.rank():
            return
        line = json.dumps(entry)
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(line + "\n")


def starting_point(
    config: NetworkConfig,
    init: Path | None,
    profile_checkpoint: Path | None,
    profile_before: Path | None = None,
) -> tuple[Network, Network | None]:
    """A new network, that of a checkpoint, or that of a checkpoint with a far branch added; and the network that makes
    the profiles, where it is another one: a lighter network takes those of the larger one that it stands in for.
    Profiles that a network makes itself are still those of the checkpoint's id, until they learn.
    ``profile_before``: that other one as it was when the checkpoint was trained, for a network with a far branch to
    follow. Raises UsageError when they don't fit each other.
    """
    profile_network = load_checkpoint(profile_checkpoint)[0] if profile_checkpoint else None
    if init is None:
        taken_size = profile_network.config.embedding_size if profile_network else None
        network = Network(replace(config, profile_size=taken_size))
    else:
        network, _ = load_checkpoint(init)
        if network.makes_profiles != (profile_network is None):
            whose = "itself" if network.makes_profiles else network.profiles_of
            raise click.UsageError(
                f"{init} takes the profiles of {whose}: choose --profile-network accordingly."
            )
        keep_profiles(network, network)
        if network.config != replace(config, profile_size=network.config.profile_size):
            try:
                network, profile_network = with_far_branch(network, config), profile_network or network
            except ValueError as error:
                raise click.UsageError(
                    f"{init} can't begin this run: {error} Choose --network accordingly."
                ) from error
    if profile_before is not None:
        if profile_network is None or network.config.far_channels is None:
            raise click.UsageError(
                "--profile-network-before is for a network with a far end that has a --profile-network."
            )
        follow(network, load_checkpoint(profile_before)[0], profile_network)
    if profile_network is not None:
        # Where the larger network has gone on learning since, this one is taught its new profiles.
        take_profiles(network, profile_network)
    return network, profile_network


@click.command()
@click.option("--network", "name", type=click.Choice(sorted(CONFIGS)), default="pvqe-s", show_default=True)
@options.corpora
@click.option("--run", "folder", type=click.Path(path_type=Path), required=True, help="Folder of this run.")
@click.option("--init", type=click.Path(path_type=Path), help="Checkpoint to start from (a new run only).")
@click.option(
    "--profile-network",
    "profile_checkpoint",
    type=click.Path(path_type=Path),
    help="Checkpoint of the network that makes the profiles for this one.",
)
@click.option(
    "--profile-network-before",
    "profile_before",
    type=click.Path(path_type=Path),
    help="It as it was when --init, which has a far end, was trained: what it has learnt since is added.",
)
@click.option(
    "--schedule",
    type=click.Path(path_type=Path),
    help="Stages, as TOML; by default those of training/recipes.",
)
@click.option("--stages", "names", default="", help="Only these, comma-separated.")
@click.option(
    "--teacher", "teacher_path", type=click.Path(path_type=Path), help="From python -m training.teacher."
)
@click.option("--minutes", default=60.0, show_default=True, help="Stop, resumably, after this long.")
@click.option("--fit", is_flag=True, help="As many steps of the one stage as there is time for.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Fuse operations: worth its minute on a GPU.")
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--dev-data", type=click.Path(path_type=Path), help="Score on this dev data now and then.")
@click.option("--dev-minutes", default=20.0, show_default=True)
def main(
    name: str, corpora: Corpora, folder: Path, init: Path | None, profile_checkpoint: Path | None,
    profile_before: Path | None, schedule: Path | None, names: str, teacher_path: Path | None, minutes: float,
    fit: bool, device: str, compiled: bool, threads: int, seed: int, dev_data: Path | None, dev_minutes: float,
) -> None:  # fmt: skip
    """Train a network, or go on training it."""
    where = options.start(threads, seed, device)
    scenes = corpora.scenes(where, seed)
    network, profile_network = starting_point(CONFIGS[name], init, profile_checkpoint, profile_before)
    try:
        stages = default_stages(network.config) if schedule is None else load_schedule(schedule)
        chosen = choose_stages(stages, names)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"The schedule can't be used: {error}") from error
    if fit and len(chosen) != 1:
        raise click.UsageError("--fit is for one stage: choose it with --stages.")
    teacher = None if teacher_path is None else torch.from_numpy(np.load(teacher_path)).to(where)
    profile_network = None if profile_network is None else profile_network.to(where)
    trainer = Trainer(network.to(where), chosen, scenes, teacher, seed + parallel.rank(), profile_network)
    if compiled:
        trainer.compile()
    run = Run(trainer, folder, minutes, dev_data, dev_minutes, minutes if fit else None)
    if not run.resume() and any(stage.scenes.close_share for stage in chosen):
        trainer.embed_voices()
    run.go()


if __name__ == "__main__":
    main()
