"""The corpus in parts."""

import tarfile
from pathlib import Path

import pytest

from training.pack_corpus import pack


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
