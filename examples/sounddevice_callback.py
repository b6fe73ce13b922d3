"""From a microphone to headphones with python-sounddevice, until Ctrl-C.

python examples/sounddevice_callback.py [--microphone MICROPHONE] [--output OUTPUT] [--profile PROFILE]

PortAudio's callback must not wait and should not compute. Here it only moves blocks from and to queues, and the main
thread runs the network. ``edge_pse.Live`` does more: it keeps the delay and survives devices that go away.
"""

import argparse
import contextlib
import queue
import sys
from typing import Any

import numpy as np
import sounddevice

import edge_pse

BLOCK_SAMPLES = 512  # any number; PortAudio gives and takes so many at a time
MOST_WAITING = 4  # blocks; what a hiccup leaves beyond these is dropped, or the delay would stay


def main(microphone: str | None = None, output: str | None = None, profile: str | None = None) -> None:
    """A device is named by a part of its name, a profile as for ``edge-pse enroll``."""
    voice = None if profile is None else edge_pse.ProfileStore().load(profile)
    rate_hz = int(sounddevice.query_devices(microphone, "input")["default_samplerate"])
    enhancer = edge_pse.Enhancer(profile=voice, rate_hz=rate_hz)
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    enhanced: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def callback(indata: Any, outdata: Any, frames: int, time: Any, status: Any) -> None:
        heard.put(indata[:, 0].copy())  # PortAudio takes the array back
        while enhanced.qsize() > MOST_WAITING:
            enhanced.get_nowait()
        outdata[:, 0] = 0 if enhanced.empty() else enhanced.get_nowait()

    rest = np.zeros(0, np.float32)
    with sounddevice.Stream(rate_hz, BLOCK_SAMPLES, (microphone, output), 1, "float32", callback=callback):
        while True:
            rest = np.concatenate([rest, enhancer.process(heard.get())])
            while rest.size >= BLOCK_SAMPLES:
                enhanced.put(rest[:BLOCK_SAMPLES])
                rest = rest[BLOCK_SAMPLES:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--microphone")
    parser.add_argument("--output")
    parser.add_argument("--profile")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            main(**vars(parser.parse_args()))
    except edge_pse.EdgePseError as error:
        sys.exit(f"{error}")
