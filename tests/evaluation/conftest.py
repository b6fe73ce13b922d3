"""A data folder in miniature, made of the fixtures: four speakers, one noise, rooms of decaying noise."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from evaluation.sets.build import quick
from evaluation.sets.builder import INDOOR_ROOMS, SetBuilder
from evaluation.sets.corpus import read_noises, read_talkers
from evaluation.sets.full_band import RATE_HZ, full_band
from evaluation.sets.scene import Scene

SEXES = {"ls1688": "M", "ls2033": "M", "ls367": "F", "ls3080": "F"}


def _manifest(path: Path, rows: list[dict]) -> None:
    path.write_text(
        "".join(json.dumps({"split": "dev", "license": "CC-BY-4.0", **row}) + "\n" for row in rows)
    )


@pytest.fixture(scope="session")
def data(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the manifests that the set builder reads."""
    return lay_out(tmp_path_factory.mktemp("data"), fixtures)


def lay_out(root: Path, fixtures: Path) -> Path:
    """Make an empty directory such a data root."""
    speech = []
    for speaker, sex in SEXES.items():
        # The builder enrolls from a speaker's last recordings.
        for number, what in enumerate(("speech", "enrollment")):
            path = f"speech/dev/librispeech/{speaker}/{number:03d}.opus"
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(fixtures / f"{speaker}_{what}.opus")
            seconds = soundfile.info(root / path).duration
            speech.append(
                {"path": path, "corpus": "librispeech", "speaker": speaker, "sex": sex, "seconds": seconds}
            )
    (root / "noise/dev").mkdir(parents=True)
    (root / "noise/dev/helicopter.opus").symlink_to(fixtures / "helicopter.opus")
    noise = {"path": "noise/dev/helicopter.opus", "label": "helicopter", "speech": "no", "seconds": 5.0}
    _manifest(root / "speech.jsonl", speech)
    _manifest(root / "noise.jsonl", [noise])
    _lay_out_full_band(root, fixtures)
    generator = np.random.default_rng(0)
    for path in INDOOR_ROOMS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        response = 0.1 * generator.standard_normal(8000) * np.exp(-np.arange(8000) / 1200)
        response[16] = 1.0
        soundfile.write(root / path, response, 16_000)
    return root


def _lay_out_full_band(root: Path, fixtures: Path) -> None:
    """Recordings of 2 s whose spectrum above 8 kHz is the mirror image of that below."""
    (root / "fullband/dev").mkdir(parents=True)
    rows = []
    names = {name: f"{name}_speech.opus" for name in ("ls1688", "ls2033")} | {"noise": "helicopter.opus"}
    for name, file in names.items():
        samples, rate_hz = soundfile.read(fixtures / file, dtype="float32")
        for number in range(2):
            path = f"fullband/dev/{name}_{number}.flac"
            part = samples[2 * number * rate_hz :][: 2 * rate_hz]
            bright = np.zeros((len(part), RATE_HZ // rate_hz), np.float32)
            bright[:, 0] = part
            soundfile.write(root / path, bright.ravel(), RATE_HZ)
            role, speaker = ("noise", None) if name == "noise" else ("speech", name)
            row = {"path": path, "corpus": "librispeech", "speaker": speaker, "role": role}
            rows.append({**row, "seconds": len(part) / rate_hz})
    _manifest(root / "fullband.jsonl", rows)


@pytest.fixture(scope="session")
def build(data: Path) -> Callable[[str], SetBuilder]:
    """``build(name)`` -> a set builder over the small data folder."""
    talkers, noises = read_talkers(data), read_noises(data)
    return lambda name: SetBuilder(name, data, talkers, noises)


@pytest.fixture(scope="session")
def quick_scenes(build: Callable[[str], SetBuilder]) -> list[Scene]:
    """The quick recipe over the small data folder."""
    builder = build("quick")
    quick(builder)
    return builder.scenes


@pytest.fixture(scope="session")
def few_scenes(quick_scenes: list[Scene]) -> list[Scene]:
    """Two scenes of two talkers, same-sex and cross-sex, and one of every other set."""
    chosen, wanted = [], {"two-talkers": 2, "noise": 1, "interferer-only": 1, "clean": 1}
    for scene in quick_scenes:
        if wanted[scene.set]:
            wanted[scene.set] -= 1
            chosen.append(scene)
    return chosen


@pytest.fixture(scope="session")
def full_band_scenes(build: Callable[[str], SetBuilder]) -> dict[str, list[Scene]]:
    """The full-band recipe over the small data folder, by what the scenes stand for."""
    builder = build("full-band")
    full_band(builder)
    scenes: dict[str, list[Scene]] = {}
    for scene in builder.scenes:
        scenes.setdefault(scene.set, []).append(scene)
    return scenes


@pytest.fixture
def pair_folders(
    tmp_path: Path,
    recording: Callable[[str], NDArray[np.float32]],
    mix: Callable[[NDArray[np.float32], NDArray[np.float32], float], NDArray[np.float32]],
) -> tuple[Path, Path]:
    """(clean, noisy): two recordings with a helicopter over them at 5 dB."""
    clean, noisy = tmp_path / "clean", tmp_path / "noisy"
    for folder in (clean, noisy):
        folder.mkdir()
    for speaker in ("ls1688", "ls367"):
        speech = recording(f"{speaker}_speech")[:48_000]
        soundfile.write(clean / f"{speaker}.wav", speech, 16_000)
        soundfile.write(noisy / f"{speaker}.wav", 0.5 * mix(speech, recording("helicopter"), 5.0), 16_000)
    return clean, noisy
