"""Names and files of others, in what the commands say: nothing reaches the terminal that it would obey."""

import dataclasses
import io
import json
import os
import subprocess
from types import SimpleNamespace

import pytest
from rich.console import Console

from edge_pse import ProfileStore
from edge_pse.cli.live_screen import Lines, Screen
from edge_pse.text import cleaned
from tests.edge_pse.conftest import PROGRAM

HOSTILE = "h\x1b[31m\x9b2J\n\u202e[/x]"


def lines_are_plain(text):
    return all(line == cleaned(line, 1000) for line in text.splitlines())


@pytest.fixture
def voices(run, home, monkeypatch, tmp_path, female_profile):
    """The store in a folder with a name that nobody should see as it is."""
    monkeypatch.setenv("EDGE_PSE_HOME", str(tmp_path / HOSTILE))
    store = ProfileStore()
    store.save(dataclasses.replace(female_profile, name="anna"))
    return store


@pytest.mark.parametrize(
    "arguments",
    [
        ("profiles", "show", "anna"),
        ("profiles", "export", "anna", HOSTILE),
        ("profiles", "show", "nobody"),
        ("profiles", "import", HOSTILE),
        ("profiles", "import", "/dev/null" + HOSTILE),
        ("enhance", HOSTILE, "-o", "out.wav"),
        ("enroll", "bert", "--from", HOSTILE),
        ("profiles", "delete", HOSTILE),
        ("info",),
    ],
)
def test_names_of_files_and_folders_are_spelled_out(run, voices, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert lines_are_plain(result.output)
    assert "\\x1b" in result.output or "\\u202e" in result.output
    assert "\\n" in result.output


def test_an_empty_store_of_such_a_name_too(run, voices):
    voices.delete("anna")
    for command in (("profiles", "list"), ("info",)):
        assert lines_are_plain(run(*command).output)


def test_a_file_that_lies_in_the_store_is_not_shown_as_it_is(run, voices):
    content = json.loads((voices.root / "anna.profile.json").read_text())
    content["model_id"] = HOSTILE
    (voices.root / "bert.profile.json").write_text(json.dumps(content))
    (voices.root / f"{HOSTILE.replace('/', '')}.profile.json").write_text("{}")
    result = run("profiles", "list")
    assert lines_are_plain(result.output)
    assert [line.split()[0] for line in result.output.splitlines()] == ["profile", "anna", "bert"]


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii:strict"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "C"}]
)
def test_no_sign_is_missing_in_any_locale(home, female_profile, environment):
    """Names that are not UTF-8, and what the locale has no sign for, in a process of its own."""
    store = ProfileStore(home / os.fsdecode(b"\xff\xc3\xa4") / "profiles")
    (heard,) = female_profile.recordings
    heard = dataclasses.replace(heard, microphone="Mikrofon für Gäste 🎙")
    store.save(
        dataclasses.replace(female_profile, name="anna").with_recording(heard, female_profile.model_id)
    )
    for command in ("show", "delete"):
        result = subprocess.run(
            [*PROGRAM, "profiles", command, "anna"],
            capture_output=True,
            env={**os.environ, "EDGE_PSE_HOME": str(store.root.parent), **environment},
        )
        assert (result.returncode, result.stderr) == (0, b"")


def test_the_live_views_spell_it_out(capsys):
    live = SimpleNamespace(status=lambda: None, counters=None, enhancer=None)
    Lines(lambda: live).say(f"Listening to {HOSTILE}.")
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert lines_are_plain(said)
    screen = Screen(lambda: live, {})
    screen.say(f"Listening to {HOSTILE}.")
    drawn = Console(file=io.StringIO(), width=200)
    drawn.print(screen._render())
    assert lines_are_plain(drawn.file.getvalue())
    assert "\\x1b[31m" in drawn.file.getvalue()
