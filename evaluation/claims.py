"""Measured figures in the sentences of README, results page and model cards, each with where it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from evaluation.file_cost import DEFAULT, OPTIONS
from evaluation.published import POOLED, Published
from evaluation.sets import FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_OTHERS, FULL_BAND_TALKERS
from evaluation.sets.scene import ProfileKind
from evaluation.summary import METRICS

FIGURE = "{}"
"""Stands in a sentence for its figure."""


@dataclass(frozen=True)
class Claim:
    """A sentence of a document, or a part of it, with one figure."""

    document: str
    sentence: str
    """In one line, whatever its breaks in the document; FIGURE where the figure stands."""
    figure: Callable[[Published], str]

    def rewritten(self, text: str, found: Published) -> str:
        """``text`` with the figure as the results have it. Raises ValueError where the sentence is missing."""
        before, after = (r"\s+".join(map(re.escape, part.split(" "))) for part in self.sentence.split(FIGURE))
        new, count = re.subn(
            rf"({before})-?[\d.]+({after})", lambda match: match[1] + self.figure(found) + match[2], text
        )
        if count != 1:
            raise ValueError(
                f"{self.document} has {count} times the sentence {self.sentence!r}: mend evaluation/claims.py."
            )
        return new


def of(
    system: str,
    set_name: str,
    metric: str,
    digits: int = 1,
    profile: ProfileKind | None = None,
    value: str = "mean",
    tags: dict[str, str] | None = None,
) -> Callable[[Published], str]:
    """The mean of a metric (or ``value`` of its summary) in so many digits. Raises ValueError where there is none."""

    def figure(found: Published) -> str:
        summary = found.find(system, set_name, metric, profile, tags)
        if summary is None:
            raise ValueError(f"The results have no {metric} of {system} on {set_name} {tags or ''}.")
        scale = METRICS[metric].scale if metric in METRICS else 1.0
        return f"{getattr(summary, value) * scale:.{digits}f}"

    return figure


def one_of(system: str, set_name: str, metric: str) -> Callable[[Published], str]:
    """A share as one clip out of so many."""
    percent = of(system, set_name, metric, digits=6)
    return lambda found: f"{100 / float(percent(found)):.0f}"


def cost_of(system: str, value: str, digits: int) -> Callable[[Published], str]:
    """A field of a system's `evaluation.cost.Cost` in so many digits. Raises ValueError where nothing was measured."""

    def figure(found: Published) -> str:
        if system not in found.costs:
            raise ValueError(f"The results have no cost of {system}.")
        return f"{getattr(found.costs[system], value):.{digits}f}"

    return figure


def int8_of(
    network: str, value: str, choose: Callable[[Iterable[float]], float], digits: int = 0
) -> Callable[[Published], str]:
    """The least or the largest (``min``, ``max``) of a field of `evaluation.published.Int8File` over a network's files.

    Raises ValueError where nothing was measured.
    """

    def figure(found: Published) -> str:
        every = [getattr(file, value) for file in found.int8 if file.file.startswith(f"{network}.")]
        values = [one for one in every if one is not None]
        if not values:
            raise ValueError(
                f"The results have no int8 file of {network}: run python -m quantization.publish."
            )
        return f"{choose(values):.{digits}f}"

    return figure


def file_cost(
    value: str, digits: int, options: str = DEFAULT, ratio: bool = False
) -> Callable[[Published], str]:
    """A field of `evaluation.file_cost.FileCost` with some options, or how many times that without options it is.

    Raises ValueError where nothing was measured.
    """

    def figure(found: Published) -> str:
        values = {file.options: getattr(file, value) for file in found.files}
        if not values.keys() >= {options, DEFAULT}:
            raise ValueError(
                "The results lack what a file costs: run python -m evaluation.file_cost --publish."
            )
        return f"{values[options] / (values[DEFAULT] if ratio else 1):.{digits}f}"

    return figure


def in_study(name: str, row: int, column: int) -> Callable[[Published], str]:
    """The mean in a cell of a study's table, without its sign and interval.

    Raises ValueError where there is no such table.
    """

    def figure(found: Published) -> str:
        if name not in found.studies:
            raise ValueError(f"The results have no table {name!r}: run its study with --publish.")
        return found.studies[name].rows[row][column].split()[0].lstrip("-")

    return figure


S, XS, FAR = "pvqe-s", "pvqe-xs", "pvqe-s-far"
README, RESULTS = "README.md", "docs/results.md"
CARD, XS_CARD, FAR_CARD = (f"edge_pse/models/{name}.md" for name in (S, XS, FAR))
GAIN, LOST, RATED = "si_sdr_gain", "tsos_active", "dnsmos_ovrl"
HALF_AFTER_WHOLE, WHOLE_AFTER_HALF, HALF_AFTER_HALF = (
    {"band": band} for band in ("half after whole", "whole after half", "half after half")
)
WHISPERING = "whispering"
SPOKEN, WHISPERED = range(2)
"""Rows of that table, by what is enrolled."""
ALONE, BESIDE = ({**HALF_AFTER_WHOLE, "situation": situation} for situation in ("alone", "two talkers"))

CLAIMS = (
    Claim(README, "a pair gains {} dB,", of(S, "two-talkers", GAIN, tags={"sexes": "same"})),
    Claim(README, "differs in sex {} dB.", of(S, "two-talkers", GAIN, tags={"sexes": "cross"})),
    Claim(README, "In one clip out of {} the other", one_of(S, "two-talkers", "wrong_talker")),
    Claim(README, "Taken together they lose {} dB.", of(S, "interferer-only", POOLED)),
    Claim(README, "DeepFilterNet3 ({})", of("deepfilternet3", "noise", RATED, 2)),
    Claim(README, "RNNoise ({})", of("rnnoise", "noise", RATED, 2)),
    Claim(README, "above this network ({}).", of(S, "noise", RATED, 2)),
    Claim(README, "others have talked: {} % of its frames", of(S, "target-late", "tsos_onset", 0)),
    Claim(
        README, "whole band: {} % of the voice's frames", of(S, "narrow-band", LOST, 0, tags=HALF_AFTER_WHOLE)
    ),
    Claim(README, "A second of sound costs {} s", cost_of(S, "cpu_per_second", 3)),
    Claim(README, "DeepFilterNet3 takes {} times as much.", cost_of("deepfilternet3", "ratio", 1)),
    Claim(
        RESULTS,
        "pairs that differ in sex gain {} dB on average",
        of(S, "two-talkers", GAIN, 0, tags={"sexes": "cross"}),
    ),
    Claim(
        RESULTS, "on average and same-sex pairs {} dB.", of(S, "two-talkers", GAIN, tags={"sexes": "same"})
    ),
    Claim(
        RESULTS, "Clips of equally loud talkers gain {} dB", of(S, "two-talkers", GAIN, tags={"sir": "0 dB"})
    ),
    Claim(RESULTS, "talker is 10 dB quieter gain {} dB.", of(S, "two-talkers", GAIN, tags={"sir": "10 dB"})),
    Claim(RESULTS, "In PESQ it has {},", of(S, "noise", "pesq", 2)),
    Claim(RESULTS, "DeepFilterNet3 {} and NSNet2", of("deepfilternet3", "noise", "pesq", 2)),
    Claim(RESULTS, "and NSNet2 {}.", of("nsnet2", "noise", "pesq", 2)),
    Claim(RESULTS, "DeepFilterNet3 has {},", of("deepfilternet3", "noise", RATED, 2)),
    Claim(RESULTS, "RNNoise {} and", of("rnnoise", "noise", RATED, 2)),
    Claim(RESULTS, "and this network {}.", of(S, "noise", RATED, 2)),
    Claim(
        RESULTS,
        "There {} % of the voice's frames are lost",
        of(S, "narrow-band", LOST, 0, tags=HALF_AFTER_WHOLE),
    ),
    Claim(RESULTS, "a clean one changes by {} dB below", of(S, FULL_BAND_CLEAN, "level_change_db")),
    Claim(RESULTS, "below 8 kHz and by {} dB above.", of(S, FULL_BAND_CLEAN, "level_change_above_db")),
    Claim(
        RESULTS,
        "Others alone are taken away by {} dB less",
        of(S, FULL_BAND_OTHERS, "suppression_shortfall_db"),
    ),
    Claim(RESULTS, "SI-SDR above 8 kHz changes by {} dB.", of(S, FULL_BAND_TALKERS, "si_sdr_gain_above")),
    Claim(RESULTS, "8 kHz gains {} dB in noise,", of(S, FULL_BAND_NOISE, "si_sdr_gain_above")),
    Claim(
        RESULTS, "and {} dB with DeepFilterNet3.", of("deepfilternet3", FULL_BAND_NOISE, "si_sdr_gain_above")
    ),
    Claim(RESULTS, "cost at most {} dB of SI-SDR gain", int8_of(S, "si_sdr_gain_loss_db", max, 2)),
    Claim(RESULTS, "and {} of PESQ-WB (", int8_of(S, "pesq_loss", max, 3)),
    Claim(RESULTS, "take `edge-pse enhance` {} s of one core", file_cost("cpu_s", 1)),
    Claim(RESULTS, "of one core and {} MB, start included", file_cost("peak_rss_mb", 0)),
    Claim(RESULTS, "it is {} times the time", file_cost("cpu_s", 1, OPTIONS[1], ratio=True)),
    Claim(RESULTS, "and {} times the memory.", file_cost("peak_rss_mb", 1, OPTIONS[1], ratio=True)),
    Claim(
        CARD, "**Voices of the same sex**: {} dB of gain", of(S, "two-talkers", GAIN, tags={"sexes": "same"})
    ),
    Claim(
        CARD,
        "where voices of different sexes get {}.",
        of(S, "two-talkers", GAIN, 0, tags={"sexes": "cross"}),
    ),
    Claim(CARD, "In one clip out of {} it is", one_of(S, "two-talkers", "wrong_talker")),
    Claim(CARD, "pooled over all of them, {} dB", of(S, "interferer-only", POOLED)),
    Claim(CARD, "**Clean speech**: {} % of the enrolled voice's frames", of(S, "clean", "tsos", 0)),
    Claim(CARD, "**No profile**: {} dB on noise", of(S, "noise", GAIN, profile="none")),
    Claim(
        CARD,
        "the enrolled voice loses {} % of its frames",
        of(S, "narrow-band", LOST, 0, tags=HALF_AFTER_WHOLE),
    ),
    Claim(CARD, "{} % in clips of it alone", of(S, "narrow-band", LOST, 0, tags=ALONE)),
    Claim(CARD, "dev voices {} dB are lost", in_study(WHISPERING, SPOKEN, 2)),
    Claim(CARD, "in the profile (`--add --insist`) {} dB.", in_study(WHISPERING, WHISPERED, 2)),
    Claim(CARD, "itself then loses {} dB in place", in_study(WHISPERING, WHISPERED, 4)),
    Claim(CARD, "dB in place of {}, and gains", in_study(WHISPERING, SPOKEN, 4)),
    Claim(CARD, "and gains {} dB beside another talker", in_study(WHISPERING, WHISPERED, 5)),
    Claim(CARD, "beside another talker in place of {} ([", in_study(WHISPERING, SPOKEN, 5)),
    Claim(CARD, "{} % beside somebody else", of(S, "narrow-band", LOST, 0, tags=BESIDE)),
    Claim(CARD, "enrolled at 8 kHz, too, {} %", of(S, "narrow-band", LOST, 0, tags=HALF_AFTER_HALF)),
    Claim(
        CARD,
        "a wide-band voice that was enrolled at 8 kHz {} %",
        of(S, "narrow-band", LOST, 0, tags=WHOLE_AFTER_HALF),
    ),
    Claim(
        XS_CARD,
        "of what pvqe-s gains, and {} dB on voices",
        of(XS, "two-talkers", GAIN, tags={"sexes": "same"}),
    ),
    Claim(XS_CARD, "In one clip out of {} it is", one_of(XS, "two-talkers", "wrong_talker")),
    Claim(XS_CARD, "**Noise**: {} dB", of(XS, "noise", GAIN)),
    Claim(XS_CARD, "where pvqe-s has {}.", of(S, "noise", GAIN)),
    Claim(
        XS_CARD,
        "a voice at 8 kHz loses {} % of its frames",
        of(XS, "narrow-band", LOST, 0, tags=HALF_AFTER_WHOLE),
    ),
    Claim(
        XS_CARD,
        "that was enrolled at 8 kHz loses {} %",
        of(XS, "narrow-band", LOST, 0, tags=WHOLE_AFTER_HALF),
    ),
    Claim(XS_CARD, "where pvqe-s loses {} %.", of(S, "narrow-band", LOST, 0, tags=WHOLE_AFTER_HALF)),
    Claim(XS_CARD, "of the enrolled voice changes by {} dB on average.", of(XS, "clean", "level_change_db")),
    Claim(
        FAR_CARD,
        "**Far end alone**: {} dB are the mean",
        of(FAR, "echo", "erle_db", 0, tags={"source": "real"}),
    ),
    Claim(
        FAR_CARD,
        "and its interval begins at {} dB",
        of(FAR, "echo", "erle_db", 0, value="low", tags={"source": "real"}),
    ),
    Claim(XS_CARD, "the int8 outputs are {} to", int8_of(XS, "snr_db", min)),
    Claim(XS_CARD, "to {} dB SNR from the fp32", int8_of(XS, "snr_db", max)),
    Claim(FAR_CARD, "the outputs are {} to", int8_of(FAR, "snr_db", min)),
    Claim(FAR_CARD, "to {} dB SNR from the fp32", int8_of(FAR, "snr_db", max)),
    Claim(FAR_CARD, "four mixtures, {} to", int8_of(FAR, "median_snr_db", min)),
    Claim(FAR_CARD, "to {} dB in their median", int8_of(FAR, "median_snr_db", max)),
)
