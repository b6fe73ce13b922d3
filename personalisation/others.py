"""The others that a personal network learns to leave out: voices, noise and rooms that come with the project.

They lie in ``pack/``: few files of Opus and FLAC, and an index of what is where. About a fifth of them is never learnt
from; whether personal weights are better is judged with that. ``personalisation.make_pack`` makes the pack.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from edge_pse.errors import EdgePseError
from training.network import SAMPLE_RATE_HZ
from training.simulation.corpus import Bank, Track
from training.simulation.rooms import POSITIONS, RESPONSE_SAMPLES, Rooms

PACK = Path(__file__).with_name("pack")
INDEX = "index.json"
CHECKSUMS = "SHA256SUMS"
SCHEMA_VERSION = 1
LEARNING, JUDGING = "learning", "judging"
ROOMS = "rooms"


class PackError(EdgePseError):
    """The pack of others is missing or damaged."""


@dataclass(frozen=True)
class Voice:
    """Whose speech a track of the bank is."""

    corpus: str
    speaker: str
    language: str
    sex: str | None
    """"F" or "M"; None where the corpus does not say."""
    age: int | None
    """Years."""


@dataclass(frozen=True)
class Sounds:
    """What ``training.personal.PersonalScenes`` is made of, at one speed."""

    speech: Bank
    voices: tuple[Voice, ...]
    """One for each track of ``speech``."""
    noise: Bank
    rooms: Rooms


@dataclass(frozen=True)
class Others(Sounds):
    """For learning, and others for judging: no speaker, no noise and no room is in both."""

    judging: Sounds


def load_others(pack: Path = PACK) -> Others:
    """Decode the pack; int16 in memory. Raises PackError where it is missing or damaged."""
    index = read_index(pack)
    try:
        _check(pack, index)
        with ThreadPoolExecutor() as pool:
            decoded = pool.map(lambda name: _decode(pack, index, name), index["files"])
            sounds = dict(zip(index["files"], decoded, strict=True))
        responses = _rooms(index, sounds[index[ROOMS]["file"]])
        parts = {part: _part(index, part, sounds, responses[part]) for part in (LEARNING, JUDGING)}
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise _damaged(pack / INDEX) from error
    return Others(**vars(parts[LEARNING]), judging=parts[JUDGING])


def read_index(pack: Path) -> dict[str, Any]:
    """What is where in the pack. Raises PackError."""
    path = pack / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PackError(
            f"The voices, noise and rooms to learn against are not in {pack}: get the whole checkout of edge-pse "
            "again, or make them anew (docs/training.md)."
        ) from error
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(index, dict) or index.get("schema_version") != SCHEMA_VERSION:
        raise _damaged(path)
    return index


def _part(index: dict[str, Any], part: str, sounds: dict[str, np.ndarray], responses: np.ndarray) -> Sounds:
    voices = [entry for entry in index["voices"] if entry["part"] == part]
    noises = [entry for entry in index["noises"] if entry["part"] == part]
    return Sounds(
        _bank(voices, sounds, "speaker"),
        tuple(
            Voice(*(entry[key] for key in ("corpus", "speaker", "language", "sex", "age")))
            for entry in voices
        ),
        _bank(noises, sounds, "name"),
        Rooms(torch.from_numpy(responses)),
    )


def _bank(entries: list[dict[str, Any]], sounds: dict[str, np.ndarray], name: str) -> Bank:
    samples = np.empty(sum(entry["length"] for entry in entries), np.int16)
    tracks = []
    offset = 0
    for entry in entries:
        begin, length = entry["offset"], entry["length"]
        samples[offset : offset + length] = sounds[entry["file"]][begin : begin + length]
        tracks.append(Track(entry[name], offset, length, entry["level"], tuple(entry["boundaries"])))
        offset += length
    return Bank(torch.from_numpy(samples), tracks)


def _check(pack: Path, index: dict[str, Any]) -> None:
    """That all files are as they were written, which is quick, before any is decoded."""
    used = {entry["file"] for entry in (*index["voices"], *index["noises"], index[ROOMS])}
    if used != set(index["files"]):
        raise _damaged(pack / INDEX)
    try:
        listed = (pack / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise _damaged(pack / CHECKSUMS) from error
    for name in index["files"]:
        try:
            checksum = hashlib.sha256((pack / name).read_bytes()).hexdigest()
        except OSError as error:
            raise _damaged(pack / name) from error
        if f"{checksum}  {name}" not in listed:
            raise _damaged(pack / name)


def _rooms(index: dict[str, Any], pcm: np.ndarray) -> dict[str, np.ndarray]:
    """Of each part: (room, POSITIONS, RESPONSE_SAMPLES) float32, the direct sound one."""
    counts = index[ROOMS]["counts"]
    responses = pcm.reshape(-1, POSITIONS, RESPONSE_SAMPLES) / np.float32(index[ROOMS]["direct_sound"])
    if len(responses) != sum(counts.values()):
        raise ValueError("other rooms than the index says")
    learning, judging = np.split(responses, [counts[LEARNING]])
    return {LEARNING: learning, JUDGING: judging}


def _decode(pack: Path, index: dict[str, Any], name: str) -> np.ndarray:
    """(sample,) int16, as many as the index says."""
    try:
        samples, rate = soundfile.read(pack / name, dtype="int16")
    except (OSError, soundfile.SoundFileError) as error:
        raise _damaged(pack / name) from error
    if rate != SAMPLE_RATE_HZ or samples.shape != (index["files"][name]["samples"],):
        raise _damaged(pack / name)
    return samples


def _damaged(path: Path) -> PackError:
    return PackError(
        f"{path} is damaged or missing: get the checkout of edge-pse again, or make the folder anew "
        "(docs/training.md)."
    )
