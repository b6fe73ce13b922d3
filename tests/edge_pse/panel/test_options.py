"""The file with the options of the service, read and written as systemd and people do it."""

import shutil
import subprocess

import pytest

from edge_pse.errors import ControlError
from edge_pse.panel import options


@pytest.fixture
def path(tmp_path):
    return tmp_path / "edge-pse" / "service.conf"


def written(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return options.read(path)


def test_without_a_file_it_is_what_the_service_begins_with(path):
    assert options.read(path).words() == ["--output", "virtual", "--on-demand"]
    assert written(path, "# nothing\nOTHER=1\n").words() == ["--output", "virtual", "--on-demand"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--output virtual --profile me", ["--output", "virtual", "--profile", "me"]),
        ('"--output virtual --input=desk"', ["--output", "virtual", "--input", "desk"]),
        ("'--input \"USB Mic\"'", ["--input", "USB Mic"]),
        ("--input 'USB Mic' --channel 2", ["--input", "USB Mic", "--channel", "2"]),
        (r"--input a\\b", ["--input", "ab"]),
        ("", []),
    ],
)
def test_what_a_person_has_written_is_read(path, text, words):
    assert written(path, f"EDGE_PSE_OPTIONS={text}\n").words() == words


def test_one_option_is_changed_and_all_else_stays(path):
    kept = written(
        path,
        "# mine\nEDGE_PSE_OPTIONS=--output virtual --on-demand --channel 2 --profile me --profile you\nOTHER=1\n",
    )
    assert (
        kept.get("--profile") == ["me", "you"] and kept.get("--on-demand") == [""] and not kept.get("--input")
    )
    kept.set("--profile", ["they"])
    kept.set("--on-demand", [])
    kept.set("--input", ["USB 'Mic' \\ \"x\" $HOME -y"])
    options.write(path, kept)
    again = options.read(path)
    assert again.words() == kept.words()
    assert again.get("--input") == ["USB 'Mic' \\ \"x\" $HOME -y"]
    assert again.get("--channel") == ["2"] and not again.get("--on-demand")
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# mine", "OTHER=1"] and len(lines) == 3


def test_a_value_that_begins_with_a_dash_is_no_option(path):
    kept = options.read(path)
    kept.set("--input", ["-rf"])
    assert "--input=-rf" in kept.words()
    options.write(path, kept)
    assert options.read(path).get("--input") == ["-rf"]


def test_what_can_t_be_one_line_is_refused(path):
    with pytest.raises(ControlError, match="no option can hold"):
        options.read(path).set("--input", ["a\nEDGE_PSE_OPTIONS=--record x"])


def test_a_file_that_is_damaged_is_told(path):
    with pytest.raises(ControlError, match="can't be read"):
        written(path, "EDGE_PSE_OPTIONS=--input 'never closed\n")


def test_systemd_reads_the_same(path):
    """Where it is here: what a unit with this file is started with."""
    if (
        shutil.which("systemd-run") is None
        or subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True).returncode
    ):
        pytest.skip("systemd does not run for this user")
    kept = options.read(path)
    kept.set("--input", ["USB 'Mic' \\ \"x\" $HOME -y"])
    options.write(path, kept)
    done = subprocess.run(
        ["systemd-run", "--user", "--pipe", "--wait", "--quiet", f"--property=EnvironmentFile={path}",
         "sh", "-c", 'printf "%s\\n" "$@"', "sh", "$EDGE_PSE_OPTIONS"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == kept.words()
