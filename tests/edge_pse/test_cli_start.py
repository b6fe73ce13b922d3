"""How little a command loads before it does what it was asked."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.__stderr__))
from edge_pse.cli import main; main()
"""
HEAVY = {
    "numpy",
    "soundfile",
    "soxr",
    "sounddevice",
    "rich",
    "ai_edge_litert",
    "tflite_runtime",
    "onnxruntime",
}


@pytest.fixture
def loaded(home):
    """``loaded("info")`` -> the modules that the command, as a process of its own, had loaded when it ended."""

    def end(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "EDGE_PSE_HOME": str(home)},
        )
        return set(json.loads(done.stderr.splitlines()[-1]))

    return end


@pytest.mark.parametrize("arguments", [["--version"], ["ctl", "status"], ["ctl", "--help"], ["enrol"]])
def test_what_needs_no_sound_loads_nothing_for_it(loaded, arguments):
    modules = loaded(*arguments)
    assert "edge_pse.cli.streams" in modules
    assert not modules & HEAVY


def test_a_command_loads_no_other_one(loaded):
    modules = loaded("profiles", "list")
    assert "edge_pse.cli.profiles" in modules
    others = ("bench", "doctor", "enhance", "enroll", "panel", "personalise", "run", "wyoming")
    assert not modules & {f"edge_pse.cli.{name}" for name in others}


def test_a_file_that_is_enhanced_where_nobody_watches_loads_no_terminal(loaded, fixtures, tmp_path):
    target = tmp_path / "enhanced.wav"
    modules = loaded("enhance", str(fixtures / "ls367_speech.opus"), "-o", str(target))
    assert target.exists() and "numpy" in modules
    assert not modules & {"rich", "sounddevice"}


def test_a_name_that_is_nearly_one_gets_advice(refused):
    assert refused("enrol", status=2) == "Error: No such command 'enrol'. Did you mean 'enroll'?"
