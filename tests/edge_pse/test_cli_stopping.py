"""Told to stop at any moment, the program stops."""

import signal
import subprocess
import sys
import threading
import time

WAITS = """
import sys, threading, time
from edge_pse.cli.stopping import stop_on_signals

def compute():
    while True:
        sum(range(2_000))
        time.sleep(1e-4)

sys.setswitchinterval(1e-4)  # the main thread is often interrupted while it looks whether to stop
threading.Thread(target=compute, daemon=True).start()
for _ in range(int(sys.argv[1])):
    stop = threading.Event()
    stop_on_signals(stop)
    print("ready", flush=True)
    while not stop.wait(1e-6):
        pass
print("done", flush=True)
"""
STOPS = 1_000
LIMIT_S = 60
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_a_signal_stops_it_whatever_it_is_about_to_do():
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, str(STOPS)], stdout=subprocess.PIPE, text=True, bufsize=1
    ) as program:
        assert program.stdout is not None
        too_long = threading.Timer(LIMIT_S, program.kill)
        too_long.start()
        for k in range(STOPS):
            assert program.stdout.readline() == "ready\n"
            time.sleep(5e-4)
            program.send_signal(SIGNALS[k % len(SIGNALS)])
        assert program.wait() == 0
        too_long.cancel()
