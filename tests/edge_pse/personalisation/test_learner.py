"""The process that learns, played by one that speaks its protocol: what goes to it and comes back, and how it ends."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from edge_pse.errors import PersonalisationError
from edge_pse.personalisation import learner
from edge_pse.personalisation.learner import Task
from edge_pse.profiles import PersonalWeights


@pytest.fixture
def mode(monkeypatch):
    return lambda name: monkeypatch.setenv("EDGE_PSE_CHILD", name)


@pytest.fixture
def task(recording, female_profile):
    reading = (recording("ls367_speech"), recording("ls367_enrollment"))
    return Task(
        network="pvqe-s",
        conditioning=female_profile.conditioning,
        profile_id=female_profile.id,
        reading=reading,
        against=(recording("ls2033_speech")[::2],),  # not contiguous
        start=b"weights\0\n\xff",
        minutes=2.5,
        threads=3,
    )


@pytest.fixture
def left_behind():
    """A function: processes of this one that began in this test and still are there, or were never waited for."""

    def children():
        return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())

    before = children()  # as multiprocessing keeps one of its own, once a test has used it
    return lambda: children() - before


def failure(task, folder, **options):
    with pytest.raises(PersonalisationError) as caught:
        learner.learn(task, folder=folder, **options)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    return str(caught.value)


def test_what_is_to_be_learnt_arrives_to_the_bit_and_so_does_what_was_learnt(
    task, left_behind, learner_folder, mode
):
    mode("better")
    seen = []
    learnt = learner.learn(task, seen.append, folder=learner_folder)
    assert learnt.sentences == ("Others are heard less.", "By 3 dB.", "Nothing else changed.")
    heard = PersonalWeights.decode(learnt.weights).networks["pvqe-s"].scores
    assert heard["task"] == {
        "network": "pvqe-s",
        "minutes": 2.5,
        "threads": 3,
        "profile_id": task.profile_id,
        "reading": [len(samples) for samples in task.reading],
        "against": [len(samples) for samples in task.against],
        "start": len(task.start),
    }
    sent = [np.ascontiguousarray(samples).tobytes() for samples in (*task.reading, *task.against)]
    assert heard["sha256"] == [hashlib.sha256(content).hexdigest() for content in [*sent, task.start]]
    assert heard["niceness"] == min(19, os.nice(0) + learner.NICENESS)
    assert heard["path"] == str(learner_folder)  # and not where the user happens to be
    assert [(one.minutes_left, one.steps, one.score_db) for one in seen] == [(2.5, 0, None), (1.25, 20, 0.75)]
    assert not left_behind()


def test_the_general_weights_are_kept_where_nothing_was_better(task, learner_folder, mode):
    mode("general")
    learnt = learner.learn(task, folder=learner_folder)
    assert (learnt.weights, learnt.sentences[0]) == (b"", "Nothing was better.")


def test_told_to_stop_it_gives_what_it_has(task, left_behind, learner_folder, mode):
    mode("until stopped")
    stop = threading.Event()
    seen = []

    def look(progress):
        seen.append(progress)
        if progress.score_db is not None and progress.score_db > 0.3:
            stop.set()

    assert learner.learn(task, look, stop, learner_folder).weights
    assert len(seen) > 3
    assert not left_behind()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("early", "without a result (status 1: ImportError: no module of that name)"),
        ("die", "without a result (status 1: MemoryError: no memory left)"),
        ("killed", "most likely for want of memory"),
        ("garbage", "not of the same release"),
        ("cut off", "without a result (status 0)"),
        ("error", r"There is too little memory here:[2J end other programs."),
    ],
)
def test_a_learner_that_fails_is_a_sentence(task, left_behind, learner_folder, mode, how, sentence):
    mode(how)
    assert sentence in failure(task, learner_folder)
    assert not left_behind()


def test_one_that_says_nothing_any_more_is_ended(task, left_behind, learner_folder, mode, monkeypatch):
    mode("deaf")
    monkeypatch.setattr(learner, "_SILENCE_S", 1.0)
    assert "does not go on" in failure(task, learner_folder)
    assert not left_behind()


WAITING = """\
import hashlib, sys
from pathlib import Path
import numpy as np
from edge_pse.personalisation import learner
learner._SILENCE_S = 3.0
numbers = np.zeros(4, np.float32)
task = learner.Task("pvqe-s", numbers, hashlib.sha256(numbers.tobytes()).hexdigest(), [numbers])
learner.learn(task, lambda progress: print(progress.steps, flush=True), folder=Path(sys.argv[1]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no jobs to control")
def test_who_stops_it_for_a_while_with_ctrl_z_loses_nothing(learner_folder, mode):
    mode("until stopped")
    program = [sys.executable, "-c", WAITING, str(learner_folder)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        ended = time.monotonic() + 2
        while time.monotonic() < ended:
            assert process.stdout.readline(), process.stderr.read()
        process.kill()


def test_what_is_raised_meanwhile_ends_it_at_once(task, left_behind, learner_folder, mode):
    mode("deaf")

    def interrupt(progress):
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        learner.learn(task, interrupt, folder=learner_folder)
    assert time.monotonic() - began < 5
    assert not left_behind()


def test_it_is_found_beside_the_package_then_where_pip_says_then_where_it_was_installed(
    learner_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(learner, "NEEDED", ())
    package = tmp_path / "site-packages/edge_pse/personalisation/learner.py"
    monkeypatch.setattr(learner, "__file__", str(package))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    said = {}

    class Distribution:
        def read_text(self, name):
            return said.get(name)

    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())
    with pytest.raises(PersonalisationError, match="is not on this machine"):
        learner.find()
    installed = tmp_path / "venv/share/edge-pse"
    installed.parent.mkdir(parents=True)
    installed.symlink_to(learner_folder)
    assert learner.find() == installed
    for nothing in ("", "[]", '{"url": 3}', json.dumps({"url": learner_folder.as_uri(), "archive_info": {}})):
        said["direct_url.json"] = nothing
        assert learner.find() == installed
    spaced = tmp_path / "my checkout"
    spaced.symlink_to(learner_folder)
    said["direct_url.json"] = json.dumps({"url": spaced.as_uri(), "dir_info": {}})
    assert learner.find() == spaced
    beside = tmp_path / "site-packages/personalisation"
    beside.parent.mkdir()
    beside.symlink_to(learner_folder / "personalisation")
    assert learner.find() == beside.parent


def test_what_is_missing_is_said_with_what_brings_it(learner_folder, monkeypatch):
    monkeypatch.setattr(learner, "_places", lambda: iter([learner_folder]))
    monkeypatch.setattr(learner, "NEEDED", ("numpy", "torch_that_nobody_has"))
    with pytest.raises(
        PersonalisationError, match=r"without torch_that_nobody_has: run pip install '\.\[personal\]'"
    ):
        learner.find()
