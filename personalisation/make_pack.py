"""Make the pack of others that personal networks learn against, from a corpus with manifests:

    python -m personalisation.make_pack --data DATA

``DATA`` holds ``speech.jsonl`` and ``noise.jsonl`` and what they name. Only entries of ``credits.json`` are taken, and
only where the manifest gives the licence that it names: what has no author and no clear licence stays out, and so
does whatever is not marked ``train``. Rooms are simulated as in training. The same corpus gives the same index.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile
import soxr

from personalisation import likeness
from personalisation.others import CHECKSUMS, INDEX, JUDGING, LEARNING, PACK, ROOMS, SCHEMA_VERSION, Voice
from training.checkpoint import load_checkpoint
from training.network import SAMPLE_RATE_HZ
from training.simulation.corpus import ACTIVE_RANGE_DB, active_level
from training.simulation.rooms import simulate_room

CREDITS = Path(__file__).with_name("credits.json")
APACHE = Path(__file__).with_name("apache-2.0.txt")
SPEECH_S, LEAST_SPEECH_S = 8.5, 8.1
"""Of a voice, without long pauses. A step of learning wants 8 s."""
MOST_SPEAKERS = 130
"""Of a corpus: two large ones shall not be all that is heard."""
NOISE_S, LEAST_NOISE_S = 6.0, 1.9
LEAST_SNR_DB = 20.0
_PAUSE_S = 0.3
"""What is longer is cut down to that."""
_FADE_S = 0.005
_SPEECH_LEVEL, _PEAK = 0.07, 0.9  # of full scale
SPEECH_KBPS, NOISE_KBPS = 24, 22
_LEAST_KBPS, _MOST_KBPS = 6, 256  # what libsndfile makes of its compression levels 1 and 0
JUDGED_ONE_IN = 5
SIMULATED_ROOMS = {LEARNING: 80, JUDGING: 20}
_ROOMS_SEED = 2601
_ROOM_BITS = 13
"""Rounding is then 56 dB below a response, whose file is a quarter smaller than with 16."""


@dataclass(frozen=True)
class Piece:
    """A track before it is coded."""

    about: dict[str, Any]
    stratum: str
    """What learning and judging shall both have of."""
    source: str
    """What they shall not share."""
    samples: np.ndarray
    boundaries: tuple[int, ...]


def make(data: Path, out: Path, rooms: dict[str, int] = SIMULATED_ROOMS) -> None:
    """Write the pack into the folder ``out``, in place of what is there.

    ``rooms``: how many of each part. Raises ValueError where the corpus lacks what is needed.
    """
    credits_ = json.loads(CREDITS.read_text(encoding="utf-8"))
    speech = _speech(data, credits_["corpora"])
    noise = _noise(data, credits_)
    if not speech or not noise:
        raise ValueError(
            f"There is no speech or no noise of {CREDITS.name} in {data}: name the folder of manifests."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        work = Path(folder) / "pack"
        work.mkdir()
        index: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "files": {}}
        index["voices"] = _write_pieces(work, index["files"], speech, "speech", SPEECH_KBPS)
        index["noises"] = _write_pieces(work, index["files"], noise, "noise", NOISE_KBPS)
        index[ROOMS] = _write_rooms(work, index["files"], rooms)
        (work / INDEX).write_text(_json_by_line(index), encoding="utf-8")
        (work / CHECKSUMS).write_text(_checksums(work, index["files"]), encoding="utf-8")
        (work / "ATTRIBUTION.md").write_text(_attribution(index, credits_), encoding="utf-8")
        shutil.copyfile(APACHE, work / "LICENSE-Apache-2.0.txt")
        likeness.write(work, load_checkpoint(likeness.CHECKPOINT)[0])
        if out.exists():
            out.rename(Path(folder) / "before")
        work.rename(out)


def summary(out: Path) -> Iterator[str]:
    """Lines that say what is in a pack."""
    index = json.loads((out / INDEX).read_text(encoding="utf-8"))
    for kind, unit in (("voices", "voices"), ("noises", "noises")):
        entries = index[kind]
        judged = sum(entry["part"] == JUDGING for entry in entries)
        yield f"{len(entries)} {unit}, {_minutes(entries):.1f} min, {judged} of them for judging"
    counts = index[ROOMS]["counts"]
    yield f"{sum(counts.values())} rooms, {counts[JUDGING]} of them for judging"
    megabytes: defaultdict[str, float] = defaultdict(float)
    for name, about in index["files"].items():
        megabytes[about["licence"]] += (out / name).stat().st_size / 1e6
    for licence, size in sorted(megabytes.items()):
        yield f"{size:6.2f} MB {licence}"
    yield f"{sum(path.stat().st_size for path in out.iterdir()) / 1e6:6.2f} MB in all"


# --- what is taken ------------------------------------------------------------------------------------------------


def _entries(manifest: Path, corpora: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those of credited corpora, under the licence that the credits name, that may be trained on."""
    for line in manifest.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        credit = corpora.get(entry["corpus"])
        if entry["split"] == "train" and credit and entry["license"] in credit["manifest"]:
            yield entry


def _speech(data: Path, corpora: dict[str, Any]) -> list[Piece]:
    of_speaker: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for entry in _entries(data / "speech.jsonl", corpora):
        if entry["snr_est"] >= LEAST_SNR_DB:
            of_speaker[entry["corpus"], entry["speaker"]].append(entry)
    pieces: list[Piece] = []
    for corpus in sorted({corpus for corpus, _ in of_speaker}):
        speakers = sorted((speaker for theirs, speaker in of_speaker if theirs == corpus), key=_digest)
        voices = (_voice(data, of_speaker[corpus, speaker]) for speaker in speakers)
        found = list(islice((voice for voice in voices if voice), MOST_SPEAKERS))
        pieces += sorted(found, key=lambda piece: piece.source)
    return pieces


def _voice(data: Path, entries: Sequence[dict[str, Any]]) -> Piece | None:
    """The first seconds of a speaker's speech; None where there are too few."""
    utterances: list[np.ndarray] = []
    missing = int(SPEECH_S * SAMPLE_RATE_HZ)
    for entry in sorted(entries, key=lambda entry: str(entry["path"])):
        utterances.append(without_pauses(_read(data / entry["path"]))[:missing])
        missing -= len(utterances[-1])
        if missing <= 0:
            break
    if sum(map(len, utterances)) < LEAST_SPEECH_S * SAMPLE_RATE_HZ:
        return None
    first = entries[0]
    voice = Voice(first["corpus"], first["speaker"], first["language"], first.get("sex"), first.get("age"))
    boundaries = np.cumsum([0, *map(len, utterances)])[:-1]
    samples = np.concatenate([_faded(utterance) for utterance in utterances])
    stratum = f"{voice.corpus} {voice.sex} {'child' if (voice.age or 99) < 16 else 'adult'}"
    return Piece(asdict(voice), stratum, voice.speaker, samples, tuple(boundaries.tolist()))


def without_pauses(samples: np.ndarray) -> np.ndarray:
    """Speech (sample,) float32 with silence before, after and within it cut down to ``_PAUSE_S`` at most."""
    frame = SAMPLE_RATE_HZ // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    if not len(frames):
        return samples[:0]
    power = np.square(frames).mean(1)
    active = power > power.max() * 10 ** (-ACTIVE_RANGE_DB / 10)
    width = round(_PAUSE_S * 100) // 2
    kept = np.convolve(active, np.ones(2 * width + 1), "same") > 0
    edges = np.flatnonzero(np.diff(np.r_[False, kept, False].astype(int))).reshape(-1, 2)
    stretches = [_faded(frames[begin:end].ravel()) for begin, end in edges]
    return np.concatenate(stretches) if stretches else samples[:0]


def _noise(data: Path, credits_: dict[str, Any]) -> list[Piece]:
    pieces = []
    for entry in _entries(data / "noise.jsonl", credits_["corpora"]):
        if entry["path"] not in credits_["recordings"] or entry["speech"] != "no":
            continue
        samples = _read(data / entry["path"])[: int(NOISE_S * SAMPLE_RATE_HZ)]
        if len(samples) < LEAST_NOISE_S * SAMPLE_RATE_HZ:
            continue
        about = {"name": entry["path"], "corpus": entry["corpus"], "label": entry["label"]}
        source = credits_["recordings"][entry["path"]]["url"] + entry["label"]
        several = entry["corpus"].startswith("esc10")
        stratum = entry["label"] if several else "other"
        pieces.append(Piece(about, stratum, source, _faded(samples), (0,)))
    return sorted(pieces, key=lambda piece: (piece.about["corpus"], piece.about["name"]))


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(1), rate, SAMPLE_RATE_HZ), np.float32)


def _faded(samples: np.ndarray) -> np.ndarray:
    """Begins and ends in silence, so that a join does not click."""
    count = min(int(_FADE_S * SAMPLE_RATE_HZ), len(samples) // 2)
    ramp = (np.arange(count, dtype=np.float32) + 0.5) / max(count, 1)
    faded = samples.copy()
    faded[:count] *= ramp
    faded[len(faded) - count :] *= ramp[::-1]
    return faded


def _digest(name: str) -> str:
    """A fixed order that has nothing to do with how a corpus numbers its speakers."""
    return hashlib.sha256(name.encode()).hexdigest()


def _parts(pieces: Iterable[Piece]) -> dict[str, str]:
    """Which part each source is in: one in ``JUDGED_ONE_IN`` of each stratum is for judging."""
    strata: defaultdict[str, set[str]] = defaultdict(set)
    for piece in pieces:
        strata[piece.stratum].add(piece.source)
    return {
        source: JUDGING if number % JUDGED_ONE_IN == JUDGED_ONE_IN // 2 else LEARNING
        for sources in strata.values()
        for number, source in enumerate(sorted(sources, key=_digest))
    }


# --- what is written ----------------------------------------------------------------------------------------------


def _write_pieces(
    out: Path, files: dict[str, Any], pieces: Sequence[Piece], kind: str, kbps: int
) -> list[dict[str, Any]]:
    """One file a corpus, so that each has one licence; the entries of the index."""
    parts = _parts(pieces)
    entries = []
    for corpus in sorted({piece.about["corpus"] for piece in pieces}):
        own = [piece for piece in pieces if piece.about["corpus"] == corpus]
        name = f"{kind}-{corpus.lower().replace('_', '-')}.opus"
        path = out / name
        write_opus(path, np.concatenate([_levelled(piece.samples) for piece in own]), kbps)
        decoded, _ = soundfile.read(path, dtype="int16")
        credit = json.loads(CREDITS.read_text(encoding="utf-8"))["corpora"][corpus]
        files[name] = _about(len(decoded), credit["licence"])
        offset = 0
        for piece in own:
            length = len(piece.samples)
            level = active_level(decoded[offset : offset + length] / np.float32(32768))
            entries.append(
                {
                    **piece.about,
                    "part": parts[piece.source],
                    "file": name,
                    "offset": offset,
                    "length": length,
                    "level": round(level, 6),
                    "boundaries": list(piece.boundaries),
                }
            )
            offset += length
    return entries


def write_opus(path: Path, samples: np.ndarray, kbps: int) -> None:
    """(sample,) float32 at 16 kHz as Ogg Opus of about so many kbit/s."""
    level = (_MOST_KBPS - kbps) / (_MOST_KBPS - _LEAST_KBPS)
    with soundfile.SoundFile(
        path, "w", SAMPLE_RATE_HZ, 1, "OPUS", format="OGG", compression_level=level
    ) as file:
        # A second a call: libsndfile's stack does not hold long ones.
        for begin in range(0, len(samples), SAMPLE_RATE_HZ):
            file.write(samples[begin : begin + SAMPLE_RATE_HZ])


def _levelled(samples: np.ndarray) -> np.ndarray:
    gain = min(_SPEECH_LEVEL / active_level(samples), _PEAK / max(float(np.abs(samples).max()), 1e-6))
    return samples * np.float32(gain)


def _write_rooms(out: Path, files: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        numbers = range(sum(counts.values()))
        rooms = pool.map(lambda room: simulate_room(np.random.default_rng([_ROOMS_SEED, room])), numbers)
        responses = np.concatenate([room.astype(np.float32).ravel() for room in rooms])
    step = 1 << (16 - _ROOM_BITS)
    direct_sound = ((1 << 15) // step - 1) * step
    pcm = (
        (np.round(responses * direct_sound / step) * step).clip(-direct_sound, direct_sound).astype(np.int16)
    )
    path = out / "rooms.flac"
    soundfile.write(path, pcm, SAMPLE_RATE_HZ, subtype="PCM_16", format="FLAC", compression_level=1.0)
    files[path.name] = _about(len(pcm), "CC0")
    return {"file": path.name, "direct_sound": direct_sound, "counts": dict(counts)}


def _about(samples: int, licence: str) -> dict[str, Any]:
    return {"samples": samples, "licence": licence}


def _checksums(out: Path, names: Iterable[str]) -> str:
    """As sha256sum checks them. Not in the index: each Ogg stream has a number of its own, drawn anew."""
    return "".join(f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def _json_by_line(index: dict[str, Any]) -> str:
    """One voice, one noise, one file a line, so that a change of the pack can be read."""
    rows = []
    for key, value in index.items():
        if isinstance(value, list):
            inside = ",\n".join(f"    {json.dumps(entry, ensure_ascii=False)}" for entry in value)
            rows.append(f'  "{key}": [\n{inside}\n  ]')
        elif key == "files":
            inside = ",\n".join(f'    "{name}": {json.dumps(about)}' for name, about in value.items())
            rows.append(f'  "{key}": {{\n{inside}\n  }}')
        else:
            rows.append(f'  "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _minutes(entries: Iterable[dict[str, Any]]) -> float:
    return sum(entry["length"] for entry in entries) / SAMPLE_RATE_HZ / 60


_LINKS = {
    "Apache 2.0": "LICENSE-Apache-2.0.txt",
    "CC BY 3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY-SA 4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
}
_CHANGED = """Changed: excerpts were taken, pauses cut, levels made alike, joined into one file a corpus, resampled
to 16 kHz mono and coded as Opus. No endorsement by the authors is meant."""


def _attribution(index: dict[str, Any], credits_: dict[str, Any]) -> str:
    """Sources, authors and licences of all that is in the pack."""
    lines = [
        "# Voices, noise and rooms of others: where they are from",
        "",
        "Made by `python -m personalisation.make_pack`, which writes this page, too. Each file is under the licence",
        "of its line; `index.json` says what is where in it, and is in the public domain (CC0) as the rooms are.",
        _CHANGED,
        "",
        "| file | minutes | from | author | licence |",
        "|---|---|---|---|---|",
    ]
    corpora = credits_["corpora"]
    for name, about in index["files"].items():
        own = [entry for entry in (*index["voices"], *index["noises"]) if entry["file"] == name]
        minutes = about["samples"] / SAMPLE_RATE_HZ / 60
        if own:
            corpus = corpora[own[0]["corpus"]]
            source, author = f"[{corpus['title']}]({corpus['url']})", corpus["author"]
        else:
            source, author = "simulated with pyroomacoustics", "the edge-pse authors"
        lines.append(f"| `{name}` | {minutes:.1f} | {source} | {author} | {_linked(about['licence'])} |")
    lines += [
        "",
        "## Noise, each recording",
        "",
        "| recording | title | author | licence |",
        "|---|---|---|---|",
    ]
    for entry in index["noises"]:
        credit = credits_["recordings"][entry["name"]]
        title = credit["title"].replace("|", "/")
        lines.append(
            f"| `{Path(entry['name']).stem}` of `{entry['file']}` | [{title}]({credit['url']}) | {credit['author']} "
            f"| {_linked(credit['licence'])} |"
        )
    lines += [
        "",
        '"CC BY" without a version: the page of the recording names it. What weights that learn from this pack owe',
        "to it: [the attribution of the models](../../edge_pse/models/ATTRIBUTION.md#what-follows).",
    ]
    return "\n".join(lines) + "\n"


def _linked(licence: str) -> str:
    return f"[{licence}]({_LINKS[licence]})" if licence in _LINKS else licence


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Manifests and audio.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=PACK,
    help="In place of the pack that ships.",
)
def main(data: Path, out: Path) -> None:
    """Make the pack of others."""
    try:
        make(data, out)
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    for line in summary(out):
        click.echo(line)


if __name__ == "__main__":
    main()
