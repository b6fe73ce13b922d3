"""What all tests share: real recordings, the shipped model, and a disk small enough to fill."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

# Before NumPy and PyTorch read it. Tests run beside each other; threads that wait for one another would take turns with
# those of other tests, and burn the time of both.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"})

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edge_pse import Model, Profile, enroll

Samples = NDArray[np.float32]

FIXTURES = Path(__file__).parent / "fixtures"
AUDIO = "tests/edge_pse/audio/"
AUDIO_FILES = f"{AUDIO}files/"
LIVE = f"{AUDIO}live/"
SLOW = tuple(f"tests/{folder}/" for folder in ("training", "quantization", "packaging", "evaluation"))
LONGEST_FIRST = (LIVE, AUDIO, *SLOW, "tests/")
"""Where processes share the tests: what takes long may not be left for the end, when the others have nothing to do."""


def keeps_time(nodeid: str) -> bool:
    """Whether the test hears live audio, which no other test may hold up."""
    return nodeid.startswith(AUDIO) and not nodeid.startswith(AUDIO_FILES)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where processes share the tests (``-n``), a file is one's, and live audio, which mostly waits, is for two."""
    from xdist.scheduler import LoadFileScheduling

    class TwoHearAll(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if not keeps_time(nodeid):
                return super()._split_scope(nodeid)
            return LIVE if nodeid.startswith(LIVE) else AUDIO

    config.option.loadscopereorder = False  # not by their number: see below
    return TwoHearAll(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, live audio begins at once, and next what takes longest."""

    def place(item: pytest.Item) -> int:
        return next(place for place, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start))

    if hasattr(config, "workerinput"):
        items.sort(key=place)


@cache
def let_others_go_first() -> None:
    """From now on, with all processes that it starts, this one takes what time the others leave."""
    os.nice(10)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where processes share the tests, those that compute wait for those that keep time."""
    if hasattr(item.config, "workerinput") and not keeps_time(item.nodeid):
        let_others_go_first()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A command that a test calls may choose how many threads PyTorch takes; the next test takes one again."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The directory of the recordings; its README lists them."""
    return FIXTURES


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Samples]:
    """``recording("ls367_speech")`` -> its samples, 16 kHz, float32."""
    return partial(read_fixture, rate=16_000)


@pytest.fixture(scope="session")
def full_band() -> Callable[[str], Samples]:
    """``full_band("msc4g8_speech")`` -> its samples, 48 kHz, float32, with sound up to 20 kHz."""
    return partial(read_fixture, rate=48_000)


def read_fixture(name: str, rate: int) -> Samples:
    samples, rate_of_file = soundfile.read(FIXTURES / f"{name}.opus", dtype="float32")
    assert rate_of_file == rate
    return samples


@pytest.fixture(scope="session")
def mix() -> Callable[[Samples, Samples, float], Samples]:
    """``mix(speech, other, ratio_db)`` -> speech plus the other sound, made as long and scaled."""

    def add(speech: Samples, other: Samples, ratio_db: float) -> Samples:
        other = np.resize(other, speech.size)
        gain = np.sqrt(np.mean(speech**2) / np.mean(other**2)) * 10 ** (-ratio_db / 20)
        return speech + np.float32(gain) * other

    return add


@pytest.fixture(scope="session")
def si_sdr() -> Callable[[Samples, Samples], float]:
    """``si_sdr(reference, estimate)`` -> scale-invariant signal-to-distortion ratio in dB."""

    def ratio(reference: Samples, estimate: Samples) -> float:
        target = reference * (reference @ estimate / (reference @ reference))
        return float(10 * np.log10(np.sum(target**2) / np.sum((target - estimate) ** 2)))

    return ratio


@pytest.fixture(scope="session")
def model() -> Model:
    """The default model, as it ships."""
    return Model.load()


@pytest.fixture(scope="session")
def female_profile(model: Model, recording: Callable[[str], Samples]) -> Profile:
    """The voice of ``ls367_speech``, from another recording."""
    return enroll(recording("ls367_enrollment"), 16_000, model=model, name="ls367")


@pytest.fixture(scope="session")
def male_profile(model: Model, recording: Callable[[str], Samples]) -> Profile:
    """The voice of ``ls2033_speech``, from another recording."""
    return enroll(recording("ls2033_enrollment"), 16_000, model=model, name="ls2033")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty EDGE_PSE_HOME, so that no test touches the profiles of whoever runs it."""
    monkeypatch.setenv("EDGE_PSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, mounted for the test; it can really be full."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("filling a disk needs a small one, and mounting it needs root")
    directory = tmp_path / "small_disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(
            f"filling a disk needs a small one, and it can't be mounted here: {mounted.stderr.strip()}"
        )
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


@pytest.fixture
def fill() -> Callable[[Path], None]:
    """``fill(directory)`` writes a file there until its disk has no byte left."""

    def until_full(directory: Path) -> None:
        with (
            (directory / "filler").open("wb", buffering=0) as file,
            pytest.raises(OSError, match="No space left"),
        ):
            while True:
                file.write(bytes(4096))

    return until_full
