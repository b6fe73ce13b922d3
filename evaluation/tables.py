"""``python -m evaluation.tables``: writes the measured tables and figures of README, docs, targets and cards.

They come from ``evaluation/results.json``, and the counts of instructions from where the tests compare them. A table
stands between ``<!-- table: NAME -->`` and ``<!-- end of table -->``, a figure in a sentence that ``evaluation.claims``
knows. In these documents and in all of docs, figures of weights that no longer ship are said to be of an earlier model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import get_args

import click

from evaluation.claims import CLAIMS
from evaluation.earlier import marked
from evaluation.metrics.statistics import Summary
from evaluation.published import GAP, POOLED, PUBLISHED, Published
from evaluation.report.markdown import table
from evaluation.sets import FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_OTHERS, FULL_BAND_TALKERS
from evaluation.sets.scene import PROFILE_KINDS, ProfileKind, SyntheticKind
from evaluation.summary import METRICS, PROFILE_LINES, formatted

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md", "docs/results.md", "docs/privacy.md", "docs/assistant.md", "targets/raspberry-pi/README.md",
    *(f"edge_pse/models/{name}.md" for name in ("pvqe-s", "pvqe-xs", "pvqe-s-far")),
)  # fmt: skip
INSTRUCTIONS = ROOT / "targets/raspberry-pi/instructions.json"
_BLOCK = re.compile(r"(<!-- table: ([\w -]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

Cell = Callable[[Published, str], str]
Content = tuple[list[str], list[list[str]]]
SYSTEMS = (
    "unprocessed", "pvqe-s", "pvqe-xs", "rnnoise", "webrtc-ns", "speex-ns", "nsnet2", "noisereduce", "deepfilternet3",
)  # fmt: skip
SUMMARY_SYSTEMS = tuple(name for name in SYSTEMS if name not in ("speex-ns", "noisereduce"))
ECHO_SYSTEMS = ("unprocessed", "pvqe-s-far", "pvqe-s-far.fp32", "webrtc-aec3", "speex-mdf")
FULL_BAND_SYSTEMS = (
    "unprocessed", "pvqe-s", "pvqe-s --band 8", "pvqe-xs", "rnnoise", "webrtc-ns", "deepfilternet3",
)  # fmt: skip
COST_SYSTEMS = ("pvqe-s", "rnnoise", "webrtc-ns", "nsnet2", "deepfilternet3")
NAMES = {
    "pvqe-s": "**edge-pse, pvqe-s**",
    "pvqe-xs": "edge-pse, pvqe-xs",
    "pvqe-s --band 8": "the same with `--band 8`",
    "pvqe-s-far": "**edge-pse, pvqe-s-far**",
    "pvqe-s-far.fp32": "the same in fp32",
}


def mean(
    set_name: str, metric: str, profile: ProfileKind | None = None, interval: bool = True, **tags: str
) -> Cell:
    """Mean of a metric, with its interval unless that is not asked for."""
    return lambda found, system: formatted(
        found.find(system, set_name, metric, profile, tags), METRICS[metric], interval
    )


def _gap(found: Published, system: str, **tags: str) -> tuple[str, str]:
    summary = found.find(system, "two-talkers", GAP, tags=tags)
    return formatted(summary, METRICS["si_sdr_gain"]), f"{summary.median:.1f}" if summary else "-"


def _gap_and_median(found: Published, system: str) -> str:
    cell, median = _gap(found, system)
    return cell if cell == "-" else f"{cell}, median {median}"


def _median_and_pooled(found: Published, system: str) -> str:
    summary = found.find(system, "interferer-only", "suppression_db")
    pooled = found.find(system, "interferer-only", POOLED)
    return f"{summary.median:.1f} / {pooled.mean:.1f}" if summary and pooled else "-"


def _by_source(found: Published, system: str) -> str:
    sources = (
        found.find(system, "echo", "erle_db", tags={"source": source}) for source in ("real", "synthetic")
    )
    return " / ".join(formatted(summary, METRICS["erle_db"], interval=False) for summary in sources)


HEADLINE: dict[str, Cell] = {
    "two talkers: SI-SDR gain, dB": mean("two-talkers", "si_sdr_gain"),
    "same-sex": mean("two-talkers", "si_sdr_gain", sexes="same"),
    "cross-sex": mean("two-talkers", "si_sdr_gain", sexes="cross"),
    "right minus wrong profile, dB": _gap_and_median,
    "only others: suppression, dB, median / pooled": _median_and_pooled,
    "noise: SI-SDR gain, dB": mean("noise", "si_sdr_gain"),
    "noise: PESQ-WB": mean("noise", "pesq"),
    "noise: DNSMOS OVRL": mean("noise", "dnsmos_ovrl"),
    "clean: frames eaten (TSOS), %": mean("clean", "tsos"),
}
SUMMARY: dict[str, Cell] = {
    "two talkers: SI-SDR gain, dB": mean("two-talkers", "si_sdr_gain", interval=False),
    "only others talk: taken away, dB, median / pooled": _median_and_pooled,
    "noise: SI-SDR gain, dB": mean("noise", "si_sdr_gain", interval=False),
    "noise: PESQ-WB": mean("noise", "pesq", interval=False),
    "noise: DNSMOS": mean("noise", "dnsmos_ovrl", interval=False),
    "clean voice: frames lost, %": mean("clean", "tsos", interval=False),
}
CARD: dict[str, Cell] = {
    **{label: HEADLINE[label] for label in list(HEADLINE)[:4]},
    "wrong talker, %": mean("two-talkers", "wrong_talker"),
    **{label: HEADLINE[label] for label in list(HEADLINE)[5:8]},
    "VoiceBank subset: PESQ-WB": mean("voicebank", "pesq"),
    **{label: HEADLINE[label] for label in (list(HEADLINE)[4], list(HEADLINE)[8])},
    "clean: PESQ-WB": mean("clean", "pesq"),
}
FAR, BOTH, NEAR = "far-end single talk", "double talk", "near-end single talk"
ECHO: dict[str, Cell] = {
    "far end alone: ERLE, dB": mean("echo", "erle_db"),
    "recorded / simulated": _by_source,
    "far end alone: AECMOS echo": mean("echo", "aecmos_echo", talk=FAR),
    "both talk: AECMOS echo": mean("echo", "aecmos_echo", talk=BOTH),
    "both talk: AECMOS degradation": mean("echo", "aecmos_degradation", talk=BOTH),
    "near end known: SI-SDR, dB": mean("echo", "si_sdr"),
}
ECHO_CARD: dict[str, Cell] = {
    "far end alone: ERLE, dB": mean("echo", "erle_db"),
    "of it recorded": mean("echo", "erle_db", source="real"),
    "of it simulated": mean("echo", "erle_db", source="synthetic"),
    **{label: ECHO[label] for label in list(ECHO)[2:5]},
    "near end alone: AECMOS degradation": mean("echo", "aecmos_degradation", talk=NEAR),
    "near end known: SI-SDR, dB": mean("echo", "si_sdr"),
    "near end known: PESQ-WB": mean("echo", "pesq"),
}
FULL_BAND_VOICE: dict[str, Cell] = {
    "clean: level below 8 kHz, dB": mean(FULL_BAND_CLEAN, "level_change_db"),
    "above": mean(FULL_BAND_CLEAN, "level_change_above_db"),
    "clean: LSD above": mean(FULL_BAND_CLEAN, "lsd_above_db"),
    "two talkers: SI-SDR gain below, dB": mean(FULL_BAND_TALKERS, "si_sdr_gain"),
    "gain above": mean(FULL_BAND_TALKERS, "si_sdr_gain_above"),
    "two talkers: LSD above": mean(FULL_BAND_TALKERS, "lsd_above_db"),
    "noise: SI-SDR gain below, dB": mean(FULL_BAND_NOISE, "si_sdr_gain"),
    "its gain above": mean(FULL_BAND_NOISE, "si_sdr_gain_above"),
    "noise: LSD above": mean(FULL_BAND_NOISE, "lsd_above_db"),
}
FULL_BAND_TAKEN: dict[str, Cell] = {
    "only others: taken away below 8 kHz, dB": mean(FULL_BAND_OTHERS, "suppression_db"),
    "above": mean(FULL_BAND_OTHERS, "suppression_above_db"),
    "less above than below": mean(FULL_BAND_OTHERS, "suppression_shortfall_db"),
    "only noise: taken away below, dB": mean(FULL_BAND_NOISE, "suppression_db"),
    "noise above": mean(FULL_BAND_NOISE, "suppression_above_db"),
    "less noise above than below": mean(FULL_BAND_NOISE, "suppression_shortfall_db"),
}


def _below_and_above(set_name: str, below: str, above: str) -> Cell:
    cells = [mean(set_name, metric, interval=False) for metric in (below, above)]
    return lambda found, system: " / ".join(cell(found, system) for cell in cells)


FULL_BAND: dict[str, Cell] = {
    "clean voice: level, dB": _below_and_above(FULL_BAND_CLEAN, "level_change_db", "level_change_above_db"),
    "only noise: taken away, dB": _below_and_above(FULL_BAND_NOISE, "suppression_db", "suppression_above_db"),
    "only others talk: taken away, dB": _below_and_above(
        FULL_BAND_OTHERS, "suppression_db", "suppression_above_db"
    ),
    "noise: SI-SDR gain, dB": _below_and_above(FULL_BAND_NOISE, "si_sdr_gain", "si_sdr_gain_above"),
    "noise: LSD above 8 kHz, dB": mean(FULL_BAND_NOISE, "lsd_above_db", interval=False),
}


def _rows(found: Published, systems: Iterable[str], cells: dict[str, Cell]) -> Content:
    return ["system", *cells], [
        [NAMES.get(system, system), *(cell(found, system) for cell in cells.values())] for system in systems
    ]


def _columns(found: Published, systems: tuple[str, ...], cells: dict[str, Cell]) -> Content:
    return ["", *systems], [
        [label, *(cell(found, system) for system in systems)] for label, cell in cells.items()
    ]


def _profiles(found: Published, system: str) -> Content:
    lines = []
    for set_name, metric in PROFILE_LINES:
        cells = [mean(set_name, metric, profile)(found, system) for profile in PROFILE_KINDS]
        lines.append([f"{set_name}: {METRICS[metric].label}", *cells])
    return ["", *PROFILE_KINDS], lines


def _gaps(found: Published, system: str) -> Content:
    lines = []
    for label, tags in (("all", {}), ("same-sex", {"sexes": "same"}), ("cross-sex", {"sexes": "cross"})):
        summary = found.find(system, "two-talkers", GAP, tags=tags)
        lines.append([label, _clips(summary), *_gap(found, system, **tags)])
    return ["pairs", "clips", "mean", "median"], lines


def _sirs(found: Published, system: str) -> Content:
    lines = []
    for sir in ("-5 dB", "0 dB", "5 dB", "10 dB"):
        gain = mean("two-talkers", "si_sdr_gain", sir=sir)
        sexes = [mean("two-talkers", "si_sdr_gain", sir=sir, sexes=sexes) for sexes in ("same", "cross")]
        wrong = mean("two-talkers", "wrong_talker", sir=sir)
        clips = _clips(found.find(system, "two-talkers", "si_sdr_gain", tags={"sir": sir}))
        lines.append([sir, clips, *(cell(found, system) for cell in (gain, *sexes, wrong))])
    return ["SIR", "clips", "SI-SDR gain dB", "same-sex", "cross-sex", "wrong talker %"], lines


def _below_beside_above(found: Published, system: str) -> Content:
    """A network's figures at 48 kHz: those of what it hears, and of what goes with that."""
    lines = [
        ("clean: level, dB", FULL_BAND_CLEAN, "level_change_db", "level_change_above_db"),
        ("two talkers: SI-SDR gain, dB", FULL_BAND_TALKERS, "si_sdr_gain", "si_sdr_gain_above"),
        ("noise: SI-SDR gain, dB", FULL_BAND_NOISE, "si_sdr_gain", "si_sdr_gain_above"),
        ("only noise: taken away, dB", FULL_BAND_NOISE, "suppression_db", "suppression_above_db"),
        ("only others: taken away, dB", FULL_BAND_OTHERS, "suppression_db", "suppression_above_db"),
    ]
    return ["at 48 kHz", "below 8 kHz", "above"], [
        [label, *(mean(set_name, metric)(found, system) for metric in metrics)]
        for label, set_name, *metrics in lines
    ]


def _noises(found: Published, system: str) -> Content:
    lines = []
    for kind in ("recorded", *get_args(SyntheticKind)):
        metrics = ("si_sdr_gain", "si_sdr_gain_above", "suppression_shortfall_db")
        lines.append(
            [kind, *(mean(FULL_BAND_NOISE, metric, noise=kind)(found, system) for metric in metrics)]
        )
    return ["noise", "SI-SDR gain below 8 kHz, dB", "above", "taken away less above than below, dB"], lines


def _clips(summary: Summary | None) -> str:
    return str(summary.count) if summary else "-"


def _cost(found: Published) -> Content:
    header = [
        "", "CPU, x pvqe-s", "CPU s per s of audio, one thread (min-max)", "works", "latency, ms",
        "model or library, MB",
    ]  # fmt: skip
    lines = []
    for name in COST_SYSTEMS:
        if cost := found.costs.get(name):
            seconds = f"{cost.cpu_per_second:.4f} ({cost.cpu_low:.4f}-{cost.cpu_high:.4f})"
            works = "frame by frame" if cost.streams else "on whole clips"
            latency, size = f"{cost.latency_ms or 0:.0f}", f"{cost.size_mb or 0:.1f}"
            lines.append([cost.description, f"{cost.ratio:.2f}", seconds, works, latency, size])
    return header, lines


RUNTIME_NAMES = {"litert": "LiteRT", "onnx": "ONNX Runtime", "tflite-runtime": "tflite-runtime"}


def _int8(found: Published) -> Content:
    header = [
        "file", "runtime", "MB", "a frame, ms", "in fp32, ms", "output SNR, dB", "median of the mixtures, dB",
        "worst cosine of profiles",
    ]  # fmt: skip
    lines = []
    for file in found.int8:
        times = f"{file.frame_ms:.2f}", f"{file.fp32_frame_ms:.2f}"
        snrs = f"{file.snr_db:.1f}", f"{file.median_snr_db:.1f}"
        cosine = "-" if file.worst_cosine is None else f"{file.worst_cosine:.5f}"
        lines.append(
            [f"`{file.file}`", RUNTIME_NAMES[file.runtime], f"{file.size_mb:.2f}", *times, *snrs, cosine]
        )
    return header, lines


def _instructions(found: Published) -> Content:
    """Counts of the emulator beside the times of the same files and runtimes on x86, where those are known."""
    times = {}
    for file in found.int8:
        network, suffix = file.file.partition(".")[0], Path(file.file).suffix
        times[f"{file.file}, {file.runtime}"] = file.frame_ms
        times[f"{network}.fp32{suffix}, {file.runtime}"] = file.fp32_frame_ms
    lines = []
    for name, thousands in json.loads(INSTRUCTIONS.read_text(encoding="utf-8")).items():
        model, runtime = name.split(", ")
        time_ms = f"{times[name]:.2f}" if name in times else "-"
        lines.append([f"{model}, {RUNTIME_NAMES[runtime]}", str(thousands), time_ms])
    return ["model, runtime", "Cortex-A53, thousand instructions", "x86, the network alone, ms"], lines


TABLES: dict[str, Callable[[Published], Content]] = {
    "summary": lambda found: _rows(found, SUMMARY_SYSTEMS, SUMMARY),
    "systems": lambda found: _rows(found, SYSTEMS, HEADLINE),
    "echo": lambda found: _rows(found, ECHO_SYSTEMS, ECHO),
    "full band": lambda found: _rows(found, FULL_BAND_SYSTEMS, FULL_BAND),
    "full-band voices": lambda found: _rows(found, FULL_BAND_SYSTEMS, FULL_BAND_VOICE),
    "full-band rest": lambda found: _rows(found, FULL_BAND_SYSTEMS, FULL_BAND_TAKEN),
    "cost": _cost,
    "int8": _int8,
    "instructions": _instructions,
    "scores of pvqe-s": lambda found: _columns(found, ("pvqe-s", "unprocessed"), CARD),
    "scores of pvqe-xs": lambda found: _columns(found, ("pvqe-xs", "pvqe-s", "unprocessed"), CARD),
    "scores of pvqe-s-far": lambda found: _columns(found, ECHO_SYSTEMS, ECHO_CARD),
    **{f"profiles of {name}": partial(_profiles, system=name) for name in ("pvqe-s", "pvqe-xs")},
    **{f"gaps of {name}": partial(_gaps, system=name) for name in ("pvqe-s", "pvqe-xs")},
    **{f"ratios of {name}": partial(_sirs, system=name) for name in ("pvqe-s", "pvqe-xs")},
    **{f"full band of {name}": partial(_below_beside_above, system=name) for name in ("pvqe-s", "pvqe-xs")},
    "full-band noises of pvqe-s": partial(_noises, system="pvqe-s"),
}


def rewritten(document: str, text: str, found: Published) -> str:
    """The text of a document with every table and every claimed figure as the results have them, and earlier models
    marked.

    Raises ValueError where a sentence is not in it, or a table is unknown.
    """

    def block(match: re.Match[str]) -> str:
        name = match[2]
        if name in TABLES:
            content = TABLES[name](found)
        elif study := found.studies.get(name):
            content = study.header, study.rows
        else:
            raise ValueError(f"{document} asks for a table {name!r}: there is none.")
        return f"{match[1]}{table(*content)}\n{match[3]}"

    text = _BLOCK.sub(block, text)
    for claim in CLAIMS:
        if claim.document == document:
            text = claim.rewritten(text, found)
    return marked(text)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; status 1 where a document differs.")
def main(check: bool) -> None:
    """Write the measured tables and figures of README, results page and model cards from evaluation/results.json."""
    stale = []
    try:
        found = Published.load(PUBLISHED)
        pages = (str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))
        for name in dict.fromkeys((*DOCUMENTS, *pages)):
            path = ROOT / name
            text = path.read_text(encoding="utf-8")
            new = rewritten(name, text, found)
            if new != text:
                stale.append(name)
                if not check:
                    path.write_text(new, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if check and stale:
        raise click.ClickException(
            f"{', '.join(stale)}: not what the results say. Run python -m evaluation.tables."
        )
    click.echo(f"{'Differ' if check else 'Written'}: {', '.join(stale) or 'none'}.")


if __name__ == "__main__":
    main()
