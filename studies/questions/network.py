"""Questions about the embedding that need the network itself: where it is taken from, how many numbers it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from evaluation.metrics.statistics import Summary, summarise
from evaluation.report.markdown import table
from evaluation.scoring import score
from evaluation.sets.builder import ENROLLMENT_SECONDS, SetBuilder
from evaluation.sets.corpus import Talker
from evaluation.sets.render import Clip, render
from studies.embedding import CONDITION_S, MICROPHONES, Embedder, ErrorRate, any_other, same_corpus_and_sex
from studies.questions.activations import (
    SHIPPED,
    TAPS,
    Components,
    Parts,
    pooled,
    second_by_second,
    separability,
    standardised,
    tapped,
)
from studies.questions.measuring import GAIN_LABEL, SEXES, SIR_DB, SNR_DB, Measured, Studio, cell, two_talkers
from studies.questions.page import Answer
from studies.questions.plot import Panel, draw
from training.checkpoint import load_checkpoint, model_id
from training.dev import enhance
from training.network import HOP_SAMPLES, Network

POOLINGS = ("mean", "mean and deviation")
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
AS_IT_IS = "as it is"
_AT_ONCE = 8


def _percent(summary: Summary) -> str:
    return f"{100 * summary.mean:.0f} [{100 * summary.low:.0f}, {100 * summary.high:.0f}]"


def _in_percent(rate: ErrorRate) -> Summary:
    return Summary(rate.pairs, 100 * rate.value, 100 * rate.low, 100 * rate.high, 100 * rate.value)


class _Taken:
    """One tap with one pooling: a stretch of the vectors of all pieces, as recorded and from unlike places."""

    def __init__(self, name: str, pooling: str, alike: Parts, unlike: Parts, where: slice) -> None:
        taken = alike.vectors[:, where]
        self.standard = alike.with_vectors(standardised(taken)).error_rate(any_other)
        self.unlike = unlike.with_vectors(standardised(unlike.vectors[:, where])).error_rate(any_other)
        self.row = [
            TAPS[name],
            pooling,
            str(taken.shape[1]),
            str(alike.with_vectors(taken).error_rate(any_other)),
            str(self.standard),
            str(alike.with_vectors(standardised(taken)).error_rate(same_corpus_and_sex)),
            str(self.unlike),
            _percent(separability(taken, [piece.talker for piece in alike.pieces])),
        ]


def tap_point(network: Network, root: Path, command: str) -> Answer:
    """EER and separability by where the embedding is taken from, and how it is pooled."""
    embedder = Embedder(root, partial(pooled, network))
    alike, unlike = Parts.embed(embedder), Parts.embed(embedder, *MICROPHONES.values())
    taken: dict[str, list[_Taken]] = {pooling: [] for pooling in POOLINGS}
    start = 0
    for name, size in _tap_sizes(network).items():
        for pooling, width in zip(POOLINGS, (size, 2 * size), strict=True):
            where = slice(start, start + width)
            taken[pooling].append(_Taken(name, pooling, alike, unlike, where))
        start += 2 * size
    panels = [
        Panel(
            "EER, %, standardised",
            ["encoder", "fusion", "GRU 1", "GRU 2", "last norm"],
            {pooling: [_in_percent(rate(one)) for one in several] for pooling, several in taken.items()},
            title,
            "taken after",
            joined=False,
        )
        for title, rate in (
            ("as recorded", lambda one: one.standard),
            (" against ".join(MICROPHONES), lambda one: one.unlike),
        )
    ]
    header = ["taken", "pooling", "numbers", "EER, %, as it is", "EER, %, standardised"]
    more = ["the same, of one sex and corpus", f"standardised, {' against '.join(MICROPHONES)}"]
    return Answer(
        "tap",
        "Where should the embedding be taken from?",
        command,
        f"{model_id(network)}. {len(alike.pieces)} pieces of {CONDITION_S} s by {len(embedder.build.talkers)} "
        "speakers, compared across recordings by their cosine; intervals by drawing speakers. Standardised: every "
        "dimension with the same mean and spread over all pieces, so that no scale of a layer decides. The recordings "
        "of a speaker are often of one session and one microphone, by which an early layer may know them: hence the "
        "column in which the two that are compared went through different ones (`studies.embedding`). Separability "
        "is the share of the variance that lies between the speakers of a corpus, the rest being between pieces of one "
        "speaker. The network was trained for the mean after the last LayerNorm: what another place would be worth "
        "after training for it is not answered here.",
        table(
            [*header, *more, "separability, %"],
            [one.row for pair in zip(*taken.values(), strict=True) for one in pair],
        ),
        draw(panels),
    )


def _tap_sizes(network: Network) -> dict[str, int]:
    silence = np.zeros(HOP_SAMPLES, np.float32)
    return {name: output.shape[1] for name, output in tapped(network, silence).items()}


class Halves:
    """Two halves of the speakers: each is described by the components of the other, which never heard it."""

    def __init__(self, talkers: Sequence[Talker], parts: Parts) -> None:
        self._half = {talker.speaker: number % 2 for number, talker in enumerate(talkers)}
        seconds = parts.vectors.reshape(len(parts.pieces), CONDITION_S, -1)
        of_half = np.array([self._half[piece.talker.speaker] for piece in parts.pieces])
        self._components = [Components.of(np.concatenate(seconds[of_half != half])) for half in (0, 1)]
        self._parts = parts.with_vectors(seconds.mean(axis=1))

    def components(self, speaker: str) -> Components:
        """Those that a speaker is described by."""
        return self._components[self._half[speaker]]

    def reduced(self, size: int, speaker: str, profile: np.ndarray) -> np.ndarray:
        """A speaker's profile (embedding,), reduced to so many numbers and put back."""
        return self.components(speaker).reduced(profile, size)

    def alike(self, one: Talker, other: Talker) -> bool:
        """In one half: only those can be compared."""
        return self._half[one.speaker] == self._half[other.speaker]

    def error_rate(self, size: int) -> ErrorRate:
        """EER of vectors of so many numbers, between speakers of one half."""
        numbers = [
            self.components(piece.talker.speaker).numbers(vector, size)
            for piece, vector in zip(self._parts.pieces, self._parts.vectors, strict=True)
        ]
        return self._parts.with_vectors(np.stack(numbers)).error_rate(self.alike)


def _mixtures(build: SetBuilder, root: Path, clips: int) -> list[Clip]:
    scenes = [build.balance(two_talkers(build, SEXES[number % 2]), SIR_DB, SNR_DB) for number in range(clips)]
    return [render(scene, root) for scene in scenes]


class Mixtures:
    """Mixtures of two talkers, and the profiles of both."""

    def __init__(self, network: Network, clips: Sequence[Clip]) -> None:
        self.network = network
        self.clips = clips
        self._profiles: dict[str, np.ndarray] = {}
        for clip in clips:
            for profile in ("right", "wrong"):
                audio = clip.enrollment(profile)
                speaker = self._speaker(clip, profile)
                if speaker not in self._profiles:
                    assert audio is not None
                    self._profiles[speaker] = tapped(network, audio)[SHIPPED].mean(0).numpy()

    @staticmethod
    def _speaker(clip: Clip, profile: str) -> str:
        enrollment = clip.scene.right if profile == "right" else clip.scene.wrong
        assert enrollment is not None
        return enrollment.speaker

    def measure(
        self, measured: Measured, condition: str, change: Callable[[str, np.ndarray], np.ndarray]
    ) -> None:
        """Enhance all with profiles changed by ``change(speaker, profile)``."""
        for profile in ("right", "wrong"):
            for start in range(0, len(self.clips), _AT_ONCE):
                clips = self.clips[start : start + _AT_ONCE]
                speakers = [self._speaker(clip, profile) for clip in clips]
                profiles = np.stack([change(speaker, self._profiles[speaker]) for speaker in speakers])
                mixtures = torch.from_numpy(np.stack([clip.mixture for clip in clips]))
                outputs = enhance(self.network, mixtures, torch.from_numpy(profiles.astype(np.float32)))
                for clip, output in zip(clips, outputs.numpy(), strict=True):
                    measured.add(condition, profile, score(clip, output, "signal").metrics)


def embedding_size(
    network: Network, root: Path, command: str, clips: int = 32, sizes: Sequence[int] = SIZES
) -> Answer:
    """EER, gain and conditioning gap when only so many principal components of a profile are kept."""
    embedder = Embedder(root, partial(second_by_second, network))
    build = SetBuilder("questions-size", root, embedder.build.talkers, embedder.build.noises)
    halves = Halves(build.talkers, Parts.embed(embedder))
    mixtures = Mixtures(network, _mixtures(build, root, clips))
    measured = Measured()
    mixtures.measure(measured, AS_IT_IS, lambda speaker, profile: profile)
    for size in sizes:
        mixtures.measure(measured, str(size), partial(halves.reduced, size))
    rates = [halves.error_rate(size) for size in sizes]
    rows = [
        [
            label,
            rate,
            measured.cell(label, "si_sdr_gain"),
            measured.cell(label, "si_sdr_gain", minus=AS_IT_IS),
            cell(measured.gap(label)),
            measured.cell(label, "wrong_talker"),
        ]
        for label, rate in zip([*map(str, sizes), AS_IT_IS], [*map(str, rates), "-"], strict=True)
    ]
    labels = list(map(str, sizes))
    curves = {
        "gain": [summarise(measured.values(label, "si_sdr_gain")) for label in labels],
        "right minus wrong profile": [summarise(measured.gap(label)) for label in labels],
    }
    header = ["numbers", "EER, %", GAIN_LABEL, "minus that as it is, dB", "right minus wrong profile, dB"]
    return Answer(
        "size",
        "How many numbers does a profile need?",
        command,
        f"{model_id(network)}. Principal components of the embeddings of single seconds, each half of the speakers "
        "being described by those of the other half; EER between speakers of one half, pieces of "
        f"{CONDITION_S} s, centred. Gain: {clips} mixtures of two talkers at {SIR_DB:.0f} dB in noise at "
        f"{SNR_DB:.0f} dB, half of them of one sex; the profile, of {ENROLLMENT_SECONDS:.0f} s, is reduced to so many "
        "numbers and put back before it is used. The wrong profile is the other talker's.",
        table([*header, "wrong talker, %"], rows),
        draw(
            [
                Panel("EER, %", labels, {"EER": list(map(_in_percent, rates))}, xlabel="numbers"),
                Panel("SI-SDR, dB", labels, curves, xlabel="numbers"),
            ]
        ),
    )


QUESTIONS: dict[str, Callable[[Network, Path, str], Answer]] = {"tap": tap_point, "size": embedding_size}


def open_questions(checkpoint: Path, commands: Mapping[str, str]) -> dict[str, Callable[[Studio], Answer]]:
    """Those of ``commands``, which ask them again, to be asked of the network of a checkpoint.

    Raises ValueError when it is none.
    """
    torch.set_num_threads(1)
    network, _ = load_checkpoint(checkpoint)

    def question(name: str) -> Callable[[Studio], Answer]:
        return lambda studio: QUESTIONS[name](network, studio.root, commands[name])

    return {name: question(name) for name in commands}
