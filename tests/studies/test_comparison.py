"""What describes a voice, and the contest of descriptions in small."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.sets.scene import write_scenes
from studies import comparison
from studies.descriptions import DVector, FilterbankStatistics, NoProfile
from studies.questions.page import PAGE
from training import train
from training.schedule import load_schedule
from training.simulation.scenes import SceneSimulator
from training.spectral import analyse
from training.step import ProfileNetwork
from training.teacher import Rotation

STAGE = """
[[stage]]
name = "everything"
steps = 6
learning_rate = 1e-3
[stage.scenes]
speakers = 3
clip_s = 1.0
enrollment_clips = [1, 1]
enrolled_twice = false
close_share = 0.0
"""


def embedded(profile_network: ProfileNetwork, samples: np.ndarray) -> torch.Tensor:
    """(size,)."""
    return profile_network.embed(analyse(torch.from_numpy(samples[: len(samples) // 160 * 160])[None]))[0]


def tells_apart(profile_network: ProfileNetwork, recording) -> None:
    """Two pieces of one voice, at unlike levels, are nearer to each other than to another voice."""
    one, same, other = (
        embedded(profile_network, 10 ** (gain_db / 20) * recording(name)[: 4 * 16_000].astype(np.float32))
        for name, gain_db in (("ls367_enrollment", 0), ("ls367_speech", -20), ("ls2033_speech", 0))
    )
    assert one.shape == (profile_network.size,)
    assert torch.dist(one, same) < torch.dist(one, other)


def test_mel_bands_describe_a_voice_at_any_level(simulator: SceneSimulator, recording) -> None:
    tells_apart(FilterbankStatistics(simulator.speech), recording)


def test_a_d_vector_describes_a_voice_at_any_level(recording) -> None:
    if importlib.util.find_spec("resemblyzer") is None:
        pytest.skip("Resemblyzer is not installed: the head of training/teacher.py says how")
    vectors = np.random.default_rng(0).normal(size=(300, 256))
    tells_apart(DVector(Rotation.of(vectors, 128)), recording)


def test_nobody_is_described_by_zeros() -> None:
    assert not NoProfile(7).embed(torch.ones(3, 2, 5, 160)).any()


def test_the_levers_differ_in_one_thing_and_in_no_hours() -> None:
    clean, everything = load_schedule(comparison.SCHEDULE)
    for stage in (clean, everything):
        longer = comparison.VARIANTS["longer"].stage(stage)
        assert longer.steps * longer.scenes.clip_s == stage.steps * stage.scenes.clip_s
        assert longer.scenes == replace(stage.scenes, clip_s=longer.scenes.clip_s)
        slower = comparison.VARIANTS["slower"].stage(stage)
        assert slower.scenes == stage.scenes and slower.rates == {"gru1": 0.5, "gru2": 0.5}
        assert comparison.VARIANTS["internal"].stage(stage) == stage


def test_the_command_trains_goes_on_and_answers(
    study, recordings: Path, data: Path, quick_scenes, tmp_path, monkeypatch
) -> None:
    schedule = tmp_path / "short.toml"
    schedule.write_text(STAGE)
    for name, count in (("two-talkers", 2), ("noise", 1), ("interferer-only", 1), ("clean", 1)):
        write_scenes(tmp_path / f"{name}.jsonl", [s for s in quick_scenes if s.set == name][:count])
    monkeypatch.setattr(comparison, "SCHEDULE", schedule)
    monkeypatch.setattr(train, "_LOG_STEPS", 6)  # at the end of the few that there are
    monkeypatch.setattr(comparison, "SETS_FOLDER", tmp_path)
    arguments = ["comparison", "no-profile", "untaught", "--question", "teaching", "--simulated-rooms", "2",
                 "--speech", str(recordings / "speech"), "--noise", str(recordings / "noise"),
                 "--run", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), "--threads", "1",
                 "--data", str(data), "--out", str(tmp_path / "out")]  # fmt: skip
    result = study(*arguments)
    assert result.exit_code == 0, result.output
    logs = [(tmp_path / "run" / name / "log.jsonl").read_text() for name in ("no-profile", "untaught")]
    page = (tmp_path / "out" / PAGE).read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]
    assert [row[0] for row in rows] == ["nothing", "internal embedding from the start"]
    assert f"## {comparison.QUESTIONS['teaching'].title}" in page
    assert rows[0][4].startswith("0.0 ")  # it has no profile that could be wrong
    assert rows[1][4] != rows[0][4]
    again = study(*arguments)
    assert again.exit_code == 0, again.output
    assert [(tmp_path / "run" / n / "log.jsonl").read_text() for n in ("no-profile", "untaught")] == logs
    assert (tmp_path / "out" / PAGE).read_text() == page
