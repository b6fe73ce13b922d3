"""The pack is made of what may be passed on, and the same twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from personalisation.likeness import CHECKPOINT
from personalisation.make_pack import APACHE, main, make, summary, without_pauses
from personalisation.others import JUDGING, LEARNING, load_others, read_index
from tests.conftest import FIXTURES
from training.checkpoint import load_checkpoint, profiles_id
from training.simulation.rooms import simulate_room

ROOMS = {LEARNING: 2, JUDGING: 1}
SPEECH = {
    "split": "train",
    "corpus": "librispeech",
    "language": "en",
    "license": "CC-BY-4.0",
    "snr_est": 40.0,
}
NOISE = {"split": "train", "corpus": "esc10_CC-BY", "license": "CC-BY-3.0", "speech": "no"}
VOICES = {"ls1": "ls3080", "ls2": "ls1688", "ls3": "ls367", "ls4": "ls3080", "ls5": "ls1688"}
NOISES = ("1-172649-A", "1-181071-A", "1-181071-B", "2-37806-A", "3-68630-A", "2-188822-A")


def speech(speaker: str, recording: str, **more: Any) -> dict[str, Any]:
    return SPEECH | {"path": f"{recording}.opus", "speaker": speaker, "sex": "F"} | more


def noise(clip: str, **more: Any) -> dict[str, Any]:
    return NOISE | {"path": f"noise/train/esc10/{clip}.opus", "label": "helicopter"} | more


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dev recordings that are given out for training ones, and what must stay out."""
    data = tmp_path_factory.mktemp("data")
    (data / "noise/train/esc10").mkdir(parents=True)
    for name in {*VOICES.values()}:
        for kind in ("speech", "enrollment"):
            shutil.copy(FIXTURES / f"{name}_{kind}.opus", data)
    for clip in (*NOISES, "9-1-A"):
        shutil.copy(FIXTURES / "helicopter.opus", data / f"noise/train/esc10/{clip}.opus")
    entries = [
        speech(speaker, f"{name}_{kind}")
        for speaker, name in VOICES.items()
        for kind in ("speech", "enrollment")
    ]
    entries += [
        speech("of dev", "ls367_enrollment", split="dev"),
        speech("train only", "ls367_enrollment", license="CC-BY-4.0: train-only, do not redistribute"),
        speech("uncredited", "ls367_enrollment", corpus="thuyg20_sre"),
        speech("too noisy", "ls367_enrollment", snr_est=10.0),
        speech("too short", "ls367_speech"),
    ]
    noises = [noise(clip) for clip in NOISES]
    noises += [noise("9-1-A"), noise(NOISES[0], speech="babble"), noise(NOISES[1], license="CC0 (repo)")]
    for name, lines in (("speech", entries), ("noise", noises)):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return data


@pytest.fixture(scope="module")
def pack(corpus: Path) -> Path:
    make(corpus, corpus / "pack", rooms=ROOMS)
    return corpus / "pack"


def test_only_what_may_be_passed_on_is_taken_and_each_source_is_in_one_part(pack: Path) -> None:
    index = read_index(pack)
    assert {entry["speaker"] for entry in index["voices"]} == set(VOICES)
    assert sorted(Path(entry["name"]).stem for entry in index["noises"]) == sorted(NOISES)
    parts = {Path(entry["name"]).stem: entry["part"] for entry in index["noises"]}
    assert parts["1-181071-A"] == parts["1-181071-B"] and set(parts.values()) == {LEARNING, JUDGING}
    assert sum(entry["part"] == JUDGING for entry in index["voices"]) == 1
    page = (pack / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "V. Panayotov" in page and "senorstudy" in page and "creativecommons.org/licenses/by/4.0" in page
    assert (pack / "LICENSE-Apache-2.0.txt").read_bytes() == APACHE.read_bytes()


def test_what_is_read_is_what_was_taken(pack: Path) -> None:
    others = load_others(profiles_id(load_checkpoint(CHECKPOINT)[0]), pack)
    assert len(others.embeddings) == len(others.voices)
    names = [track.name for track in others.speech.tracks]
    assert names == [voice.speaker for voice in others.voices] and len(names) == 4
    track = others.speech.tracks[names.index("ls1" if "ls1" in names else "ls4")]
    read = others.speech.samples[track.offset : track.offset + track.length].numpy().astype(np.float32)
    recordings = [
        soundfile.read(FIXTURES / f"ls3080_{kind}.opus", dtype="float32")[0]
        for kind in ("enrollment", "speech")
    ]
    taken = np.concatenate([without_pauses(recording) for recording in recordings])[: track.length]
    assert np.corrcoef(read, taken)[0, 1] > 0.98
    for number in range(2):
        response = simulate_room(np.random.default_rng([2601, number])).astype(np.float32)
        error = np.square(others.rooms.responses[number].numpy() - response).sum()
        assert error < 1e-4 * np.square(response).sum()


def test_the_same_corpus_gives_the_same_pack_in_place_of_the_one_before(
    corpus: Path, pack: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    out.mkdir()
    (out / "of before").touch()
    make(corpus, out, rooms=ROOMS)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (pack, out))
    assert second.keys() == first.keys()
    # Each Ogg stream has a number of its own.
    streams = {"SHA256SUMS", *(name for name in first if name.endswith(".opus"))}
    assert {name for name in first if first[name] != second[name]} <= streams
    assert next(summary(out)).startswith("5 voices")


def test_pauses_are_cut_down_and_words_are_not() -> None:
    tone = np.sin(np.arange(16000) * 0.3).astype(np.float32)
    silence = np.zeros(32000, np.float32)
    cut = without_pauses(np.concatenate([silence, tone, silence, tone, silence]))
    assert len(cut) == pytest.approx(2 * 16000 + 2 * 4800, abs=800)
    assert np.square(cut).sum() == pytest.approx(2 * np.square(tone).sum(), rel=0.01)
    assert not len(without_pauses(silence[:0]))


def test_a_folder_without_a_corpus_is_one_sentence(tmp_path: Path) -> None:
    out = tmp_path / "pack"
    result = CliRunner().invoke(main, ["--data", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 2 and "speech.jsonl" in result.output and not out.exists()
    for name in ("speech", "noise"):
        (tmp_path / f"{name}.jsonl").write_text("")
    result = CliRunner().invoke(main, ["--data", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 2 and "name the folder of manifests" in " ".join(result.output.split())
    assert not out.exists()
