"""What a network gains that goes on learning one voice."""

import re
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from studies import personal


def test_general_and_personal_weights_stand_side_by_side(
    study: Callable[..., Result], data: Path, recordings: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(personal, "LEAST_REST_S", 5.0)
    corpora = ("--speech", recordings / "speech", "--noise", recordings / "noise", "--simulated-rooms", 2)
    result = study(
        "personal", "--data", data, *corpora, "--cache", tmp_path, "--network", "pvqe-xs",
        "--speaker", "ls1688", "--seconds", 9, "--minutes", 0.02, "--clips", 2, "--threads", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "pvqe-xs, 1 voices, 9 s of reading, 0.02 minutes of learning" in result.stdout
    lines = result.stdout.splitlines()
    for condition, metric in personal.METRICS.items():
        (line,) = (line for line in lines if line.startswith(f"| {condition} | "))
        general, own, both = map(float, line.split(" | ")[2:5])
        assert f"| {metric} |" in line and len(re.findall(r"-?\d+\.\d", line)) >= 7
        assert abs(own - general) < 3 and abs(both - general) < 3, "a second of learning changes little"
    assert any(line.startswith("| ls1688 | ") for line in lines)


def test_a_voice_with_too_few_recordings_is_named_as_such(
    study: Callable[..., Result], data: Path, recordings: Path, tmp_path: Path
) -> None:
    corpora = ("--speech", recordings / "speech", "--noise", recordings / "noise")
    result = study("personal", "--data", data, *corpora, "--cache", tmp_path, "--seconds", 60)
    assert result.exit_code == 1
    assert "No dev speaker has 72 s of recordings." in result.stderr
