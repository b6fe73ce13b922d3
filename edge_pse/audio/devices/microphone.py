"""A microphone alone: what it hears as it comes, without an output that it must keep pace with."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import Self

import numpy as np

from edge_pse.audio.devices import sound_server, virtual_mic
from edge_pse.audio.devices.listing import Device, find_format, resolve
from edge_pse.audio.devices.streams import BLOCKS_PER_SECOND, InputStream
from edge_pse.audio.pcm import Pcm, to_float
from edge_pse.channels import ChannelChoice
from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

_LATENCY_S = 0.1
_SILENT_S = 4.0
"""Without samples for so long, a device is taken for gone; a sound server may need two seconds to begin."""
_QUEUE_S = 60
"""So far a slow machine may lag behind before samples are lost."""


def resolve_microphone(wanted: str | None) -> Device:
    """The microphone that a user means, see ``resolve``; AudioError if it is the virtual one."""
    device = resolve("input", wanted)
    name = device.server_name or (sound_server.default_source() if device.through_server else None)
    if name in virtual_mic.OWN_SOURCES:
        raise AudioError(
            "The microphone chosen is the virtual one itself: name the real one with --input "
            "(`edge-pse devices` lists them)."
        )
    return device


class Microphone:
    """An open microphone; ``with`` closes it. AudioError if it does not open.

    ``wanted``: see ``resolve``.
    """

    def __init__(self, wanted: str | None):
        self.device = resolve_microphone(wanted)
        found = find_format(self.device)
        self.rate_hz = found.rate_hz
        """Rate of the samples that ``read`` gives; it has whole hops."""
        self._channels = ChannelChoice(None, found.rate_hz)
        self._blocks: SimpleQueue[Pcm] = SimpleQueue()
        self._stream = InputStream(self.device, found, _LATENCY_S, self._blocks, _QUEUE_S * BLOCKS_PER_SECOND)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, seconds: float) -> Samples:
        """What comes within ``seconds``, of the channel with most speech, (n,) float32, full scale -1 to 1.

        AudioError if the device has gone or gives nothing for a while.
        """
        until = time.monotonic() + seconds
        blocks = []
        while (left := until - time.monotonic()) > 0:
            try:
                blocks.append(self._channels.pick(to_float(self._blocks.get(timeout=left))))
            except Empty:
                break
        if not blocks:
            self._check()
        if self._stream.dropped:
            raise AudioError("This machine is too busy to listen: end other programs and try again.")
        return np.concatenate([np.zeros(0, np.float32), *blocks])

    def close(self) -> None:
        """End the recording; StreamHungError if PortAudio does not come back."""
        self._stream.close()

    def _check(self) -> None:
        silent_s = time.monotonic() - self._stream.last_callback_s
        if self._stream.finished or silent_s > _SILENT_S:
            raise AudioError(
                f"No samples come from {self.device.description}: it is muted, suspended, in use or unplugged. "
                "`edge-pse devices --listen` tells which microphones work."
            )
