"""``edge-pse personalise`` with real recordings and a learner that learns nothing."""

import dataclasses
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from edge_pse import Model, ProfileStore
from edge_pse.personalisation import learner
from tests.edge_pse.audio.terminal import Terminal

COMMAND = import_module("edge_pse.cli.personalise")
PROGRAM = """\
import pickle, sys
from importlib import import_module
from pathlib import Path
from edge_pse.cli import main
from edge_pse.personalisation import learner
folder, heard = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
learner._places = lambda: iter([folder])
if heard.exists():
    import_module("edge_pse.cli.personalise")._read = lambda *_: pickle.loads(heard.read_bytes())
main()
"""
PROJECT = Path(__file__).parents[2]
PATIENCE_S = 60
read = COMMAND._read


@cache
def read_once(paths):
    """With one network for all: those that ship take the profiles of one."""
    return read(paths, None, Model.load())


@pytest.fixture
def learning(learner_folder, monkeypatch):
    """A learner is found, and behaves so; recordings are listened to once."""
    monkeypatch.setattr(learner, "_places", lambda: iter([learner_folder]))
    monkeypatch.setattr(COMMAND, "_read", lambda paths, channel, model: read_once(paths))
    return lambda mode: monkeypatch.setenv("EDGE_PSE_CHILD", mode)


@pytest.fixture
def anna(fixtures):
    return ("--from", fixtures / "ls367_enrollment.opus")


@pytest.fixture
def bert(fixtures):
    return ("--from", fixtures / "ls3080_enrollment.opus")


def contents(home):
    return {path.name: path.read_bytes() for path in (home / "profiles").iterdir() if path.name != ".lock"}


def told(profile, network="pvqe-s"):
    """What the learner was told, as it says itself."""
    return profile.personal.networks[network].scores["task"]


def test_a_voice_that_is_new_is_enrolled_and_learnt(run, home, learning, anna, fixtures):
    learning("better")
    result = run(
        "personalise", "anna", *anna, "--minutes", 3, "--against", fixtures / "ls2033_enrollment.opus"
    )
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Enrolled anna: ") and lines[1].startswith("Trust: ")
    assert "pvqe-s learns anna for " in lines[2] and "Ctrl-C ends it" in lines[2]
    assert lines[3].endswith("min left, no score yet.")
    assert lines[4].endswith("+0.8 dB on pieces of the reading that it does not learn from.")
    assert lines[5:8] == ["Others are heard less.", "By 3 dB.", "Nothing else changed."]
    assert "--general goes without" in lines[8] and "edge-pse profiles export anna FILE" in lines[9]
    profile = ProfileStore().load("anna")
    assert profile.personal.fits(profile)
    assert len(told(profile)["against"]) == 1
    for file in (home / "profiles").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_one_that_is_enrolled_is_compared_extended_and_learnt(
    run, refused, home, learning, anna, bert, fixtures
):
    learning("better")
    run("enroll", "anna", fixtures / "ls367_enrollment.opus")
    before = contents(home)
    message = refused("personalise", "anna", *bert)
    assert "does not sound like anna" in message and "--replace" in message
    assert contents(home) == before
    result = run("personalise", "anna", fixtures / "ls367_speech.opus", *anna)
    assert result.exit_code == 0 and result.stdout.startswith("Heard anna: ")
    profile = ProfileStore().load("anna")
    assert len(profile.recordings) == 2 and profile.personal.fits(profile)


def test_a_recording_that_is_learnt_from_again_counts_once(run, refused, home, learning, anna):
    learning("general")
    run("personalise", "anna", *anna)
    before = contents(home)
    run("personalise", "anna", "--minutes", 20, *anna)  # as it is advised to
    assert contents(home) == before
    learning("better")
    for options in ((), ("--add",)):
        assert run("personalise", "anna", *options, *anna).exit_code == 0
        assert contents(home)["anna.profile.json"] == before["anna.profile.json"]
    more = ProfileStore().load("anna")
    assert len(more.recordings) == 1 and more.personal.fits(more) and told(more)["start"] > 0
    before = contents(home)
    result = run("enroll", "anna", "--add", *anna)
    assert result.exit_code == 1 and "made of this very recording already" in result.stderr
    assert contents(home) == before


def test_one_to_leave_out_who_is_named_twice_counts_once(run, home, learning, anna, bert):
    learning("better")
    result = run("personalise", "anna", *anna, "--against", bert[1], "--against", bert[1])
    assert result.exit_code == 0
    assert len(told(ProfileStore().load("anna"))["against"]) == 1


def test_what_is_learnt_goes_on_with_add_and_begins_anew_with_replace(
    run, refused, home, learning, anna, bert, fixtures
):
    learning("better")
    run("personalise", "anna", *anna)
    before = contents(home)
    message = refused("personalise", "anna", *anna)
    assert "has learnt the voice of 'anna' already: add --add" in message and "--replace" in message
    assert contents(home) == before
    assert run("personalise", "anna", "--add", fixtures / "ls367_speech.opus", *anna).exit_code == 0
    more = ProfileStore().load("anna")
    assert len(more.recordings) == 2 and more.personal.fits(more)
    assert told(more)["start"] == len(before["anna.personal"])
    result = run("personalise", "anna", "--replace", *bert)
    assert result.stdout.startswith("anna has personal weights (pvqe-s), ") and "again" not in result.stdout
    anew = ProfileStore().load("anna")
    assert len(anew.recordings) == 1 and anew.personal.fits(anew) and anew.id != more.id
    assert told(anew)["start"] == 0


def test_another_network_learns_the_profile_as_it_is_and_add_says_what_is_lost(
    run, home, learning, anna, fixtures
):
    learning("better")
    run("personalise", "anna", *anna)
    before = ProfileStore().load("anna")
    assert run("personalise", "anna", "--model", "pvqe-xs", *anna).exit_code == 0
    both = ProfileStore().load("anna")
    assert both.id == before.id and set(both.personal.networks) == {"pvqe-s", "pvqe-xs"}
    result = run("personalise", "anna", "--add", fixtures / "ls367_speech.opus", *anna)
    assert "pvqe-xs has to learn it again: edge-pse personalise anna --model pvqe-xs" in result.stdout
    after = ProfileStore().load("anna")
    assert set(after.personal.networks) == {"pvqe-s"} and after.personal.fits(after)
    learning("general")
    result = run("personalise", "anna", "--replace", "--model", "pvqe-xs", *anna)
    assert result.stdout.startswith("anna has personal weights (pvqe-s), ")
    assert "pvqe-s has to learn it again: edge-pse personalise anna --model pvqe-s" in result.stdout
    assert ProfileStore().load("anna").personal is None


def test_a_profile_that_has_changed_since_is_learnt_again_from_the_general_weights(
    run, home, learning, anna, fixtures
):
    learning("better")
    run("personalise", "anna", *anna)
    run("enroll", "anna", "--add", fixtures / "ls367_speech.opus")
    assert not (known := ProfileStore().load("anna")).personal.fits(known)
    assert run("personalise", "anna", *anna).exit_code == 0
    again = ProfileStore().load("anna")
    assert again.personal.fits(again) and told(again)["start"] == 0


def test_where_nothing_is_better_the_voice_is_enrolled_and_earlier_weights_stay(run, home, learning, anna):
    learning("general")
    result = run("personalise", "anna", *anna)
    assert result.exit_code == 0
    assert "So anna is enrolled, and pvqe-s goes on with its general weights." in result.stdout
    assert ProfileStore().load("anna").personal is None
    learning("better")
    run("personalise", "anna", *anna)
    before = contents(home)
    learning("general")
    result = run("personalise", "anna", "--add", *anna)
    assert (result.exit_code, contents(home)) == (0, before)
    assert "So anna stays as it was, with what pvqe-s had learnt before" in result.stdout
    assert (
        "Nothing was better." not in result.stdout
    )  # of the general weights, which are not those that it has
    result = run("personalise", "anna", "--model", "pvqe-xs", *anna)
    assert (result.exit_code, contents(home)) == (0, before)
    assert "So anna stays as it was, and pvqe-xs goes on with its general weights." in result.stdout


def test_what_is_missing_is_said_before_anybody_reads(
    refused, home, learning, anna, monkeypatch, tmp_path, recording
):
    with monkeypatch.context() as changed:
        changed.setattr(learner, "NEEDED", ("torch_that_nobody_has",))
        assert "run pip install '.[personal]'" in refused("personalise", "anna")
    with monkeypatch.context() as changed:
        changed.setattr(learner, "_places", lambda: iter([]))
        assert "is not on this machine" in refused("personalise", "anna")
    assert "There is no profile 'anna'" in refused("personalise", "anna", "--add")
    assert "Can't read missing.wav" in refused("personalise", "anna", "--against", "missing.wav")
    short = np.concatenate([recording("ls2033_speech")[:40_000], np.zeros(80_000, np.float32)])
    soundfile.write(tmp_path / "short.wav", short, 16_000)
    assert "s of speech: record 4 s" in refused("personalise", "anna", "--against", tmp_path / "short.wav")
    assert "Give only one of" in refused("personalise", "anna", "--add", "--replace", status=2)
    assert "are for the microphone" in refused("personalise", "anna", *anna, "--input", "x", status=2)
    assert "are for the microphone" in refused("personalise", "anna", *anna, "--seconds", 20, status=2)
    assert "is for files" in refused("personalise", "anna", "--channel", 1, status=2)
    assert not home.exists()


def test_on_a_disk_without_room_nobody_reads(refused, small_disk, learning, monkeypatch):
    monkeypatch.setenv("EDGE_PSE_HOME", str(small_disk))
    # The fixture of the command sets another home.
    assert "too little room" in refused("personalise", "anna")
    assert not list(small_disk.rglob("*.json"))


def test_a_learner_that_fails_leaves_what_was_there(run, refused, home, learning, anna):
    learning("error")
    result = run("personalise", "anna", *anna)
    assert result.exit_code == 1
    assert "There is too little memory here" in result.stderr
    assert set(contents(home)) == {"anna.profile.json"}
    learning("better")
    run("personalise", "anna", *anna)
    before = contents(home)
    for mode in ("killed", "garbage"):
        learning(mode)
        assert run("personalise", "anna", "--add", *anna).exit_code == 1
        assert contents(home) == before


def test_a_profile_that_another_program_changes_meanwhile_is_left(
    run, home, learning, anna, monkeypatch, male_profile
):
    learning("better")
    learn = COMMAND._learn

    def learn_and_meet(*arguments):
        learnt = learn(*arguments)
        ProfileStore().save(dataclasses.replace(male_profile, name="anna"))
        return learnt

    monkeypatch.setattr(COMMAND, "_learn", learn_and_meet)
    result = run("personalise", "anna", *anna)
    assert result.exit_code == 1 and "was changed by another program meanwhile" in result.stderr
    assert ProfileStore().load("anna").id == male_profile.id


def test_listening_to_long_recordings_takes_nothing_of_the_minutes(run, home, learning, anna, monkeypatch):
    learning("better")
    listened_s = []
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(listened_s))
    monkeypatch.setattr(COMMAND, "time", later)
    monkeypatch.setattr(COMMAND, "_read", lambda paths, *_: (listened_s.append(40.0), read_once(paths))[1])
    result = run("personalise", "anna", "--minutes", 0.5, *anna)
    assert "pvqe-s learns anna for 0.5 minutes at most" in result.stdout


def test_what_another_network_learns_meanwhile_is_kept(run, home, learning, anna, monkeypatch):
    learning("better")
    run("personalise", "anna", *anna)
    learn = COMMAND._learn

    def learn_and_meet(*arguments):
        learnt = learn(*arguments)
        monkeypatch.setattr(COMMAND, "_learn", learn)
        assert run("personalise", "anna", "--model", "pvqe-xs", *anna).exit_code == 0
        return learnt

    monkeypatch.setattr(COMMAND, "_learn", learn_and_meet)
    result = run("personalise", "anna", "--model", "pvqe-s-far", *anna)
    assert (result.exit_code, "learn it again" in result.stdout) == (0, False)
    kept = ProfileStore().load("anna").personal
    assert kept.fits(ProfileStore().load("anna"))
    assert set(kept.networks) == {"pvqe-s", "pvqe-s-far", "pvqe-xs"}


@pytest.fixture
def start(learner_folder, tmp_path, anna):
    """``start(mode)`` -> the command as a process of a user who has nothing yet, and has read already or reads now."""
    heard = tmp_path / "heard"
    heard.write_bytes(pickle.dumps(read_once((anna[1],))))
    places = [tmp_path / name for name in ("home", "tmp", "work")]
    for place in places:
        place.mkdir()
    running = []

    def begin(mode, *arguments, terminal=False, folder=learner_folder, heard=heard):
        environment = {
            "HOME": str(places[0]),
            "TMPDIR": str(places[1]),
            "EDGE_PSE_CHILD": mode,
            "LC_ALL": "C.UTF-8",
        }
        kept = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH")
        environment |= {name: os.environ[name] for name in kept if name in os.environ}
        program = [sys.executable, "-c", PROGRAM, folder, heard]
        words = [*map(str, ("personalise", "anna", *anna, *arguments))]
        if terminal:
            begun = Terminal(*words, env=environment, program=[*map(str, program)])
            running.append(begun.process)
            return begun
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen([*program, *words], cwd=places[2], env=environment, **pipes))
        return running[-1]

    begin.places = places
    yield begin
    for process in running:
        process.kill()
        process.wait()


def wait_for(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(process.stderr.read())


def left_behind(places):
    """Names of all files that a run has left, and whether the reading, or a part of it, is in one of them."""
    return {file.name: file.read_bytes() for place in places for file in place.rglob("*") if file.is_file()}


def learners(folder):
    """Processes that learn."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"-m\0personalisation" in command and f"PYTHONPATH={folder}".encode() in environment:
            found.append(process.name)
    return found


def test_interrupted_once_it_ends_with_the_best_so_far(start, learner_folder):
    process = start("until stopped")
    wait_for(process, "min left, +")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert output.startswith("Ending with the best so far. Ctrl-C again")
    assert "Others are heard less." in output
    assert {"anna.profile.json", "anna.personal"} <= set(left_behind(start.places))
    assert not learners(learner_folder)


def test_on_a_terminal_there_is_a_bar_with_what_is_left_and_gained(start, learner_folder, anna):
    begun = start("until stopped", "--minutes", "3", terminal=True)
    begun.wait_for("█", PATIENCE_S)
    begun.wait_for("min left", PATIENCE_S)
    begun.wait_for("dB on pieces of the reading that it does not learn from", PATIENCE_S)
    assert "Ctrl-C ends it with the best so far." in begun.seen
    begun.process.send_signal(signal.SIGINT)
    begun.wait_for("Ctrl-C again ends it at once", PATIENCE_S)
    begun.wait_for("By 3 dB.", PATIENCE_S)
    assert begun.process.wait(PATIENCE_S) == 0


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc, to look for processes")
def test_killed_at_any_moment_nothing_of_the_reading_is_left(start, learner_folder, recording):
    """By the parent's end, the learner's, a second Ctrl-C and the service manager; before, while and after it hears."""
    sounds = [recording("ls367_enrollment")]
    parts = [
        samples[place : place + 32].astype(kind).tobytes()
        for samples in sounds
        for place in range(8_000, len(samples), 40_000)
        for kind in (np.float32,)
    ]
    parts += [(np.frombuffer(part, np.float32) * 32767).round().astype("<i2").tobytes() for part in parts]
    deaf = "min left, no score"
    cases = {
        "parent while it listens": ("deaf", None, lambda process: process.kill()),
        "parent while it learns": ("deaf", deaf, lambda process: process.kill()),
        "learner while it learns": (
            "deaf",
            deaf,
            lambda process: os.kill(int(learners(learner_folder)[0]), 9),
        ),
        "the service manager": ("deaf", deaf, lambda process: process.terminate()),
        "Ctrl-C twice": ("deaf", deaf, interrupt_twice),
    }
    for case, (mode, moment, end) in cases.items():
        process = start(mode) if moment else start(mode, heard=Path("nothing"))
        if moment is None:
            time.sleep(0.6)
        else:
            wait_for(process, moment)
        end(process)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode != 0, case
        assert "Traceback" not in errors, case
        ended = time.monotonic()
        while learners(learner_folder):
            assert time.monotonic() - ended < 5, f"{case}: the learner goes on"
            time.sleep(0.05)
        left = left_behind(start.places)
        assert set(left) <= {"anna.profile.json", ".lock"}, case
        assert not any(part in content for content in left.values() for part in parts), case
        if moment is not None:
            assert "anna.profile.json" in left, case  # as enroll would have made it
        shutil.rmtree(start.places[0] / ".local", ignore_errors=True)


@pytest.mark.skipif(
    not (PROJECT / "personalisation/__main__.py").exists(), reason="there is no learner in this checkout"
)
def test_the_learner_itself_begins_and_ends_with_its_user(start):
    """It leaves nothing, either."""
    pytest.importorskip("torch")
    process = start("", "--threads", "1", folder=PROJECT)
    wait_for(process, "min left")
    assert learners(PROJECT)
    process.kill()
    killed = time.monotonic()
    while learners(PROJECT):
        assert time.monotonic() - killed < 5, "the learner goes on"
        time.sleep(0.05)
    assert set(left_behind(start.places)) == {"anna.profile.json", ".lock"}


def interrupt_twice(process):
    process.send_signal(signal.SIGINT)
    wait_for(process, "Ending with the best")
    process.send_signal(signal.SIGINT)


def test_the_voice_to_keep_is_not_to_be_left_out(refused, learning, anna, home):
    assert "of the voice to keep" in refused("personalise", "anna", *anna, "--against", anna[1], status=2)
    assert not (home / "profiles" / "anna.profile.json").exists()
