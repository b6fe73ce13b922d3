"""Long runs, as commands: minutes of real time at a private PulseAudio, or hours simulated without waiting.

    python -m tests.edge_pse.audio.soak live --minutes 10
    python -m tests.edge_pse.audio.soak simulated --hours 8

Each prints what it saw and ends with status 1 if delay, memory or losses grew.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from edge_pse import Enhancer
from edge_pse.audio.devices.virtual_mic import SOURCE
from edge_pse.audio.live.engine import Engine
from edge_pse.audio.pcm import to_pcm
from tests.edge_pse.audio.running import Command, SoundServer

SPEECH = Path(__file__).parents[2] / "fixtures" / "ls367_speech.opus"
HOP = 160
MOST_GROWTH_MB = 5
MOST_GROWTH_MS = 25
CLOCK_TOLERANCE = 0.01
SERVER_PRIORITY = -11  # what PulseAudio gives itself where it may


def speech() -> np.ndarray:
    return to_pcm(soundfile.read(SPEECH, dtype="float32")[0])


def resident_mb(process_id: int | str) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def live(minutes: float) -> dict[str, object]:
    """The command, with the network, between two devices of a private sound server."""
    with tempfile.TemporaryDirectory() as directory:
        server = SoundServer(Path(directory) / "server")
        server.start()
        os.setpriority(os.PRIO_PROCESS, server.process.pid, SERVER_PRIORITY)
        arguments = ("--input", "desk", "--output", "virtual", "--latency", "100")
        run = Command("run", *arguments, env=server.env)
        player = server.play(np.tile(speech(), round(minutes * 60 / 5) + 2))
        try:
            run.wait_for("Running")
            listener = server.listen(SOURCE)
            memory = []
            until = time.monotonic() + 60 * minutes
            while time.monotonic() < until:
                time.sleep(min(10, max(0.0, until - time.monotonic())))
                memory.append(resident_mb(run.process.pid))
            numbers = run.stop()
            listener.terminate()
        finally:
            run.kill()
            player.kill()
            server.kill()
        delays = [int(found[1]) for line in run.lines if (found := re.search(r"delay (\d+) ms", line))]
        said = [line for line in run.lines if "dBFS" not in line]
        settled = memory[len(memory) // 10 :]
        third = max(1, len(delays) // 3)
        grown_ms = float(np.median(delays[-third:]) - np.median(delays[:third])) if delays else 0.0
        clock_ratios = run.clock_ratios()
        return {
            **numbers,
            "load_average": os.getloadavg(),
            "samples_against_clock": clock_ratios,
            "memory_mb": [round(settled[0], 1), round(settled[-1], 1)],
            "delay_ms": delays,
            "delay_grown_ms": grown_ms,
            "said": said,
            "passed": numbers["restarts"] == 0
            and numbers["samples"] == numbers["overruns"] == 0
            and all(abs(ratio - 1) < CLOCK_TOLERANCE for ratio in clock_ratios.values())
            and grown_ms < MOST_GROWTH_MS
            and settled[-1] - settled[0] < MOST_GROWTH_MB,
        }


def simulated(hours: float) -> dict[str, object]:
    """The engine between devices whose clocks differ by 0.2 per mille, in bursts of a tenth of a second."""
    engine = Engine(Enhancer(), 16_000, 16_000)
    samples = speech()
    out = np.empty(HOP, np.int16)
    owed, levels, memory = 0.0, [], []
    for burst in range(round(hours * 36_000)):
        for index in range(burst * 10, burst * 10 + 10):
            start = index * HOP % (samples.size - HOP)
            engine.process(samples[start : start + HOP, None])
        owed += 10.002
        while owed >= 1:
            owed -= 1
            engine.playback.read_into(out)
        engine.control_delay(burst / 10)
        if burst % 600 == 0:
            levels.append(engine.playback.level // HOP)
            memory.append(resident_mb("self"))
    settled = memory[len(memory) // 10 :]
    half = len(levels) // 2
    return {
        "hours": hours,
        "hops": engine.counters.hops,
        "underruns": engine.counters.underruns,
        "most_hops_waiting": [max(levels[1:half]), max(levels[half:])],
        "memory_mb": [round(settled[0], 1), round(settled[-1], 1)],
        "passed": max(levels[half:]) <= max(levels[1:half]) + 1 and settled[-1] - settled[0] < MOST_GROWTH_MB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_subparsers(dest="which", required=True)
    which.add_parser("live").add_argument("--minutes", type=float, default=10)
    which.add_parser("simulated").add_argument("--hours", type=float, default=8)
    arguments = parser.parse_args()
    result = live(arguments.minutes) if arguments.which == "live" else simulated(arguments.hours)
    print(json.dumps(result, indent=1))
    sys.exit(not result["passed"])


if __name__ == "__main__":
    main()
