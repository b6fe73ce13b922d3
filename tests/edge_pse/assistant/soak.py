"""Eight clients at once, for minutes of real time: ``python -m tests.edge_pse.assistant.soak --minutes 10``.

Each speaks one command after the other, as fast as a microphone does, to ``edge-pse wyoming`` before a service that
answers at once. Prints what it saw; status 1 if memory or the time from the end of a command to its transcript grew, or
a transcript was lost.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from edge_pse import ProfileStore, enroll
from tests.edge_pse.assistant.services import LOCAL, Scripted, answers, client, coded, serving
from tests.edge_pse.audio.soak import MOST_GROWTH_MB, resident_mb
from tests.edge_pse.conftest import PROGRAM

FIXTURES = Path(__file__).parents[2] / "fixtures"
CLIENTS, COMMAND_S, BLOCK, RATE_HZ = 8, 4.0, 1024, 16_000
MOST_GROWTH_MS = 50


class Forgetful(Scripted):
    """Answers, and keeps nothing that would fill the memory of this process."""

    async def react(self, event, handler):
        self.events.clear()
        return await super().react(event, handler)


def speech(name: str) -> np.ndarray:
    return soundfile.read(FIXTURES / f"{name}.opus", dtype="float32")[0]


async def talk(port: int, samples: np.ndarray, until: float) -> tuple[list[float], int]:
    """Commands until then -> from the end of each to its transcript, in ms; and how many had none."""
    delays, lost = [], 0
    content = coded(samples, 2, 1)
    while time.monotonic() < until:
        async with client(port) as home:
            await home.write_event(AudioStart(RATE_HZ, 2, 1).event())
            began = time.monotonic()
            for number, start in enumerate(range(0, len(content), 2 * BLOCK)):
                await asyncio.sleep(max(0.0, began + number * BLOCK / RATE_HZ - time.monotonic()))
                chunk = AudioChunk(RATE_HZ, 2, 1, content[start : start + 2 * BLOCK])
                await home.write_event(chunk.event())
            ended = time.monotonic()
            await home.write_event(AudioStop().event())
            types = [event.type for event in await answers(home)]
            delays.append(1000 * (time.monotonic() - ended))
            lost += types != ["transcript"]
    return delays, lost


async def watch(process_id: int, until: float) -> list[float]:
    """Memory of a process, every five seconds."""
    memory = []
    while time.monotonic() < until:
        await asyncio.sleep(5)
        memory.append(resident_mb(process_id))
    return memory


async def run(minutes: float, home: str) -> dict[str, object]:
    samples = speech("ls367_speech")[: round(COMMAND_S * RATE_HZ)]
    async with serving(Forgetful()) as behind:
        process = subprocess.Popen(
            [*PROGRAM, "wyoming", "--asr", f"tcp://{behind}", "--uri", f"tcp://{LOCAL}:0", "--profile", "me"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "EDGE_PSE_HOME": home},
        )  # fmt: skip
        try:
            line = await asyncio.to_thread(process.stderr.readline)
            port = int(re.match(rf"Listening on {LOCAL}:(\d+),", line)[1])
            until = time.monotonic() + 60 * minutes
            memory, *talks = await asyncio.gather(
                watch(process.pid, until), *(talk(port, samples, until) for _ in range(CLIENTS))
            )
        finally:
            process.terminate()
            process.wait(timeout=10)
    settled = memory[len(memory) // 10 :]
    rounds = [
        np.array([delays[number] for delays, _ in talks]) for number in range(min(len(d) for d, _ in talks))
    ]
    third = max(1, len(rounds) // 3)
    first, last = (float(np.median(part)) for part in (rounds[:third], rounds[-third:]))
    lost = sum(missing for _, missing in talks)
    return {
        "commands": sum(len(delays) for delays, _ in talks),
        "lost": lost,
        "transcript_after_ms": [round(first), round(last)],
        "memory_mb": [round(settled[0], 1), round(settled[-1], 1)],
        "load_average": os.getloadavg(),
        "passed": not lost and last - first < MOST_GROWTH_MS and settled[-1] - settled[0] < MOST_GROWTH_MB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as home:
        os.environ["EDGE_PSE_HOME"] = home
        ProfileStore().create(enroll(speech("ls367_enrollment"), RATE_HZ, name="me"))
        result = asyncio.run(run(minutes, home))
    print(json.dumps(result, indent=1))
    sys.exit(not result["passed"])


if __name__ == "__main__":
    main()
