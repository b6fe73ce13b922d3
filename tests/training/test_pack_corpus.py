"""The corpus in parts, and a run on a machine that knows nothing but them."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.training.conftest import small_stage
from training.checkpoint import load_checkpoint
from training.pack_corpus import pack

PROJECT = Path(__file__).parents[2]


def test_parts_hold_everything_and_keep_the_limit(recordings: Path, tmp_path: Path) -> None:
    limit = 700_000
    parts = pack({"speech": [recordings / "speech"], "noise": [recordings / "noise"]}, tmp_path, limit)
    assert len(parts) > 1 and all(part.stat().st_size <= limit for part in parts)
    names = []
    for part in parts:
        with tarfile.open(part) as tar:
            names += tar.getnames()
    assert len(names) == len(set(names)) == sum(1 for _ in recordings.rglob("*.wav"))
    assert "speech/0/speaker1/2.wav" in names
    with pytest.raises(ValueError, match="larger than a part"):
        pack({"speech": [recordings / "speech"]}, tmp_path, 20_000)


def test_a_borrowed_machine_trains_from_the_parts_and_delivers_weights(
    recordings: Path, tmp_path: Path
) -> None:
    pack({"speech": [recordings / "speech"], "noise": [recordings / "noise"]}, tmp_path / "parts", 1 << 20)
    schedule = tmp_path / "schedule.toml"
    schedule.write_text(small_stage(20))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["training/interruptible.sh", tmp_path / "parts", tmp_path / "keep", "tried", "1", "--network", "pvqe-xs",
         "--threads", "1", "--simulated-rooms", "2", "--schedule", schedule],
        check=True, capture_output=True, timeout=300, cwd=PROJECT,
        env=os.environ | {"OUT": str(tmp_path / "out"), "PATH": path},
    )  # fmt: skip
    network, history = load_checkpoint(tmp_path / "out/tried.pt")
    assert network.config.name == "pvqe-xs" and history["steps"] == 20
