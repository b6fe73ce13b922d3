"""Variants of learning one voice, and the weights that they give after so many steps.

Weights are kept in a folder of one's own choice, so that they are scored again without being learnt again.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from personalisation.others import INDEX, PACK
from studies.personal.results import RECIPE
from training.checkpoint import load_checkpoint, model_id, save_checkpoint, take_profiles
from training.network import SAMPLE_RATE_HZ, Network
from training.personal import PersonalScenes, learn_voice
from training.schedule import Stage
from training.simulation.corpus import Bank, Track

MEAN = "mean of both"
AGAINST = "against the most similar voice"
STEP_MS: Mapping[str, float] = {"pvqe-s": 500.0, "pvqe-xs": 320.0, "pvqe-s-far": 580.0}
"""Of the stated machine, ``MACHINE``: what a minute of the results holds, rounded."""
MACHINE = "two cores of an Intel Xeon, by AVX2"
RANK = 8
SPEEDS = (0.92, 1.09)
_LOW_RANK_RATE = 5.0  # a sum of two small matrices moves less at a rate than a matrix does
_PROFILE_RATE = 50.0
_HEAD = ("profile", "temporal_out", "modulation", "decoder1", "decoder2", "decoder3", "decoder4")
_LINEAR, _RECURRENT = ("fuse", "temporal_out", "modulation"), ("gru1", "gru2")


class ShiftedProfile(nn.Module):
    """The matrix that takes a profile, and what is added to the profile first."""

    def __init__(self, taken: nn.Linear):
        super().__init__()
        self.taken = taken
        self.shift = nn.Parameter(torch.zeros(taken.in_features))

    def forward(self, profile: Tensor) -> Tensor:
        return self.taken(profile + self.shift)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The same for all profiles, with the shift in its bias."""
        self.taken.bias.add_(self.taken.weight @ self.shift)
        return self.taken


class LowRankLinear(nn.Module):
    """A linear layer and an addition of rank ``RANK`` to its matrix (Hu et al., arXiv 2106.09685)."""

    def __init__(self, whole: nn.Linear):
        super().__init__()
        self.whole = whole
        self.down = nn.Parameter(torch.randn(RANK, whole.in_features) / whole.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(whole.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        return self.whole(x) + (x @ self.down.T) @ self.up.T

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One matrix."""
        self.whole.weight += self.up @ self.down
        return self.whole


class LowRankGRU(nn.Module):
    """A recurrent layer whose two matrices have additions of rank ``RANK``."""

    def __init__(self, whole: nn.GRU):
        super().__init__()
        self.whole = whole
        for kind in ("ih", "hh"):
            outputs, inputs = getattr(whole, f"weight_{kind}_l0").shape
            self.register_parameter(f"down_{kind}", nn.Parameter(torch.randn(RANK, inputs) / inputs**0.5))
            self.register_parameter(f"up_{kind}", nn.Parameter(torch.zeros(outputs, RANK)))

    def _matrix(self, kind: str) -> Tensor:
        added: Tensor = getattr(self, f"up_{kind}") @ getattr(self, f"down_{kind}")
        return getattr(self.whole, f"weight_{kind}_l0") + added

    def forward(self, x: Tensor, initial: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if initial is None:
            initial = x.new_zeros(1, len(x), self.whole.hidden_size)
        whole: Any = self.whole
        weights = [self._matrix("ih"), self._matrix("hh"), whole.bias_ih_l0, whole.bias_hh_l0]
        # Input, state, weights, with biases, layers, dropout, training, both directions, batch first.
        outputs, last = torch.gru(x, initial, weights, True, 1, 0.0, False, False, True)
        return outputs, last

    @torch.no_grad()
    def merged(self) -> nn.GRU:
        """One matrix each."""
        for kind in ("ih", "hh"):
            getattr(self.whole, f"weight_{kind}_l0").copy_(self._matrix(kind))
        return self.whole


def with_shifted_profile(network: Network) -> Network:
    """A copy whose profile can learn; it begins as the same network."""
    changed: Any = copy.deepcopy(network)
    changed.profile = ShiftedProfile(changed.profile)
    return changed  # type: ignore[no-any-return]


def with_low_rank(network: Network) -> Network:
    """A copy with additions of low rank, which begin as zeros."""
    changed = copy.deepcopy(network)
    for name in _LINEAR:
        setattr(changed, name, LowRankLinear(getattr(changed, name)))
    for name in _RECURRENT:
        setattr(changed, name, LowRankGRU(getattr(changed, name)))
    return changed


def merged(network: Network) -> Network:
    """A copy in which what was added is part of the network's own layers."""
    whole = copy.deepcopy(network)
    for name, module in list(whole.named_children()):
        if isinstance(module, ShiftedProfile | LowRankLinear | LowRankGRU):
            setattr(whole, name, module.merged())
    return whole


@dataclass(frozen=True)
class Variant:
    """What is done otherwise than the recipe does it."""

    about: str
    stage: Callable[[Stage], Stage] = lambda stage: stage
    prepare: Callable[[Network], Network] = lambda network: network
    against: bool = False
    """Whether recordings of the most similar voice are among what it learns to leave out."""
    others: Callable[[Bank], Bank] = lambda bank: bank
    """What becomes of the voices that it learns to leave out."""


def _scenes(**changes: Callable[[Any], Any]) -> Callable[[Stage], Stage]:
    def changed(stage: Stage) -> Stage:
        values = {name: change(getattr(stage.scenes, name)) for name, change in changes.items()}
        return replace(stage, scenes=replace(stage.scenes, **values))

    return changed


def _only(*parts: str) -> Callable[[Stage], Stage]:
    return lambda stage: replace(stage, train_only=parts)


def _low_rank_stage(stage: Stage) -> Stage:
    linear = [f"{name}.{which}" for name in _LINEAR for which in ("down", "up")]
    recurrent = [
        f"{name}.{which}_{kind}" for name in _RECURRENT for which in ("down", "up") for kind in ("ih", "hh")
    ]
    rates = dict.fromkeys((*_LINEAR, *_RECURRENT), _LOW_RANK_RATE)
    return replace(stage, train_only=(*linear, *recurrent), rates=rates)


def _times(**factors: float) -> Callable[[Stage], Stage]:
    return lambda stage: replace(stage, **{n: f * getattr(stage, n) for n, f in factors.items()})


def at_speeds(bank: Bank) -> Bank:
    """A bank with each voice a little slower and faster, too, behind those as they are: other voices, to a network."""
    samples, tracks, offset = bank.samples.numpy(), list(bank.tracks), len(bank.samples)
    pieces = [samples]
    for factor in SPEEDS:
        for track in bank.tracks:
            voice = samples[track.offset : track.offset + track.length] / np.float32(32768)
            faster = soxr.resample(voice, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ)
            pcm = (np.clip(faster, -1, 1) * 32767).astype(np.int16)
            boundaries = tuple(round(at / factor) for at in track.boundaries)
            tracks.append(Track(f"{track.name}@{factor}", offset, len(pcm), track.level, boundaries))
            pieces.append(pcm)
            offset += len(pcm)
    return Bank(torch.from_numpy(np.concatenate(pieces)), tracks)


VARIANTS = {
    RECIPE: Variant("as training/personal.toml has it"),
    AGAINST: Variant("recordings of the most similar voice among the others", against=True),
    "all weights": Variant("the encoder learns, too", _only()),
    "decoder and modulation": Variant("and the profile's matrix; recurrent layers stay", _only(*_HEAD)),
    "low rank": Variant(f"additions of rank {RANK} to fusion, recurrent layers and modulation", _low_rank_stage,
                        with_low_rank),
    "profile alone": Variant(
        "all weights stay, the profile vector learns",
        lambda stage: replace(stage, train_only=("profile.shift",), rates={"profile": _PROFILE_RATE}),
        with_shifted_profile,
    ),
    "absent weight halved": Variant("others alone count less", _times(absent_weight=0.5)),
    "absent weight doubled": Variant("others alone count more", _times(absent_weight=2)),
    "noise doubled": Variant("twice as many clips in noise alone", _scenes(single_mixtures=lambda n: 2 * n)),
    "any others": Variant("others whether similar or not", _scenes(close_share=lambda share: 0.0)),
    "others at three speeds": Variant("each of the others a little slower and faster, too", others=at_speeds),
    "twice the rate": Variant("twice the learning rate", _times(learning_rate=2)),
}  # fmt: skip
"""By name. ``MEAN`` is no variant of learning: half of what the recipe changed."""


def fingerprint(stage: Stage) -> str:
    """Of a recipe: its settings but the number of steps, which is the time's, and the pack of others."""
    settings = repr(replace(stage, steps=0)).encode()
    return hashlib.sha256(settings + (PACK / INDEX).read_bytes()).hexdigest()[:8]


@dataclass(frozen=True)
class Weights:
    """What was learnt, at one of the moments asked for."""

    network: Network
    steps: int
    ms_a_step: float = 0.0
    """Of the processor, all threads together."""
    threads: int = 0


@dataclass(frozen=True)
class Learner:
    """One network and one recipe."""

    network: Network
    stage: Stage
    profile_network: Network
    """By which the others that are similar are found."""
    folder: Path

    def path(self, voice: str, seconds: float, variant: str, steps: int, of: int) -> Path:
        """Where the weights of a cell are kept: after so many steps of a run of ``of``."""
        name = self.network.config.name
        words = [
            name,
            model_id(self.network)[len(name) + 1 :],
            fingerprint(self.stage),
            voice,
            f"{seconds:g}s",
        ]
        return self.folder / f"{'-'.join([*words, variant.replace(' ', '-'), f'{steps}of{of}'])}.pt"

    def kept(self, voice: str, seconds: float, variant: str, steps: Sequence[int]) -> dict[int, Weights]:
        """What a run to the last of ``steps`` learnt before, by steps."""
        found = {}
        for at in steps:
            path = self.path(voice, seconds, variant, at, max(steps))
            if path.exists():
                network, history = load_checkpoint(path)
                found[at] = Weights(network, at, history["ms_a_step"], history["threads"])
        return found

    def learn(
        self, voice: str, seconds: float, variant: str, steps: Sequence[int], profile: Tensor,
        scenes: Callable[[], tuple[PersonalScenes, Tensor]],
    ) -> dict[int, Weights]:  # fmt: skip
        """Weights after each of ``steps``, all of one run, whose learning rate has come down at the last of them.

        ``scenes``: gives what is learnt from, and what the profile network makes of the others in it.
        """
        found = self.kept(voice, seconds, variant, steps)
        if len(found) < len(set(steps)):
            self._run(voice, seconds, variant, steps, profile, *scenes())
            found = self.kept(voice, seconds, variant, steps)
        return found

    def _run(
        self, voice: str, seconds: float, variant: str, steps: Sequence[int], profile: Tensor,
        scenes: PersonalScenes, others: Tensor,
    ) -> None:  # fmt: skip
        chosen = VARIANTS[variant]
        self.folder.mkdir(parents=True, exist_ok=True)
        took: list[float] = []  # of the processor, a step: what else runs there does not count
        last = time.process_time()

        def watch(done: int, averaged: Network) -> bool:
            nonlocal last
            took.append(time.process_time() - last)
            if done in steps:
                whole = merged(averaged)
                take_profiles(whole, self.network)
                # The first ones pay for memory, and for looking for similar voices.
                ms_a_step = round(1000 * float(np.median(took)))
                history = {
                    "voice": voice, "seconds": seconds, "variant": variant, "recipe": fingerprint(self.stage),
                    "steps": done, "ms_a_step": ms_a_step, "threads": torch.get_num_threads(),
                }  # fmt: skip
                save_checkpoint(self.path(voice, seconds, variant, done, max(steps)), whole, history)
            last = time.process_time()
            return True

        stage = replace(chosen.stage(self.stage), steps=max(steps))
        network = chosen.prepare(self.network)
        learn_voice(
            network, profile, scenes, None, stage, embed=self.profile_network.embed, keep_going=watch,
            known=others,
        )  # fmt: skip
