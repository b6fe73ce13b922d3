"""What the voice embedding is worth, and what it gives away, on dev speakers: ``python -m studies embedding``.

Every speaker's recordings fall into two parts that share none of them (`evaluation.sets.corpus`). A profile is made
of the first seconds of each part, as enrollment makes it, and any two profiles, one from either part, are compared by
their cosine, in the model's voice space (`edge_pse.voice_space`). The equal error rate (EER) is where as many pairs of
one speaker are missed as pairs of two are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import numpy as np

from edge_pse.enhancer import Enhancer, FrameFeatures
from edge_pse.model import Model
from edge_pse.voice_space import VoiceSpace
from evaluation.metrics.signal import HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from evaluation.metrics.statistics import BOOTSTRAP_SEED, equal_error_rate
from evaluation.published import PUBLISHED, StudyTable, publish_tables
from evaluation.report.markdown import table
from evaluation.sets.builder import INDOOR_ROOMS, SetBuilder
from evaluation.sets.corpus import Talker, read_noises, read_talkers
from evaluation.sets.render import render_enrollment
from evaluation.sets.scene import Enrollment
from evaluation.tables import Content
from studies import options

LENGTHS_S = (1, 2, 3, 5, 10, 20)
CONDITION_S = 5
"""Length of the enrollments whose conditions are changed."""
SECOND_PIECE_AT_S = 10
"""Each part gives a second, later piece of CONDITION_S, so that short enrollments have more pairs."""
SNRS_DB = (20, 10, 5)
Place = tuple[str | None, str | None]
"""Device and room of an enrollment, see `evaluation.sets.scene`; None: as recorded."""
MICROPHONES: dict[str, Place] = {
    "headset": ("headset", None),
    "laptop in a room": ("laptop", INDOOR_ROOMS[-1]),
}
"""The same for all speakers: they tell nobody apart."""
BOOTSTRAP_DRAWS = 500
RIDGE_PENALTIES = (3.0, 30.0, 300.0)
SPECTRUM_BANDS = 20

LENGTHS = "By length:"
CONDITIONS = f"Enrollments of {CONDITION_S} s:"
TOLD = f"Ridge regression, each speaker from all the others, embeddings of {CONDITION_S} s:"
PUBLISHED_AS = {
    LENGTHS: "voices by length",
    CONDITIONS: "voices by condition",
    TOLD: "told from the embedding",
}

AS_THEY_ARE = VoiceSpace()

Embed = Callable[[np.ndarray, Sequence[int]], dict[int, np.ndarray]]
"""(samples, lengths in s) -> embedding of the first seconds, for those lengths that there are."""


@dataclass(frozen=True)
class Piece:
    """What was made of one recording."""

    talker: Talker
    embeddings: dict[int, np.ndarray]
    """By length in seconds, (embedding_size,)."""
    spectrum_db: np.ndarray
    """Mean spectrum of the first CONDITION_S, (bands,)."""


def embed_prefixes(model: Model, samples: np.ndarray, lengths_s: Sequence[int]) -> dict[int, np.ndarray]:
    """The network's own embedding, see `Embed`: the mean over the hops of a stream without a profile."""
    enhancer = Enhancer(model)
    hops: list[FrameFeatures] = []
    enhancer.observe(hops.append)
    enhancer.process(samples)
    sums = np.cumsum([hop.embedding for hop in hops], axis=0, dtype=np.float64)
    ends = {seconds: seconds * SAMPLE_RATE_HZ // HOP_SAMPLES for seconds in lengths_s}
    return {seconds: sums[end - 1] / end for seconds, end in ends.items() if end <= len(sums)}


def resemblyzer() -> Embed:
    """The usual open d-vector, as a reference. Raises click.ClickException where it is not installed."""
    from training.teacher import resemblyzer_encoder  # and PyTorch, which all else here does without

    encoder = resemblyzer_encoder()

    def embed(samples: np.ndarray, lengths_s: Sequence[int]) -> dict[int, np.ndarray]:
        ends = {seconds: seconds * SAMPLE_RATE_HZ for seconds in lengths_s}
        return {s: encoder.embed_utterance(samples[:end]) for s, end in ends.items() if end <= len(samples)}

    return embed


class Embedder:
    """Makes pieces; each recording is rendered and run through the network once."""

    def __init__(self, root: Path, embed: Embed) -> None:
        self.root = root
        self._embed = embed
        self.build = SetBuilder("embedding", root, read_talkers(root), read_noises(root))

    def enrollments(self, part: str, seconds: float, at: float = 0.0) -> list[Enrollment]:
        """One per speaker at -26 dBFS, of the recordings of ``part``: "mixing" or "enrollment"."""
        chosen = []
        for talker in self.build.talkers:
            segments = _after(getattr(talker, part), at)
            if segments:
                chosen.append(self.build.enrollment(replace(talker, enrollment=segments), seconds))
        return chosen

    def pieces(self, enrollments: Sequence[Enrollment], lengths_s: Sequence[int], label: str) -> list[Piece]:
        """The embeddings of enrollments; those too short for any of the lengths are left out."""
        talkers = {talker.speaker: talker for talker in self.build.talkers}
        made = []
        for enrollment in options.progress(enrollments, label.ljust(28)):
            samples = render_enrollment(self.root, enrollment)
            embeddings = self._embed(samples, lengths_s)
            if embeddings:
                spectrum = mean_spectrum_db(samples[: CONDITION_S * SAMPLE_RATE_HZ])
                made.append(Piece(talkers[enrollment.speaker], embeddings, spectrum))
        return made


def _after(segments: tuple, seconds: float) -> tuple:
    """What is left of consecutive segments after the first ``seconds``."""
    left = []
    for segment in segments:
        skipped = min(seconds, segment.seconds)
        seconds -= skipped
        if segment.seconds - skipped > 0.01:
            start, rest = round(segment.start + skipped, 2), round(segment.seconds - skipped, 2)
            left.append(replace(segment, start=start, seconds=rest))
    return tuple(left)


def mean_spectrum_db(samples: np.ndarray) -> np.ndarray:
    """Mean power in SPECTRUM_BANDS bands of equal width on the mel scale, dB, their mean taken out."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    power = np.mean(np.abs(np.fft.rfft(frames * np.hanning(WINDOW_SAMPLES))) ** 2, axis=0)
    hertz = np.arange(len(power)) * SAMPLE_RATE_HZ / WINDOW_SAMPLES
    mel = np.log1p(hertz / 700)
    band = np.minimum((mel / mel[-1] * SPECTRUM_BANDS).astype(int), SPECTRUM_BANDS - 1)
    counts = np.bincount(band, minlength=SPECTRUM_BANDS)
    means = np.bincount(band, power, SPECTRUM_BANDS)[counts > 0] / counts[counts > 0]
    levels = 10 * np.log10(means + 1e-12)
    return levels - levels.mean()


@dataclass(frozen=True)
class Trials:
    """All pairs of a piece of one list with a piece of another."""

    cosines: np.ndarray
    """(first, second)."""
    first: tuple[Talker, ...]
    second: tuple[Talker, ...]

    @classmethod
    def of(
        cls, first: Sequence[Piece], second: Sequence[Piece], seconds: int, space: VoiceSpace = AS_THEY_ARE
    ) -> Trials:
        """Only pieces that have an embedding of that length take part."""
        used = [[piece for piece in pieces if seconds in piece.embeddings] for pieces in (first, second)]
        units = [
            space.project(np.array([piece.embeddings[seconds] for piece in pieces]))
            for pieces in used
            if pieces
        ]
        talkers = [tuple(piece.talker for piece in pieces) for pieces in used]
        return cls(units[0] @ units[1].T if len(units) == 2 else np.empty((0, 0)), *talkers)

    def error_rate(self, alike: Callable[[Talker, Talker], bool]) -> ErrorRate:
        """EER against other speakers that are ``alike``, with a bootstrap over speakers."""
        names = sorted({talker.speaker for talker in self.first + self.second})
        rows, columns = (
            np.array([names.index(talker.speaker) for talker in talkers])
            for talkers in (self.first, self.second)
        )
        same = rows[:, None] == columns
        taken = same | np.array([[alike(one, other) for other in self.second] for one in self.first])
        order = np.argsort(self.cosines[taken])
        scores, same, first, second = (
            np.broadcast_to(values, taken.shape)[taken][order]
            for values in (self.cosines, same, rows[:, None], columns)
        )
        random = np.random.default_rng(BOOTSTRAP_SEED)
        rates = [equal_error_rate(scores, same)]
        for _ in range(BOOTSTRAP_DRAWS):
            drawn = np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))
            weights = np.where(same, drawn[first], drawn[first] * drawn[second])
            rates.append(equal_error_rate(scores, same, weights))
        low, high = np.nanpercentile(rates[1:], [2.5, 97.5])
        return ErrorRate(rates[0], float(low), float(high), int(same.sum()))


@dataclass(frozen=True)
class ErrorRate:
    """EER with its 95 % interval, shares of 1, and the number of pairs of one speaker."""

    value: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def any_other(one: Talker, other: Talker) -> bool:
    """All other speakers, whatever they recorded with."""
    return True


def same_corpus(one: Talker, other: Talker) -> bool:
    """Speakers of one corpus: neither microphone nor language tells them apart."""
    return one.corpus == other.corpus


def same_corpus_and_sex(one: Talker, other: Talker) -> bool:
    """The hardest: as `same_corpus`, and of one sex, where it is known."""
    return same_corpus(one, other) and one.sex is not None and one.sex == other.sex


AGAINST = {
    "against all others": any_other,
    "those of the same corpus": same_corpus,
    "of the same corpus and sex": same_corpus_and_sex,
}


def length_table(first: Sequence[Piece], second: Sequence[Piece], space: VoiceSpace) -> Content:
    """EER by length of both enrollments."""
    rows = []
    for seconds in LENGTHS_S:
        trials = Trials.of(first, second, seconds, space)
        if trials.cosines.size:
            rates = [trials.error_rate(alike) for alike in AGAINST.values()]
            rows.append([str(seconds), *map(str, rates), str(rates[0].pairs)])
    return ["enrollments, s", *(f"EER, %: {name}" for name in AGAINST), "pairs of one speaker"], rows


def condition_table(
    compared: dict[tuple[str, str], tuple[Sequence[Piece], Sequence[Piece]]], space: VoiceSpace
) -> Content:
    """EER by what the one and the other enrollment were recorded with."""
    rows = [
        [
            *names,
            *(str(Trials.of(*pieces, CONDITION_S, space).error_rate(alike)) for alike in AGAINST.values()),
        ]
        for names, pieces in compared.items()
    ]
    return ["one", "the other", *(f"EER, %: {name}" for name in AGAINST)], rows


def explained(features: np.ndarray, values: np.ndarray, speakers: Sequence[str]) -> float:
    """Share of the variance of ``values`` (piece, n) that ridge regression tells from ``features`` (piece, m).

    Each speaker is predicted from all the others. The best of a few penalties, which is kind to whoever tries.
    """
    return max(
        1 - float(np.sum((values - predicted) ** 2) / np.sum((values - values.mean(axis=0)) ** 2))
        for predicted in (held_out_prediction(features, values, speakers, p) for p in RIDGE_PENALTIES)
    )


def held_out_prediction(
    features: np.ndarray, values: np.ndarray, speakers: Sequence[str], penalty: float
) -> np.ndarray:
    """Ridge regression of ``values`` (piece, n) on ``features`` (piece, m), each speaker from all the others."""
    names = np.array(speakers)
    predicted = np.empty(values.shape)
    for name in sorted(set(speakers)):
        out = names == name
        centre, offset = features[~out].mean(axis=0), values[~out].mean(axis=0)
        known, wanted = features[~out] - centre, values[~out] - offset
        spread = np.maximum(known.std(axis=0), 1e-6)
        known = known / spread
        dual = np.linalg.solve(known @ known.T + penalty * np.eye(len(known)), wanted)
        predicted[out] = (features[out] - centre) / spread @ (known.T @ dual) + offset
    return predicted


def privacy_table(pieces: Sequence[Piece]) -> Content:
    """What linear regression tells from an embedding of CONDITION_S about a voice that it was not fitted on."""
    speakers = [piece.talker.speaker for piece in pieces]
    features = np.stack([piece.embeddings[CONDITION_S] for piece in pieces])
    spectra = np.stack([piece.spectrum_db for piece in pieces])
    sexed = [index for index, piece in enumerate(pieces) if piece.talker.sex and not piece.talker.is_child]
    female = np.array([[1.0 if pieces[index].talker.sex == "F" else -1.0] for index in sexed])
    rates = [
        np.mean(
            np.sign(held_out_prediction(features[sexed], female, [speakers[i] for i in sexed], p)) == female
        )
        for p in RIDGE_PENALTIES
    ]
    own_mean = partial(_within_speaker, speakers)
    rows = [
        ["sex of an adult", f"right for {100 * max(rates):.0f} %"],
        [
            "mean spectrum of the recording",
            f"{100 * explained(features, spectra, speakers):.0f} % of the variance",
        ],
        [
            "what differs in it between recordings of one speaker",
            f"{100 * explained(own_mean(features), own_mean(spectra), speakers):.0f} % of the variance",
        ],
    ]
    return ["told from the embedding", "how well"], rows


def _within_speaker(speakers: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Values (piece, n) less the mean of their speaker."""
    names = np.array(speakers)
    return values - np.stack([values[names == name].mean(axis=0) for name in names])


def measure(embedder: Embedder, space: VoiceSpace = AS_THEY_ARE) -> dict[str, Content]:
    """All tables, by what is above them in the report; voices are compared in ``space``."""
    whole = {
        part: embedder.pieces(embedder.enrollments(part, max(LENGTHS_S)), LENGTHS_S, f"{part} recordings")
        for part in ("mixing", "enrollment")
    }
    short = [seconds for seconds in LENGTHS_S if seconds <= CONDITION_S]
    for part, pieces in whole.items():
        later = embedder.enrollments(part, CONDITION_S, SECOND_PIECE_AT_S)
        pieces += embedder.pieces(later, short, f"{part}, later")
    plain = whole["mixing"]
    base = {part: embedder.enrollments(part, CONDITION_S) for part in whole}
    compared: dict[tuple[str, str], tuple[Sequence[Piece], Sequence[Piece]]] = {
        ("as recorded", "as recorded"): (plain, whole["enrollment"])
    }
    for snr_db in SNRS_DB:
        noisy = [embedder.build.noisy_enrollment(enrollment, snr_db) for enrollment in base["enrollment"]]
        pieces = embedder.pieces(noisy, [CONDITION_S], f"{snr_db} dB SNR")
        compared["as recorded", f"{snr_db} dB SNR"] = plain, pieces
    through = {
        (part, name): embedder.pieces(
            [replace(enrollment, device=device, room=room) for enrollment in base[part]],
            [CONDITION_S],
            f"{part}, {name}",
        )
        for part in base
        for name, (device, room) in MICROPHONES.items()
    }
    for one in MICROPHONES:
        for other in MICROPHONES:
            compared[one, other] = through["mixing", one], through["enrollment", other]
    told = [piece for pieces in whole.values() for piece in pieces if CONDITION_S in piece.embeddings]
    return {
        LENGTHS: length_table(plain, whole["enrollment"], space),
        CONDITIONS: condition_table(compared, space),
        TOLD: privacy_table(told),
    }


def report(tables: dict[str, Content], talkers: int) -> str:
    """The tables as Markdown."""
    parts = [f"{talkers} dev speakers; EER with 95 % intervals, speakers drawn with replacement."]
    for heading, content in tables.items():
        parts += [heading, table(*content)]
    return "\n\n".join(parts)


def publish(tables: dict[str, Content], reference: bool, about: str, path: Path = PUBLISHED) -> None:
    """Put the tables into the results file, from where ``python -m evaluation.tables`` takes them."""
    command = "python -m studies embedding" + (" --resemblyzer" if reference else "")
    made = {heading: StudyTable(command, about, *tables[heading]) for heading in PUBLISHED_AS}
    places = {
        heading: f"{name} of Resemblyzer" if reference else name for heading, name in PUBLISHED_AS.items()
    }
    publish_tables({places[heading]: one for heading, one in made.items()}, path)


@click.command()
@options.data
@options.model
@options.backend
@click.option("--resemblyzer", "reference", is_flag=True, help="Score Resemblyzer's d-vector instead.")
@click.option("--publish", "published", is_flag=True, help="Write the tables into evaluation/results.json.")
def main(root: Path, model_name: str, backend: str, reference: bool, published: bool) -> None:
    """Say how well the embedding tells speakers apart, by length, noise and microphone, and what it gives away."""
    if reference:
        embedder, space, about = Embedder(root, resemblyzer()), AS_THEY_ARE, "Resemblyzer"
    else:
        model = Model.load(model_name, backend)
        embedder, space = Embedder(root, partial(embed_prefixes, model)), model.contract.voice_space
        about = model.contract.profiles_of
    tables = measure(embedder, space)
    if published:
        publish(tables, reference, about)
    click.echo(report(tables, len(embedder.build.talkers)))
