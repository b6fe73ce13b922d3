"""Commands whose output can't be written: what they were asked for is done, and no traceback is shown."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from tests.edge_pse.conftest import PROGRAM


@pytest.fixture
def command(home):
    """``command("info", stdout=file)`` -> exit status and what stood on stderr."""

    def invoke(*arguments, **streams):
        done = subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "EDGE_PSE_HOME": str(home)},
            timeout=120,
            **{"stderr": subprocess.PIPE, **streams},
        )
        assert b"Traceback" not in (done.stderr or b"")
        assert b"Exception" not in (done.stderr or b"")
        return done.returncode, (done.stderr or b"").decode()

    return invoke


@pytest.fixture
def full():
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as file:  # noqa: PTH123
        yield file


@pytest.fixture
def closed():
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


PRINTING = [("info",), ("profiles", "list"), ("devices",), ("doctor", "--help"), ("--version",)]


@pytest.mark.parametrize("arguments", PRINTING)
def test_what_is_for_its_output_fails_as_a_filter_does(command, full, closed, arguments):
    status, said = command(*arguments, stdout=full)
    assert status == 1
    assert said.endswith("Error: The output could not be written (No space left on device).\n")
    status, said = command(*arguments, stdout=closed)
    assert (status, said) == (-signal.SIGPIPE, "")


def test_what_is_said_of_a_voice_is_not_called_done_where_it_is_lost(command, full, fixtures):
    reading = fixtures / "ls3080_enrollment.opus"
    assert command("enroll", "anna", "--from", reading, stdout=full)[0] == 0  # the profile is there
    for arguments in (
        ("enroll", "anna", "--verify", "--from", reading),
        ("who", fixtures / "ls3080_speech.opus"),
    ):
        status, said = command(*arguments, stdout=full)
        assert status == 1
        assert said.endswith("Error: The output could not be written (No space left on device).\n")


@pytest.mark.parametrize("lost", ["full", "closed", "nothing"])
def test_a_file_that_is_whole_is_not_called_failed(command, request, fixtures, tmp_path, lost):
    source, target = fixtures / "ls3080_speech.opus", tmp_path / "out.wav"
    if lost == "nothing":
        status, said = command("enhance", source, "-o", target, preexec_fn=lambda: os.close(1))
    else:
        status, said = command("enhance", source, "-o", target, stdout=request.getfixturevalue(lost))
    assert status == 0
    assert target.stat().st_size > 10_000
    assert (
        said
        == {
            "full": "All is done, but it could not be said here (No space left on device).\n",
            "closed": "",
            "nothing": "All is done, but it could not be said here (Bad file descriptor).\n",
        }[lost]
    )


@pytest.mark.parametrize("descriptors", [(0, 1), (0, 2), (0, 1, 2)])
def test_a_file_is_made_though_several_streams_were_closed_before(command, fixtures, tmp_path, descriptors):
    def close():
        for descriptor in descriptors:
            os.close(descriptor)

    target = tmp_path / "out.wav"
    assert command("enhance", fixtures / "ls3080_speech.opus", "-o", target, preexec_fn=close)[0] == 0
    assert target.stat().st_size > 10_000


def test_a_profile_is_made_though_nobody_hears_of_it(command, full, fixtures, home):
    status, _ = command(
        "enroll", "me", "--from", fixtures / "ls367_enrollment.opus", stdout=full, stderr=full
    )
    assert status == 0
    shutil.copy(next(home.rglob("*.profile.json")), home / "copy")
    assert json.loads((home / "copy").read_text())["name"] == "me"


def test_a_failure_stays_one_where_its_sentence_is_lost(command, full, closed, tmp_path):
    arguments = ("enhance", tmp_path / "missing.wav", "-o", tmp_path / "out.wav")
    assert command(*arguments, stdout=full, stderr=full)[0] == 1
    assert command(*arguments, stdout=closed, stderr=closed)[0] == 1
    assert command(*arguments, stdout=subprocess.DEVNULL, stderr=None, preexec_fn=lambda: os.close(2))[0] == 1


def test_a_signal_that_the_starting_program_has_blocked_ends_it_all_the_same(command, closed):
    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])

    assert command("info", stdout=closed, preexec_fn=block) == (-signal.SIGPIPE, "")


@pytest.mark.parametrize(
    "arguments", [("enhance", "-h"), ("profiles", "export", "--help"), ("virtual-mic", "on", "-h")]
)
def test_help_that_is_lost_is_not_called_done(command, full, arguments):
    status, said = command(*arguments, stdout=full)
    assert (status, said) == (1, "Error: The output could not be written (No space left on device).\n")


def test_findings_that_are_lost_are_told_where_something_fails_too(command, full, home):
    damaged = home / "profiles"
    damaged.mkdir(parents=True)
    (damaged / "anna.profile.json").write_text("{")
    assert command("doctor", stdout=subprocess.DEVNULL)[0] == 1
    status, said = command("doctor", stdout=full)
    assert status == 1
    assert said.endswith("Error: The output could not be written (No space left on device).\n")
