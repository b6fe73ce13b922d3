"""A limited time is spent without a decision: what is measured, what is taken, and what is left of a call that dies."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from tests.training.conftest import QUIET
from training import budget
from training.budget import CHECKPOINTS, Progress, load_plan, main
from training.checkpoint import load_checkpoint, model_id, profiles_id, save_checkpoint, with_far_branch
from training.network import CONFIGS, Network
from training.schedule import RECIPES, Stage
from training.simulation.scenes import SceneSimulator
from training.throughput import Setting, Trial, measure
from training.train import Run, Trainer, check_fits

PROJECT = Path(__file__).parents[2]
SMALL = """
[stage.scenes]
speakers = 2
single_mixtures = 0
unprofiled_outputs = 0
absent_outputs = 0
enrolled_twice = false
clip_s = 0.2
enrollment_clips = [1, 1]
"""
STAGES = f"""
[[stage]]
name = "talkers"
steps = 9999
learning_rate = 1e-3
teacher_weight = [[0.0, 2.0]]
{SMALL}
[[stage]]
name = "calls"
steps = 9999
learning_rate = 1e-3
{SMALL}
[stage.scenes.echo]
share = 0.8
"""
SHARE = 0.6
PLAN = f"""
noise_scale = 20
trial_seconds = 0.1
[[run]]
network = "pvqe-xs"
stages = "stages.toml"
stage = "talkers"
share = {SHARE}
speaker_groups = [1, 2]
[[run]]
network = "pvqe-xs-far"
stages = "stages.toml"
stage = "calls"
share = 0.4
speaker_groups = [1]
"""


@pytest.fixture
def arguments(recordings: Path, tmp_path: Path) -> list[str]:
    """What a call is given, beside its time and its folders."""
    torch.manual_seed(0)
    network = Network(CONFIGS["pvqe-xs"]).eval()
    save_checkpoint(tmp_path / "pvqe-xs.pt", network, {})
    save_checkpoint(tmp_path / "pvqe-xs-far.pt", with_far_branch(network, CONFIGS["pvqe-xs-far"]), {})
    (tmp_path / "stages.toml").write_text(STAGES)
    (tmp_path / "plan.toml").write_text(PLAN)
    return ["--speech", str(recordings / "speech"), "--noise", str(recordings / "noise"), "--simulated-rooms", "2",
            "--cache", str(tmp_path / "cache"), "--checkpoints", str(tmp_path), "--plan", str(tmp_path / "plan.toml"),
            "--threads", "1", "--out", str(tmp_path / "out"), "--save-seconds", "0.2"]  # fmt: skip


def call(arguments: list[str], *more: str) -> Result:
    result = CliRunner().invoke(main, [*arguments, *more], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def logged_steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_budget_is_spent_though_a_call_is_killed_and_its_machine_lost(
    arguments: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killed = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "training.budget",
            *arguments,
            "--minutes",
            "2",
            "--work",
            str(tmp_path / "first"),
        ],
        cwd=PROJECT,
    )
    deadline = time.monotonic() + 300
    while not (out / "pvqe-xs.pt").exists() or Progress.load(out).runs["pvqe-xs"].position is None:
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    left = Progress.load(out)
    steps = left.runs["pvqe-xs"].position[2]
    assert steps and not left.runs["pvqe-xs"].finished and left.spent_s > 0

    shutil.copytree(out, tmp_path / "results")

    # The same machine goes on from the state, and nothing is measured again.
    seconds = left.spent_s / SHARE + max(5, left.spent_s / 2)  # more, where the machine is busy
    more = ["--budget-minutes", str(seconds / 60), "--minutes", "9"]
    result = call(arguments, *more, "--work", str(tmp_path / "first"))
    assert "last call" in result.output
    progress = Progress.load(out)
    assert progress.runs["pvqe-xs"].finished
    assert progress.runs["pvqe-xs"].trials == left.runs["pvqe-xs"].trials
    assert progress.runs["pvqe-xs"].position[2] > steps and progress.runs["pvqe-xs-far"].position[2] > 0
    assert left.spent_s < progress.spent_s
    logged = logged_steps(out / "pvqe-xs.jsonl")
    assert logged == list(range(20, logged[-1] + 1, 20))
    network, history = load_checkpoint(out / "pvqe-xs.pt")
    far, _ = load_checkpoint(out / "pvqe-xs-far.pt")
    assert far.profiles_of == model_id(network) != model_id(load_checkpoint(tmp_path / "pvqe-xs.pt")[0])
    assert history["steps"] == progress.runs["pvqe-xs"].position[2]
    assert "last call" in call(arguments, *more, "--work", str(tmp_path / "first")).output
    # The other one may have been cut off, and goes on.
    assert Progress.load(out).runs["pvqe-xs"] == progress.runs["pvqe-xs"]

    # Another machine, which knows the results alone, goes on from those; the time is over but for a moment.
    more = ["--budget-minutes", str((left.spent_s / SHARE + max(4, left.spent_s / 2)) / 60), "--minutes", "9"]
    result = call(arguments, *more, "--work", str(tmp_path / "second"), "--resume", str(tmp_path / "results"))
    elsewhere = Progress.load(out).runs["pvqe-xs"]
    assert "last call" in result.output and elsewhere.finished and elsewhere.position[2] > steps
    assert load_checkpoint(out / "pvqe-xs.pt")[1]["steps"] == elsewhere.position[2]
    assert logged_steps(tmp_path / "second/pvqe-xs/log.jsonl")[0] == 20


def test_memory_that_runs_out_in_a_run_leaves_the_next_best_setting(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    go = Run.go

    def first_runs_out(run: Run) -> None:
        sizes.append(run.trainer.stages[0].scenes.speaker_groups)
        if len(sizes) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        go(run)

    monkeypatch.setattr(budget.Run, "go", first_runs_out)
    (tmp_path / "stages.toml").write_text(STAGES.replace("teacher_weight", "# teacher_weight"))
    (tmp_path / "plan.toml").write_text(PLAN.rpartition("[[run]]")[0].replace(str(SHARE), "1.0"))
    call(arguments, "--work", str(tmp_path / "work"), "--minutes", "0.05")
    assert sorted(sizes[:2]) == [1, 2]
    trials = {
        trial.setting.speaker_groups: trial
        for trial in Progress.load(tmp_path / "out").runs["pvqe-xs"].trials
    }
    assert trials[sizes[0]].failure and not trials[sizes[1]].failure


def test_a_size_for_which_memory_does_not_suffice_is_left_out(simulator: SceneSimulator) -> None:
    stage = Stage("s", 10, 1e-3, scenes=replace(QUIET, clip_s=0.5))
    trials: list[Trial] = []
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (300 << 20), hard))
    try:
        trainer, best = measure(
            lambda setting: Trainer(Network(CONFIGS["pvqe-xs"]), [setting.stage(stage)], simulator, None, 0),
            [150, 1, 300], noise_scale=1e6, seconds=0.01, report=trials.append,
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert [trial.setting.speaker_groups for trial in trials] == [1, 150]  # what is larger still is not tried
    assert best is trials[0] and best.times_real_time > 0 and "memory" in trials[1].failure
    assert trainer.stages[0].scenes.speaker_groups == 1
    assert (trainer.steps, trainer.seconds) == (0, 0)  # as if nothing had been tried


def test_the_setting_that_makes_most_progress_is_taken_not_the_one_that_hears_most() -> None:
    small, large = Trial(Setting(32), 0.2, 10_000), Trial(Setting(96), 0.5, 12_000)
    assert small.progress(270) > large.progress(270)  # a third of the steps
    assert small.progress(2700) < large.progress(2700)
    assert Trial(Setting(32, compiled=True), 0.1).progress(270) > small.progress(270)
    assert replace(small, failure="out of memory").progress(270) == 0
    stage = Setting(96).stage(Stage("s", 1, 1e-3, scenes=replace(QUIET, speaker_groups=24)))
    assert stage.scenes.speaker_groups == 96 and stage.learning_rate == pytest.approx(2e-3)


def test_the_plan_that_comes_with_it_is_of_the_weights_that_ship(tmp_path: Path) -> None:
    plan = load_plan(RECIPES / "budget.toml")
    seen: list[str] = []
    for run in plan.runs:
        network, _ = load_checkpoint(CHECKPOINTS / f"{run.network}.pt")
        check_fits(network, run.stage)
        assert network.makes_profiles or profiles_id(network).rpartition("-")[0] in seen
        assert run.stage.scenes.speaker_groups in run.speaker_groups
        seen.append(run.network)
    (tmp_path / "stages.toml").write_text(STAGES)
    (tmp_path / "plan.toml").write_text(PLAN.replace("share = 0.4", "share = 0.5"))
    with pytest.raises(ValueError, match="must be 1 together"):
        load_plan(tmp_path / "plan.toml")
