"""Variables that hold nonsense, signals that are to be ignored, and programs that hang."""

import os
import signal
import subprocess
import sys
import time

import pytest

from edge_pse.cli import resuming
from edge_pse.service import Service

HANGS = """
import sys, time
from edge_pse.cli import main
from edge_pse.cli.program import commands

@commands.command()
def hang():
    said = "ready"
    while True:
        try:
            print(said, flush=True)
            time.sleep(60)  # like a library that does not come back
        except KeyboardInterrupt:
            said = "again"

sys.argv = ["edge-pse", "hang"]
main()
"""
INTERRUPTED_AT = """
import os, sys

class Interrupts:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Interrupts())
from edge_pse.cli import main
main()
"""
WAITS = """
import threading
from edge_pse.cli.stopping import stop_on_signals
stop = threading.Event()
stop_on_signals(stop)
print("ready", flush=True)
print("stopped" if stop.wait(1) else "went on")
"""


def test_the_second_interrupt_ends_what_hangs():
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        # The interrupt may come before the other line is out for good.
        assert "again\n" in iter(program.stdout.readline, "")
        program.send_signal(signal.SIGINT)
        try:
            assert program.wait(5) == 128 + signal.SIGINT
        finally:
            program.kill()


@pytest.mark.parametrize("module", ["click", "edge_pse.cli.stopping"])
def test_an_interrupt_while_the_command_is_loaded_ends_it_without_a_word(module):
    program = [sys.executable, "-c", INTERRUPTED_AT.format(module=module, number=2), "--version"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_libraries_are_loaded_does_not_come_up_in_the_middle_of_them(number):
    interrupted = INTERRUPTED_AT.format(module="soxr.soxr_ext", number=int(number))
    program = [sys.executable, "-c", interrupted, "enhance", "--help"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


@pytest.mark.parametrize(
    "arguments",
    [("enhance", "a.wav", "-o", "b.wav", "--strength"), ("stream", "--strength"), ("run", "--strength"),
     ("run", "--latency"), ("bench", "--seconds"), ("ctl", "strength"), ("enroll", "me", "--seconds"),
     ("personalise", "me", "--seconds"), ("personalise", "me", "--minutes")],
    ids=" ".join,
)  # fmt: skip
def test_what_is_no_number_is_no_strength_and_no_time(refused, arguments):
    assert "'nan' is no number" in refused(*arguments, "nan", status=2)


@pytest.mark.parametrize(("ignored", "end"), [(True, "went on"), (False, "stopped")])
def test_a_hang_up_that_is_to_be_ignored_is(ignored, end):
    with subprocess.Popen(
        [sys.executable, "-c", WAITS],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=(lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if ignored else None,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGHUP)
        assert program.stdout.readline() == f"{end}\n"


@pytest.mark.parametrize(
    "text",
    ["", "{", "3", "[]", "{}", '{"profiles": 3, "strength": 1, "bypass": true}', "[" * 100_000,
     '{"profiles": ["me", 3], "strength": 1, "bypass": true, "recording": null}',
     '{"profiles": null, "strength": NaN, "bypass": true}', '{"profiles": null, "strength": 7, "bypass": true}',
     '{"profiles": null, "strength": true, "bypass": true}', '{"profiles": null, "strength": 1, "bypass": 1}'],
)  # fmt: skip
def test_what_no_program_of_ours_handed_on_is_not_taken(monkeypatch, text):
    monkeypatch.setenv("EDGE_PSE_RESUMED", text)
    assert resuming.taken() is None
    assert "EDGE_PSE_RESUMED" not in os.environ


def test_what_was_handed_on_is_taken_once(monkeypatch):
    monkeypatch.setenv("EDGE_PSE_RESUMED", "")
    resumed = resuming.Resumed(["me", "you"], 0.5, bypass=True)
    resumed.hand_on()
    assert resuming.taken() == resumed
    assert resuming.taken() is None


@pytest.mark.parametrize(
    "odd",
    [{"WATCHDOG_USEC": text} for text in ("abc", "-5", "1e3", "9" * 500, "²", " ", "")]
    + [{"WATCHDOG_PID": text, "WATCHDOG_USEC": "1"} for text in ("abc", "")]
    + [
        {"NOTIFY_SOCKET": text}
        for text in ("relative", "/" + "x" * 500, "@" + "y" * 500, "/\udce9", "@", "/")
    ],
    ids=str,
)
def test_a_manager_that_speaks_nonsense_is_none(odd):
    began = time.monotonic()
    service = Service({"NOTIFY_SOCKET": "/nowhere", **odd})
    service.alive()
    service.status("a name that is no text: \udce9")
    service.stopping()
    assert time.monotonic() - began < 1
    assert service.managed == (odd.get("NOTIFY_SOCKET") != "relative")
