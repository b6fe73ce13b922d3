"""``edge-pse enhance`` of many files: real files in real processes, faults among them, ended and run again."""

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_pse import AudioError, Enhancer
from edge_pse.audio.files import Done, Failed, Job, Manner, enhance_many, many
from tests.edge_pse.conftest import PROGRAM

DEADLINE_S = 120


@pytest.fixture
def day(tmp_path, recording):
    """A folder of recordings, one of which is damaged."""
    for name in ("one.wav", "room/two.flac"):
        path = tmp_path / "day" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, recording("ls367_speech")[:16_000], 16_000)
    (tmp_path / "day" / "damaged.wav").write_bytes(b"RIFF and no more")
    return tmp_path / "day"


@pytest.fixture
def long_files(tmp_path, recording):
    """Recordings of 40 seconds."""
    folder = tmp_path / "long"
    folder.mkdir()
    speech = np.resize(recording("ls3080_enrollment"), 40 * 16_000)
    for name in ("a.wav", "b.wav", "c.wav"):
        soundfile.write(folder / name, speech, 16_000)
    return folder


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files_in(folder)}


def test_what_fails_is_told_at_the_end_and_a_second_run_goes_on(run, day, model, tmp_path):
    out = tmp_path / "clean"
    first = run("enhance", day, "-o", f"{out}/", "--jobs", 2)
    assert first.exit_code == 1
    assert first.stdout.startswith(f"Wrote 2 files into {out}: 2.0 s in ")
    assert first.stderr.splitlines()[0] == "1 of 3 files failed:"
    assert first.stderr.splitlines()[1].startswith(f"  {day}/damaged.wav is not audio that can be read here")
    assert files_in(out) == ["one.wav", "room/two.flac"]
    made = contents(out)
    for name in made:
        samples, rate = soundfile.read(day / name, dtype="float32")
        enhanced, _ = soundfile.read(out / name, dtype="float32")
        np.testing.assert_allclose(enhanced, Enhancer(model).enhance(samples, rate), atol=1e-4)

    shutil.copy(day / "one.wav", day / "damaged.wav")
    os.utime(day / "one.wav", (time.time() + 10,) * 2)
    second = run("enhance", day, "-o", out, "--jobs", 1)
    assert second.exit_code == 0
    assert second.stderr == ""
    wrote, left = second.stdout.splitlines()
    assert wrote.startswith(f"Wrote 1 file into {out}: 1.0 s in ")
    assert left == (
        "Left 2 files that were there already, 1 of them older than what it was made of; --overwrite makes them anew."
    )
    assert made.items() < contents(out).items()
    assert (out / "damaged.wav").read_bytes() == made["one.wav"]


def test_only_when_asked_files_are_made_anew(run, day, tmp_path):
    out = tmp_path / "clean"
    out.mkdir()
    (out / "one.wav").write_bytes(b"mine")
    left = run("enhance", day / "one.wav", "-o", out)
    assert left.stdout == "Left 1 file that was there already; --overwrite makes them anew.\n"
    assert contents(out) == {"one.wav": b"mine"}
    assert run("enhance", day / "one.wav", "-o", out, "--overwrite").exit_code == 0
    assert soundfile.info(out / "one.wav").frames == 16_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{day}", "{day}/one.wav", "-o", "{day}/one.wav"], "is the name of a file: name a folder"),
        (["{day}", "-o", "{day}/"], "is itself to be enhanced"),
        (["{day}", "-o", "{out}", "--model", "none"], "There is no model 'none'"),
    ],
)
def test_what_can_not_be_is_said_once_and_nothing_is_done(refused, day, tmp_path, words, message):
    before = contents(tmp_path)
    words = [word.format(day=day, out=tmp_path / "out") for word in words]
    assert message in refused("enhance", *words)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{day}", "-o", "out/", "--far-end", "far.wav"], "--far-end is for one IN"),
        (["-", "{day}", "-o", "out/"], "- stands alone"),
        (["{day}/one.wav", "{day}/room/two.flac", "-o", "-"], "- stands alone"),
        (
            ["{day}/one.wav", "-o", "out.wav", "--jobs", "2"],
            "--jobs and --overwrite are for an OUT that is a folder",
        ),
    ],
)
def test_options_of_one_file_are_not_for_many(refused, day, words, message):
    assert message in refused("enhance", *(word.format(day=day) for word in words), status=2)


def test_a_name_that_is_empty_is_not_the_folder_where_one_is(refused, day, monkeypatch):
    monkeypatch.chdir(day)
    before = contents(day)
    for words in (["", "-o", "out/"], ["one.wav", "room/two.flac", "-o", ""]):
        assert "the name is empty" in refused("enhance", *words, status=2)
    for words in (["who", ""], ["enroll", "anna", "--from", ""], ["profiles", "export", "anna", ""]):
        assert "the name is empty" in refused(*words, status=2)
    assert contents(day) == before


def test_a_full_disk_fails_each_file_and_leaves_nothing_of_them(run, day, small_disk, fill):
    fill(small_disk)
    result = run("enhance", day / "one.wav", day / "room/two.flac", "-o", small_disk, "--jobs", 1)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "2 of 2 files failed:" in result.stderr
    assert result.stderr.count("make room on the disk") == 2
    assert files_in(small_disk) == ["filler"]


def test_a_process_that_dies_costs_its_own_file_only(long_files, tmp_path):
    jobs = [Job(long_files / name, tmp_path / "out" / name) for name in ("a.wav", "b.wav")]
    before = set(multiprocessing.active_children())
    ends = []
    for event in enhance_many(jobs, Manner("pvqe-xs", "auto"), 1):
        if not ends and not isinstance(event, Done | Failed):
            (worker,) = set(multiprocessing.active_children()) - before
            worker.kill()
            ends.append(None)
        elif isinstance(event, Done | Failed):
            ends.append(event)
    _, failed, done = ends
    assert (failed.job, done.job) == tuple(jobs)
    assert failed.reason.startswith(
        f"{jobs[0].source}: the process that enhanced it ended in the middle (SIGKILL)"
    )
    assert soundfile.info(jobs[1].target).frames == 40 * 16_000
    assert not jobs[0].target.exists()


@pytest.mark.parametrize("most", [0, 1])
def test_where_no_more_processes_can_be_started_those_that_run_do_the_rest(day, tmp_path, monkeypatch, most):
    started, start = [], many._Worker

    def limited(manner):
        if len(started) == most:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        started.append(start(manner))
        return started[-1]

    monkeypatch.setattr(many, "_Worker", limited)
    names = ("one.wav", "room/two.flac")
    jobs = [Job(day / name, tmp_path / "out" / Path(name).name) for name in names]
    enhancing = enhance_many(jobs, Manner("pvqe-xs", "auto"), 2)
    if most == 0:
        with pytest.raises(AudioError, match=r"Too many open files.*smaller --jobs"):
            list(enhancing)
    else:
        assert sum(isinstance(event, Done) for event in enhancing) == 2


def workers_of(process):
    """Ids of the processes that it has started to enhance files."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def started(folder, out, home, when=None):
    """The command in a group of processes of its own, as a terminal runs it, in the middle of a file.

    ``when``: of the process, whether it is far enough.
    """
    process = subprocess.Popen(
        [*PROGRAM, "enhance", str(folder), "-o", f"{out}/", "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EDGE_PSE_HOME": str(home)},
        start_new_session=True,
    )
    wait_for(
        lambda: process.poll() is not None or (when(process) if when else list(out.glob(".edge-pse-*.tmp")))
    )
    assert process.poll() is None
    return process


def wait_for(happened):
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def none_left(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("to_all", [True, False], ids=["Ctrl-C", "SIGTERM"])
def test_ended_half_way_all_processes_end_and_leave_nothing_half_written(long_files, tmp_path, home, to_all):
    out = tmp_path / "out"
    process = started(long_files, out, home)
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode not in (0, -signal.SIGTERM)
    assert "run it again to go on." in errors
    assert "Traceback" not in errors
    wait_for(lambda: none_left(process.pid))
    assert not list(out.glob(".*"))
    assert all(soundfile.info(path).frames == 40 * 16_000 for path in out.iterdir())


def test_ended_while_its_processes_start_none_of_them_shows_where_it_was(long_files, tmp_path, home):
    process = started(long_files, tmp_path / "out", home, when=workers_of)
    masks = [Path(f"/proc/{worker}/status").read_text() for worker in workers_of(process)]
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert "run it again to go on." in errors and "Traceback" not in errors
    # That depends on the moment; this does not: Ctrl-C is kept from them, from the very first.
    blocked = [
        int(line.split()[1], 16) for mask in masks for line in mask.splitlines() if line.startswith("SigBlk")
    ]
    assert blocked and all(bits >> (signal.SIGINT - 1) & 1 for bits in blocked)


def test_killed_and_run_again_it_goes_on_and_sweeps_up(run, long_files, tmp_path, home):
    out = tmp_path / "out"
    process = started(long_files, out, home)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=DEADLINE_S)
    there = len(list(out.glob("*.wav")))
    assert list(out.glob(".edge-pse-*.tmp"))
    again = run("enhance", long_files, "-o", out, "--model", "pvqe-xs")
    assert again.exit_code == 0
    assert f"Wrote {3 - there} files into" in again.stdout
    assert files_in(out) == ["a.wav", "b.wav", "c.wav"]
    assert all(soundfile.info(path).frames == 40 * 16_000 for path in out.iterdir())


def test_a_process_that_was_orphaned_ends_by_itself(long_files, tmp_path, home):
    out = tmp_path / "out"
    process = started(long_files, out, home)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    wait_for(lambda: none_left(process.pid))
    assert not list(out.glob(".*"))
