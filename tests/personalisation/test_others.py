"""The pack of others that ships: what is in it, and that it is enough to learn from."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from edge_pse import Model
from personalisation import likeness
from personalisation.others import (
    CHECKSUMS,
    INDEX,
    LIKENESS,
    PACK,
    Others,
    PackError,
    Sounds,
    load_others,
    read_index,
)
from tests.conftest import FIXTURES
from training.checkpoint import load_checkpoint, profiles_id
from training.network import SAMPLE_RATE_HZ
from training.personal import SCHEDULE, PersonalScenes
from training.schedule import load_schedule
from training.simulation.corpus import active_level
from training.simulation.rooms import POSITIONS, RESPONSE_SAMPLES
from training.spectral import analyse
from training.step import REFERENCE_LEVEL

MOST_BYTES = 15_000_000
PROFILE_NETWORK = Model.load().contract.profiles_of


@pytest.fixture(scope="module")
def others() -> Others:
    return load_others(PROFILE_NETWORK)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACK, tmp_path / "pack"))


def test_a_few_hundred_voices_of_both_sexes_and_of_children_are_small(others: Others) -> None:
    voices = others.voices + others.judging.voices
    assert sum(path.stat().st_size for path in PACK.iterdir()) <= MOST_BYTES
    assert len(voices) >= 300 and len({voice.corpus for voice in voices}) >= 4
    assert len({voice.language for voice in voices}) >= 4
    for part in (others, others.judging):
        assert min(Counter(voice.sex for voice in part.voices)[sex] for sex in "FM") > 0.25 * len(part.voices)
        assert sum((voice.age or 99) < 14 for voice in part.voices) > 0.05 * len(part.voices)
    assert others.speech.samples.numel() < 450 * 10 * SAMPLE_RATE_HZ


def test_nobody_and_nothing_is_both_learnt_from_and_judged_with(others: Others) -> None:
    index = read_index(PACK)
    for kind, key in (("voices", "speaker"), ("noises", "name")):
        parts = {part: {e[key] for e in index[kind] if e["part"] == part} for part in ("learning", "judging")}
        assert not parts["learning"] & parts["judging"]
        assert 0.12 < len(parts["judging"]) / len(index[kind]) < 0.3
    recordings = {e["name"].rsplit("-", 1)[0]: e["part"] for e in index["noises"] if "esc10" in e["name"]}
    assert all(
        recordings[e["name"].rsplit("-", 1)[0]] == e["part"] for e in index["noises"] if "esc10" in e["name"]
    ), "two clips of one recording are in one part"
    assert others.rooms.responses.shape[1:] == (POSITIONS, RESPONSE_SAMPLES)
    rooms = [part.rooms.responses for part in (others, others.judging)]
    assert not (rooms[0][:, None, 0, 1:800] == rooms[1][None, :, 0, 1:800]).all(-1).any()


def test_the_tests_hear_none_of_these_voices(others: Others) -> None:
    heard = {path.name.split("_")[0] for path in FIXTURES.glob("ls*.opus")}
    assert len(heard) >= 4
    assert not heard & {voice.speaker for part in (others, others.judging) for voice in part.voices}


def parts_of(others: Others) -> tuple[Sounds, Sounds]:
    return others, others.judging


@pytest.mark.parametrize("part", [0, 1], ids=["learning", "judging"])
def test_levels_and_lengths_are_those_of_the_sound(others: Others, part: int) -> None:
    sounds = parts_of(others)[part]
    for bank in (sounds.speech, sounds.noise):
        assert bank.tracks[-1].offset + bank.tracks[-1].length == len(bank.samples)
        for track in bank.tracks[::40]:
            samples = bank.samples[track.offset : track.offset + track.length].numpy() / np.float32(32768)
            assert track.level == pytest.approx(active_level(samples), rel=0.01)
    assert len(sounds.voices) == len(sounds.speech.tracks)
    assert (sounds.rooms.responses[..., 0] == 1).all(), "the direct sound comes first, at one"
    late, early = (
        sounds.rooms.responses[..., 4000:].square().sum(),
        sounds.rooms.responses[..., 1:800].square().sum(),
    )
    assert 1e-6 < late / early < 0.5


def test_voices_mostly_speak(others: Others) -> None:
    shares = []
    for track in others.speech.tracks:
        samples = others.speech.samples[track.offset : track.offset + track.length].float() / 32768
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).square().mean(1).sqrt()
        shares.append(float((frames > track.level * 10 ** (-20 / 20)).float().mean()))
    assert np.median(shares) > 0.6


@pytest.mark.parametrize("part", [0, 1], ids=["learning", "judging"])
def test_a_voice_can_learn_from_it(others: Others, part: int) -> None:
    sounds = parts_of(others)[part]
    reading, rate = soundfile.read(FIXTURES / "ls2033_enrollment.opus", dtype="float32")
    assert rate == SAMPLE_RATE_HZ
    scenes = PersonalScenes(sounds.speech, sounds.noise, sounds.rooms, np.random.default_rng(0), reading)
    settings = replace(load_schedule(SCHEDULE)[0].scenes, dry_share=0.0, clean_share=0.0)
    assert (scenes._voice_lengths >= 8 * SAMPLE_RATE_HZ).all(), "all voices are long enough"
    batch = scenes.draw(settings)
    assert batch.mixtures.isfinite().all() and (batch.mixtures.square().mean(1) > 0).all()


def test_reading_it_takes_no_simulation_of_rooms() -> None:
    code = (
        "import sys; sys.modules['pyroomacoustics'] = None; import personalisation.others, training.personal"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


def test_every_file_and_every_noise_is_attributed() -> None:
    index, page = read_index(PACK), (PACK / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for name, about in index["files"].items():
        (line,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert about["licence"] in line
    assert not {path.name for path in PACK.iterdir()} - {
        *index["files"], INDEX, CHECKSUMS, LIKENESS.format(PROFILE_NETWORK), "ATTRIBUTION.md", "LICENSE-Apache-2.0.txt"
    }  # fmt: skip
    for entry in index["noises"]:
        assert f"`{Path(entry['name']).stem}` of `{entry['file']}`" in page


def test_no_pack_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"make them anew \(docs/training.md\)\.$"):
        load_others(PROFILE_NETWORK, tmp_path / "none")


def test_the_network_that_ships_has_embedded_each_voice(others: Others, copied: Path) -> None:
    network, _ = load_checkpoint(likeness.CHECKPOINT)
    assert profiles_id(network) == PROFILE_NETWORK, "embed them with this release of it"
    for sounds in parts_of(others):
        some = np.arange(0, len(sounds.voices), 30)
        clips = sounds.speech.cut(some, np.zeros(len(some), int), likeness.EMBEDDED)
        with torch.no_grad():
            embeddings = network.embed(analyse(REFERENCE_LEVEL * clips))
        assert (embeddings - sounds.embeddings[some]).abs().max() < 0.01
    path = copied / LIKENESS.format(PROFILE_NETWORK)
    np.save(path, np.load(path)[1:])
    with pytest.raises(PackError, match="damaged or missing"):
        load_others(PROFILE_NETWORK, copied)
    with pytest.raises(PackError, match=r"or run python -m personalisation\.likeness\.$"):
        load_others("pvqe-s-000000000000", copied)


@pytest.mark.parametrize("damage", ["bytes", "file", "index", "schema", "entry"])
def test_a_damaged_pack_is_one_sentence(copied: Path, damage: str) -> None:
    sound, index = next(copied.glob("speech-*.opus")), copied / INDEX
    about = json.loads(index.read_text(encoding="utf-8"))
    if damage == "bytes":
        sound.write_bytes(sound.read_bytes()[:-1] + b"\x00")
    elif damage == "file":
        sound.unlink()
    elif damage == "index":
        index.write_text("{", encoding="utf-8")
    elif damage == "schema":
        index.write_text(json.dumps(about | {"schema_version": 0}), encoding="utf-8")
    else:
        about["files"].pop(sound.name)
        index.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(PackError, match="damaged or missing: get the checkout of edge-pse again") as caught:
        load_others(PROFILE_NETWORK, copied)
    assert (sound.name if damage in ("bytes", "file") else INDEX) in str(caught.value)
