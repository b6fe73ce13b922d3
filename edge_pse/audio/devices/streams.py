"""Streams of PortAudio whose callbacks only move samples, and that can be asked how they are.

Samples are 16 bits, because that is what sound servers and cards carry for speech, and because PortAudio's
own conversion from and to floats does not give back what it took.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Self

import numpy as np

from edge_pse.audio.devices.listing import Device, Format, portaudio, server_device
from edge_pse.audio.pcm import Pcm
from edge_pse.errors import AudioError, StreamHungError

BLOCKS_PER_SECOND = 100
_PRIMING_S = 0.3
_SETTLED_S = 3.0
"""After so long a sound server has found its pace; a null sink of PulseAudio takes two seconds."""
_OPEN_TIMEOUT_S = 4.0
_CLOSE_TIMEOUT_S = 1.0


class Stream:
    """What recording and playing have in common; ``with`` closes it. Opened and started by its subclasses."""

    def __init__(self, device: Device, format_: Format):
        self.device = device
        self.format = format_
        self.frames = 0
        """Samples of each channel moved so far."""
        self.first_callback_s: float | None = None
        self.last_callback_s = time.monotonic()
        self.xruns = 0
        """How often the device ran dry, or had samples for which nobody came, according to PortAudio."""
        self.finished = False
        """PortAudio has ended the stream, as it does when the sound server dies."""
        self._closing = self._in_xrun = False
        self._settled: tuple[float, int] | None = None
        self._settles_s = float("inf")
        self._stream: Any = None
        self._latency_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def flowing(self) -> bool:
        """Samples move at their pace: an output first asks for all that its buffers hold, in no time."""
        return self.first_callback_s is not None and self.last_callback_s - self.first_callback_s > _PRIMING_S

    @property
    def clock_ratio(self) -> float | None:
        """Samples moved, as a share of what the clock asks for, since the stream settled; None before."""
        if self._settled is None or self.last_callback_s <= self._settled[0]:
            return None
        seconds, frames = self.last_callback_s - self._settled[0], self.frames - self._settled[1]
        return frames / (seconds * self.format.rate_hz)

    @property
    def latency_s(self) -> float:
        """What the device's buffers hold back, according to PortAudio."""
        return self._latency_s

    def settle_again(self) -> None:
        """What the clock asks for begins anew: this program did not run for a while, and could move nothing."""
        self._settles_s = time.monotonic() + _SETTLED_S
        self._settled = None

    def close(self) -> None:
        """End the stream at once; StreamHungError if PortAudio does not come back."""
        self._closing = True
        if self._stream is not None:
            run_with_timeout(self._abort, _CLOSE_TIMEOUT_S, f"{self.device.name} can't be closed")
            self._stream = None

    def _abort(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def _open(self, stream_class: Any, latency_s: float, callback: Callable[..., None]) -> None:
        def open_and_start() -> None:
            self._stream = stream_class(
                device=self.device.index,
                samplerate=self.format.rate_hz,
                channels=self.format.channels,
                blocksize=self.format.rate_hz // BLOCKS_PER_SECOND,
                dtype="int16",
                latency=latency_s,
                callback=callback,
                finished_callback=self._note_finished,
            )
            self._latency_s = float(self._stream.latency)
            self._stream.start()

        try:
            # Also where it hangs, the environment is as before after this: the next process would take it over.
            with server_device(self.device):
                run_with_timeout(open_and_start, _OPEN_TIMEOUT_S, f"{self.device.name} can't be opened")
        except (portaudio().PortAudioError, ValueError) as error:
            reason = error.args[0] if error.args else error
            raise AudioError(f"{self.device.name} can't be opened ({reason}): it may be in use.") from error
        self.last_callback_s = time.monotonic()

    def _note_finished(self) -> None:
        self.finished = not self._closing

    def _note_callback(self, frames: int, xrun: bool) -> None:
        now = time.monotonic()
        if self.first_callback_s is None:
            self.first_callback_s, self._settles_s = now, now + _SETTLED_S
        self.last_callback_s = now
        self.frames += frames
        if self._settled is None and now > self._settles_s:
            self._settled = now, self.frames
        if xrun and not self._in_xrun and self.flowing:
            self.xruns += 1
        self._in_xrun = xrun


class InputStream(Stream):
    """Records; each block goes to ``blocks``, (frames, channels) int16, or is dropped if ``limit`` wait."""

    def __init__(
        self, device: Device, format_: Format, latency_s: float, blocks: SimpleQueue[Pcm], limit: int
    ):
        super().__init__(device, format_)
        self.dropped = 0
        """Samples of each channel that nobody fetched in time."""
        self._blocks, self._limit = blocks, limit
        self._open(portaudio().RawInputStream, latency_s, self._callback)

    def _callback(self, data: Any, frames: int, _time: Any, status: Any) -> None:
        self._note_callback(frames, status.input_overflow)
        if self._blocks.qsize() < self._limit:
            self._blocks.put(np.frombuffer(bytes(data), np.int16).reshape(frames, -1))
        else:
            self.dropped += frames


class OutputStream(Stream):
    """Plays what ``fill`` writes into each block that it is given, (frames,) int16, the same on all channels."""

    def __init__(self, device: Device, format_: Format, latency_s: float, fill: Callable[[Pcm], None]):
        super().__init__(device, format_)
        self._fill = fill
        self._mono: Pcm = np.zeros(format_.rate_hz // BLOCKS_PER_SECOND, np.int16)
        self._open(portaudio().RawOutputStream, latency_s, self._callback)

    def _callback(self, data: Any, frames: int, _time: Any, status: Any) -> None:
        self._note_callback(frames, status.output_underflow)
        mono = self._mono[:frames]
        self._fill(mono)
        np.frombuffer(data, np.int16).reshape(frames, -1)[:] = mono[:, None]


def run_with_timeout(work: Callable[[], None], timeout_s: float, trouble: str) -> None:
    """Do something that may never come back, on a thread of its own; StreamHungError if it does not in time.

    The caller stays free for signals meanwhile. Exceptions of ``work`` are raised here.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # handed to the caller
            failures.append(error)

    thread = threading.Thread(target=run, name=trouble, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise StreamHungError(f"{trouble}: PortAudio hangs in it, and only a restart of this program helps.")
    if failures:
        raise failures[0]
