"""What a network makes of dev recordings, taken out after several layers, and how well that tells speakers apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.metrics.statistics import BOOTSTRAP_SEED, Summary
from evaluation.sets.corpus import Talker
from studies.embedding import CONDITION_S, SECOND_PIECE_AT_S, Embedder, ErrorRate, Piece, Place, Trials
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ, Network
from training.spectral import analyse

TAPS = {
    "latent_norm": "encoder, before the profile comes in",
    "fuse_norm": "after the fusion, before the first GRU",
    "gru1": "after the first GRU",
    "gru2": "after the second GRU",
    "embedding_norm": "after the last LayerNorm (what ships)",
}
"""Modules of the network whose output is taken, per frame."""
SHIPPED = "embedding_norm"
BOOTSTRAP_DRAWS = 500
AS_RECORDED: Place = (None, None)
_FRAMES_PER_SECOND = SAMPLE_RATE_HZ // HOP_SAMPLES


@torch.no_grad()
def tapped(network: Network, samples: np.ndarray) -> dict[str, Tensor]:
    """What the modules of `TAPS` give, (frame, size), as a recording (sample,) is enrolled."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, Tensor]) -> None:
        outputs[name] = (output if isinstance(output, Tensor) else output[0])[0]

    hooks = [network.get_submodule(name).register_forward_hook(partial(keep, name)) for name in TAPS]
    try:
        network.embed(analyse(torch.from_numpy(samples[: len(samples) // HOP_SAMPLES * HOP_SAMPLES])[None]))
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def _first(samples: np.ndarray) -> np.ndarray | None:
    """The first CONDITION_S of a recording, None if it has less."""
    length = CONDITION_S * SAMPLE_RATE_HZ
    return samples[:length] if len(samples) >= length else None


def pooled(network: Network, samples: np.ndarray, lengths_s: Sequence[int]) -> dict[int, np.ndarray]:
    """An `studies.embedding.Embed`: mean and deviation of every tap, one after the other."""
    start = _first(samples)
    if start is None:
        return {}
    parts = [part for x in tapped(network, start).values() for part in (x.mean(0), x.std(0))]
    return {CONDITION_S: torch.cat(parts).numpy().astype(np.float64)}


def second_by_second(
    network: Network, samples: np.ndarray, lengths_s: Sequence[int]
) -> dict[int, np.ndarray]:
    """An `studies.embedding.Embed`: the embeddings of each second, one after the other."""
    start = _first(samples)
    if start is None:
        return {}
    frames = tapped(network, start)[SHIPPED][: CONDITION_S * _FRAMES_PER_SECOND]
    means = frames.unflatten(0, (CONDITION_S, _FRAMES_PER_SECOND)).mean(1)
    return {CONDITION_S: means.flatten().numpy().astype(np.float64)}


@dataclass(frozen=True)
class Parts:
    """Pieces of recordings that are used in mixtures, and of those that are for enrollment."""

    mixing: list[Piece]
    enrollment: list[Piece]

    @classmethod
    def embed(cls, embedder: Embedder, mixing: Place = AS_RECORDED, enrollment: Place = AS_RECORDED) -> Parts:
        """Two pieces of CONDITION_S from either part of each speaker's recordings, from a place each."""
        parts = []
        for part, (device, room) in (("mixing", mixing), ("enrollment", enrollment)):
            drawn = [embedder.enrollments(part, CONDITION_S, at) for at in (0, SECOND_PIECE_AT_S)]
            placed = [replace(piece, device=device, room=room) for piece in drawn[0] + drawn[1]]
            parts.append(embedder.pieces(placed, [CONDITION_S], part))
        return cls(*parts)

    @property
    def vectors(self) -> np.ndarray:
        """Those of all pieces, (piece, size)."""
        return np.stack([piece.embeddings[CONDITION_S] for piece in self.pieces])

    @property
    def pieces(self) -> list[Piece]:
        """First those of mixtures, then those of enrollments."""
        return self.mixing + self.enrollment

    def with_vectors(self, vectors: np.ndarray) -> Parts:
        """The same pieces with other vectors (piece, size)."""
        changed = [
            replace(piece, embeddings={CONDITION_S: vector})
            for piece, vector in zip(self.pieces, vectors, strict=True)
        ]
        return Parts(changed[: len(self.mixing)], changed[len(self.mixing) :])

    def error_rate(self, alike: Callable[[Talker, Talker], bool]) -> ErrorRate:
        """EER by cosine."""
        return Trials.of(self.mixing, self.enrollment, CONDITION_S).error_rate(alike)


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Every dimension with a mean of zero and a deviation of one, (piece, size)."""
    return (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)


def separability(vectors: np.ndarray, talkers: Sequence[Talker]) -> Summary:
    """Share of the variance of vectors (piece, size) that is between the speakers of a corpus, with its interval.

    Every dimension counts alike. Speakers are drawn with replacement; those of one piece are left out.
    """
    corpora = np.array([talker.corpus for talker in talkers])
    scaled = standardised(vectors)
    for corpus in set(corpora):
        scaled[corpora == corpus] -= scaled[corpora == corpus].mean(axis=0)
    names = np.array([talker.speaker for talker in talkers])
    groups = [scaled[names == name] for name in sorted(set(names))]
    groups = [group for group in groups if len(group) > 1]
    within = np.array([group.var(axis=0, ddof=1).sum() for group in groups])
    whole = np.array([np.square(group).mean(axis=0).sum() for group in groups])
    random = np.random.default_rng(BOOTSTRAP_SEED)
    draws = random.integers(len(groups), size=(BOOTSTRAP_DRAWS, len(groups)))
    shares = 1 - within[draws].sum(axis=1) / whole[draws].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5])
    share = 1 - float(within.sum() / whole.sum())
    return Summary(len(groups), share, float(low), float(high), share)


@dataclass(frozen=True)
class Components:
    """Principal components of embeddings, strongest first."""

    mean: np.ndarray
    directions: np.ndarray
    """(component, size), as many as there are dimensions."""

    @classmethod
    def of(cls, vectors: np.ndarray) -> Components:
        """Of vectors (n, size)."""
        mean = vectors.mean(axis=0)
        return cls(mean, np.linalg.svd(vectors - mean)[2])

    def numbers(self, vectors: np.ndarray, size: int) -> np.ndarray:
        """Vectors (..., size of the network) -> (..., size)."""
        return (vectors - self.mean) @ self.directions[:size].T

    def reduced(self, vectors: np.ndarray, size: int) -> np.ndarray:
        """To so many numbers and back."""
        return self.mean + self.numbers(vectors, size) @ self.directions[:size]
