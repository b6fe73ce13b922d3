"""How loud it is at microphones: for a moment, to tell which one hears the user best, or as long as somebody looks."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Self

import numpy as np

from edge_pse.audio.devices.listing import Device, find_format
from edge_pse.audio.devices.streams import BLOCKS_PER_SECOND, InputStream
from edge_pse.audio.pcm import Pcm, to_float
from edge_pse.errors import AudioError
from edge_pse.levels import dbfs, speech_power

_LATENCY_S = 0.1
_START_S = 2.5


@dataclass(frozen=True)
class MicrophoneLevel:
    """What came from one microphone."""

    speech_dbfs: float
    """Level of its loudest tenth."""
    noise_dbfs: float
    """Level of its softest tenth."""

    @property
    def range_db(self) -> float:
        """How far the loud parts are above the soft ones: while somebody speaks, what they are over the noise."""
        return self.speech_dbfs - self.noise_dbfs


def measure_level(device: Device, seconds: float) -> MicrophoneLevel:
    """Record for a moment; AudioError if the device does not open or stays silent. Nothing is kept."""
    found = find_format(device)
    wanted = round(seconds * BLOCKS_PER_SECOND)
    queue: SimpleQueue[Pcm] = SimpleQueue()
    with InputStream(device, found, _LATENCY_S, queue, wanted) as stream:
        until = time.monotonic() + _START_S + seconds
        while queue.qsize() < wanted and time.monotonic() < until and not stream.finished:
            time.sleep(0.05)
    blocks = [queue.get() for _ in range(queue.qsize())]
    if not blocks:
        raise AudioError(f"{device.name} opens but gives no samples: it may be suspended or in use.")
    power = np.array([speech_power(to_float(block), found.rate_hz).max() for block in blocks])
    soft, loud = 10 * np.log10(np.maximum(np.percentile(power, [10, 90]), 1e-12))
    return MicrophoneLevel(float(loud), float(soft))


class Levels:
    """Levels of several devices to record from, as long as it is entered; without those that don't open."""

    def __init__(self, devices: Iterable[Device]):
        self._devices = list(devices)
        self._open = ExitStack()
        self._heard: list[tuple[Device, int, SimpleQueue[Pcm]]] = []

    def __enter__(self) -> Self:
        for device in self._devices:
            blocks: SimpleQueue[Pcm] = SimpleQueue()
            try:
                found = find_format(device)
                self._open.enter_context(InputStream(device, found, _LATENCY_S, blocks, BLOCKS_PER_SECOND))
            except AudioError:
                continue
            self._heard.append((device, found.rate_hz, blocks))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def read(self) -> dict[str, float]:
        """Name -> level of the speech that came since the last time, dBFS, of the loudest channel."""
        levels = {}
        for device, rate_hz, blocks in self._heard:
            sound = [to_float(blocks.get()) for _ in range(blocks.qsize())]
            if sound:
                levels[device.name] = dbfs(float(speech_power(np.concatenate(sound), rate_hz).max()))
        return levels
