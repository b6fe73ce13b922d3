"""The others that a personal network learns to leave out: voices, noise and rooms that come with the project.

They lie in ``pack/``: few files of Opus and FLAC, and an index of what is where. About a fifth of them is never learnt
from; whether personal weights are better is judged with that. ``personalisation.make_pack`` makes the pack.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

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
LIKENESS = "likeness-{}.npy"
"""What the network makes of each voice, by the id of its profiles: ``personalisation.likeness`` writes it."""


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
    embeddings: Tensor
    """Of each track, what the network that makes profiles has made of it: (track, embedding) float32."""
    noise: Bank
    rooms: Rooms


@dataclass(frozen=True)
class Others(Sounds):
    """For learning, and others for judging: no speaker, no noise and no room is in both."""

    judging: Sounds


def load_others(profile_network: str, pack: Path = PACK) -> Others:
    """Decode the pack; int16 in memory. ``profile_network``: id of the profiles of users, see
    ``training.checkpoint.profiles_id``.

    Raises PackError where it is missing or damaged, or made for other networks.
    """
    index = read_index(pack)
    try:
        _check(pack, index)
        embeddings = _read_embeddings(pack, profile_network, len(index["voices"]))
        sounds = _decode_all(pack, index, index["files"])
        responses = _rooms(index, sounds[index[ROOMS]["file"]])
        parts = {
            part: _part(index, part, sounds, embeddings, responses[part]) for part in (LEARNING, JUDGING)
        }
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


def read_speech(pack: Path, index: dict[str, Any]) -> Bank:
    """All voices of the pack, as its index has them. Raises PackError."""
    files = dict.fromkeys(entry["file"] for entry in index["voices"])
    return _bank(index["voices"], _decode_all(pack, index, files), "speaker")


def _read_embeddings(pack: Path, profile_network: str, voices: int) -> np.ndarray:
    """(voice, embedding) float32, as the index has them."""
    path = pack / LIKENESS.format(profile_network)
    try:
        embeddings: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PackError(
            f"{path} is damaged or missing: get the checkout of edge-pse again, or run python -m "
            "personalisation.likeness."
        ) from error
    if embeddings.ndim != 2 or len(embeddings) != voices or not np.isfinite(embeddings).all():
        raise _damaged(path)
    return embeddings.astype(np.float32)


def _part(
    index: dict[str, Any], part: str, sounds: dict[str, np.ndarray], embeddings: np.ndarray, responses: np.ndarray,
) -> Sounds:  # fmt: skip
    chosen = [i for i, entry in enumerate(index["voices"]) if entry["part"] == part]
    voices = [index["voices"][i] for i in chosen]
    noises = [entry for entry in index["noises"] if entry["part"] == part]
    return Sounds(
        _bank(voices, sounds, "speaker"),
        tuple(
            Voice(*(entry[key] for key in ("corpus", "speaker", "language", "sex", "age")))
            for entry in voices
        ),
        torch.from_numpy(embeddings[chosen]),
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


def _decode_all(pack: Path, index: dict[str, Any], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Several files at once, by name, the largest first: decoding is nearly all that loading the pack takes."""
    longest_first = sorted(names, key=lambda name: -index["files"][name]["samples"])
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda name: _decode(pack, index, name), longest_first)
        return dict(zip(longest_first, decoded, strict=True))


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
