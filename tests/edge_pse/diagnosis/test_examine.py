"""A check that hangs or dies is a finding like any other."""

import threading
import time

from edge_pse.diagnosis import CHECKS, examine
from edge_pse.diagnosis.finding import ok


def test_one_check_that_hangs_and_one_that_dies_hide_none_of_the_others():
    never = threading.Event()
    checks = {"hangs": never.wait, "dies": lambda: 1 / 0, "works": lambda: ok("Fine.")}
    began = time.monotonic()
    found = dict(examine(checks, limit_s=0.3))
    assert time.monotonic() - began < 3
    never.set()
    assert list(found) == list(checks)
    assert (found["hangs"].status, found["dies"].status, found["works"].status) == ("fail", "fail", "ok")
    assert "No answer" in found["hangs"].sentence and found["hangs"].advice
    assert "ZeroDivisionError" in found["dies"].sentence


def test_all_that_live_sound_needs_is_looked_at():
    assert {"PortAudio", "ALSA", "access", "real-time limits", "CPU governor", "throttling"} <= set(CHECKS)
    assert {"sound server", "virtual microphone", "model in time", "profiles", "runtimes"} <= set(CHECKS)
