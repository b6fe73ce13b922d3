"""Laptops with macOS or Windows, as far as this machine can play one; and users without a home.

What was never seen is a real one: see the README.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.edge_pse import elsewhere

PROJECT = Path(__file__).parents[2]
WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
"""Root, but for what lets it open what is closed to it."""


def run(place, *commands, before=(), **environment):
    """Each command as ``words`` -> (exit status, what it said); none of them ends in a traceback."""
    words = [str(word) for word in (*before, sys.executable, "-m", "tests.edge_pse.elsewhere", place)]
    split = [[str(word) for word in command] for command in commands]
    env = {name: value for name, value in os.environ.items() if name != "EDGE_PSE_HOME"} | environment
    done = subprocess.run(
        [*words, json.dumps(split)], cwd=PROJECT, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    for command, (_, said, trace) in zip(split, results, strict=True):
        assert not trace, f"{command}\n{said}\n{trace}"
    return [(status, said) for status, said, _ in results]


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_what_only_unix_has_is_not_needed(platform, tmp_path, fixtures):
    exported, enhanced = tmp_path / "me.json", tmp_path / "enhanced.wav"
    results = run(
        platform,
        ("enroll", "me", "--from", fixtures / "ls367_enrollment.opus"),
        ("enroll", "me", "--add", "--from", fixtures / "ls367_speech.opus"),
        ("profiles", "list"),
        ("profiles", "show", "me"),
        ("profiles", "export", "me", exported),
        ("profiles", "import", exported, "--name", "again"),
        ("profiles", "delete", "again"),
        ("enhance", fixtures / "ls367_speech.opus", "-o", enhanced, "--profile", "me"),
        ("enhance", enhanced, "-o", enhanced, "--profile", "me"),
        ("bench", "--seconds", "0.2"),
        ("info",),
        ("devices",),
        ("virtual-mic", "status"),
        ("run", "--help"),
        EDGE_PSE_HOME=str(tmp_path / "voices"),
    )
    assert [status for status, _ in results] == [0] * len(results), results
    said = [text for _, text in results]
    assert "Enrolled me" in said[0]
    assert "Added to me" in said[1]
    assert "me" in said[2]
    assert enhanced.stat().st_size > 0
    assert soundfile.info(enhanced).frames == soundfile.info(fixtures / "ls367_speech.opus").frames


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_what_needs_unix_sockets_says_so_in_one_sentence(platform, tmp_path):
    for status, said in run(platform, ("panel",), ("ctl", "status"), EDGE_PSE_HOME=str(tmp_path)):
        assert status == 1
        assert "Unix sockets" in said and said.startswith("Error: ") and said.count("\n") == 1, said


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_the_doctor_does_not_ask_for_what_only_linux_has(platform, tmp_path):
    ((_, said),) = run(platform, ("doctor",), EDGE_PSE_HOME=str(tmp_path))
    assert "The check itself failed" not in said
    assert "sudo" not in said.partition("microphone")[2], said
    failures = [line for line in said.splitlines() if line.startswith("fail")]
    # What depends on this machine: its devices, PortAudio, and how busy it is.
    assert all(
        any(name in line for name in ("microphone", "PortAudio", "model in time")) for line in failures
    ), said


@pytest.mark.parametrize("home", ["none", "not there"])
def test_without_a_home_there_is_no_panel(home, tmp_path, fixtures):
    place, variables = {
        "none": ("nobody", {}),
        "not there": ("here", {"HOME": f"{fixtures / 'README.md'}/home"}),
    }[home]
    ((status, said),) = run(place, ("panel",), EDGE_PSE_HOME=str(tmp_path), XDG_CONFIG_HOME="", **variables)
    assert status == 1
    assert said.startswith("Error: ") and said.count("\n") == 1, said


def test_what_is_hidden_is_missed(tmp_path):
    """That the tests above would notice: what is taken away is gone, also for what was imported before."""
    elsewhere_only = (
        "import importlib, os, pathlib, signal, sys; from tests.edge_pse import elsewhere; elsewhere.hide('win32')\n"
        "def refused(do, *of):\n"
        "    try: do()\n"
        "    except of: return True\n"
        "assert all(refused(lambda n=n: importlib.import_module(n), ImportError) for n in elsewhere.MODULES)\n"
        "assert refused(lambda: os.geteuid(), AttributeError) and not hasattr(signal, 'SIGHUP')\n"
        "assert refused(lambda: os.open('.', os.O_RDONLY), PermissionError)\n"
        "assert refused(lambda: open('/proc/self/status'), FileNotFoundError)\n"
        "a, b = pathlib.Path(sys.argv[1], 'a'), pathlib.Path(sys.argv[1], 'b')\n"
        "a.write_text('a'); b.write_text('b')\n"
        "with b.open(): assert refused(lambda: a.replace(b), PermissionError)\n"
        "a.replace(b)\n"
    )
    subprocess.run([sys.executable, "-c", elsewhere_only, tmp_path], cwd=PROJECT, check=True)
    assert "termios" in elsewhere.MODULES


@pytest.mark.parametrize("home", ["none", "not there", "closed", "closed store"])
def test_without_a_home_each_command_goes_on_or_says_one_sentence(home, tmp_path, fixtures):
    """A container's or a service's user, a home that was never made, and one that this user may not read."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    place, environment, before = {
        "none": ("nobody", {}, ()),
        # Below a file nothing can be made, not even by root.
        "not there": ("here", {"HOME": f"{fixtures / 'README.md'}/home"}, ()),
        "closed": ("here", {"HOME": str(closed)}, WITHOUT_PRIVILEGE),
        "closed store": ("here", {"HOME": str(tmp_path), "EDGE_PSE_HOME": str(closed)}, WITHOUT_PRIVILEGE),
    }[home]
    if before and os.geteuid() != 0:
        before = ()
    elif before and shutil.which(before[0]) is None:
        pytest.skip("root without its privileges needs setpriv: apt-get install util-linux")
    speech, enhanced = fixtures / "ls367_speech.opus", tmp_path / "enhanced.wav"
    goes_on = [
        ("enhance", speech, "-o", enhanced),
        ("info",),
        ("bench", "--seconds", "0.1"),
        ("virtual-mic", "status"),
    ]
    of_a_voice = [
        ("enhance", speech, "-o", enhanced, "--profile", "me"),
        ("enroll", "me", "--from", fixtures / "ls367_enrollment.opus"),
        ("profiles", "show", "me"),
        ("profiles", "delete", "me"),
        ("run", "--profile", "me"),
    ]
    others = [
        ("profiles", "list"),
        ("virtual-mic", "on"),
        ("virtual-mic", "off"),
        ("devices",),
        ("run",),
        ("doctor",),
    ]
    try:
        results = run(place, *goes_on, *of_a_voice, *others, before=before, **environment)
    finally:
        closed.chmod(0o700)
    assert [status for status, _ in results[: len(goes_on)]] == [0] * len(goes_on), results[: len(goes_on)]
    for status, said in results[len(goes_on) : len(goes_on) + len(of_a_voice)]:
        assert status == 1
        assert said.startswith("Error: ") and said.count("\n") == 1, said
    said = results[-1][1]
    assert "The check itself failed" not in said
    assert "virtual microphone" in said
