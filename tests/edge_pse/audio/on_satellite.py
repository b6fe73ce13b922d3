"""The real wyoming-satellite with ``edge-pse stream`` in its microphone command, between a sound card and a server.

``make test-satellite``, as its needs do not go together with those of the other tests.
"""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from wyoming.audio import AudioChunk
from wyoming.client import AsyncTcpClient
from wyoming.satellite import RunSatellite

from edge_pse import ProfileStore
from edge_pse.audio.pcm import to_float, to_pcm
from tests.edge_pse.audio.running import again_if_busy, aligned

SATELLITE = Path(__file__).parents[3] / ".venv-satellite/bin/python"
PORT = 10_700
RATE_HZ = 16_000
HEARD_S = 8


@pytest.fixture
def scene(recording, mix):
    """A voice, and it with a helicopter: a little more than what is heard, so that all of it is heard somewhere."""
    speech = recording("ls367_speech")[: 5 * RATE_HZ]
    return speech, mix(speech, recording("helicopter"), 5)


@pytest.fixture
def satellite(cards, tmp_path, scene, female_profile, monkeypatch):
    """The satellite, with a microphone that hears the scene twenty times; its lines go to a file."""
    if not SATELLITE.exists():
        pytest.skip("needs wyoming-satellite in an environment of its own: make test-satellite")
    to_pcm(np.tile(scene[1], 20)).tofile(tmp_path / "mic.raw")
    env = cards(tmp_path, mic=f'infile "{tmp_path}/mic.raw" rate 16000 channels 1')
    monkeypatch.setenv("EDGE_PSE_HOME", env["EDGE_PSE_HOME"])
    ProfileStore().save(female_profile)
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "edge-pse"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from edge_pse.cli import main; main()" "$@"\n')
    program.chmod(0o755)
    command = [
        SATELLITE, "-m", "wyoming_satellite", "--uri", f"tcp://127.0.0.1:{PORT}", "--no-zeroconf", "--mic-command",
        'sh -c "arecord -q -D mic -t raw -f S16_LE -r 16000 -c 1 -F 10000 | edge-pse stream --profile ls367"',
    ]  # fmt: skip
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            command,
            env={**env, "PATH": f"{folder}:{os.environ['PATH']}"},
            stdout=said,
            stderr=said,
        )
        yield process
        process.terminate()
        process.wait(20)


async def heard_by_a_server(seconds):
    """What the satellite sends, (samples,) int16."""
    client = AsyncTcpClient("127.0.0.1", PORT)
    for _ in range(100):
        try:
            await client.connect()
            break
        except OSError:
            await asyncio.sleep(0.1)
    await client.write_event(RunSatellite().event())
    pieces = []
    while sum(map(len, pieces)) < 2 * RATE_HZ * seconds:
        event = await asyncio.wait_for(client.read_event(), 20)
        assert event is not None
        if AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert (chunk.rate, chunk.width, chunk.channels) == (RATE_HZ, 2, 1)
            pieces.append(chunk.audio)
    await client.disconnect()
    return np.frombuffer(b"".join(pieces), "<i2")


def test_the_satellite_sends_the_voice_without_the_noise(satellite, scene, si_sdr, tmp_path):
    speech, noisy = scene

    def listen():
        began = time.monotonic()
        out = to_float(asyncio.run(heard_by_a_server(HEARD_S)))
        assert time.monotonic() - began < HEARD_S + 10  # no faster and no slower than it is spoken
        # Wherever the loop of the microphone was: three seconds that are whole.
        where = slice(RATE_HZ, 3 * RATE_HZ)
        gain = si_sdr(speech[where], aligned(speech[where], out)) - si_sdr(speech[where], noisy[where])
        assert gain > 3, (gain, (tmp_path / "said").read_text())

    again_if_busy(listen)
