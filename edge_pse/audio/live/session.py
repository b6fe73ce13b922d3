"""One microphone, one output and the engine between them, from their opening to the first fault."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from edge_pse.audio.devices import (
    BLOCKS_PER_SECOND,
    Device,
    InputStream,
    OutputStream,
    Stream,
    find_format,
    resolve,
    resolve_microphone,
    sound_server,
    virtual_mic,
)
from edge_pse.audio.live.engine import Counters, Engine
from edge_pse.audio.live.loopback import FarEndStatus, Loopback
from edge_pse.enhancer import Enhancer
from edge_pse.levels import dbfs
from edge_pse.spectral import Samples

VIRTUAL = "virtual"
"""As output: the virtual microphone."""

_STALL_S = 0.5
"""No callback for so long is a fault; devices pause for 0.12 s, and for 0.3 s on a loaded machine."""
_SERVER_INPUT_STALL_S = 1.0
"""The same for an input at a server, which may be held up itself. To open it anew loses more than to wait: where a
server stood still for 0.6 s twelve times in 20 s, 18 s of sound came through instead of 6.5."""
_SERVER_OUTPUT_STALL_S = 2.5
"""The same for an output at a server: PulseAudio's null sinks, of which the virtual microphone is one, look for
samples every 2 s only after an underrun if nobody listens."""
_START_S = 4.0
"""A PulseAudio null sink that was idle takes up to 2 s to ask for its first samples."""
_RATE_WINDOW_S = 10.0
_RATE_TOLERANCE = 0.1
"""Callbacks against the clock. Crystals are a thousand times nearer; this is a device gone wrong."""
_INPUT_QUEUE_S = 0.5


@dataclass(frozen=True)
class Options:
    """What to connect, and how."""

    input: str | None = None
    """See ``resolve``."""
    output: str | None = None
    """See ``resolve``, or ``VIRTUAL``."""
    latency_s: float = 0.04
    """Asked of each device."""
    channel: int | None = None
    """Of the input, from 0; None for the one with most speech."""
    on_demand: bool = False
    """Open the devices only while a program records from the virtual microphone."""
    loopback: str | None = None
    """Where to hear what the loudspeaker plays, see ``Loopback``; None for no far end."""


@dataclass(frozen=True)
class Status:
    """How it goes, to be shown."""

    input: str
    output: str
    """The devices, in words."""
    input_dbfs: float
    output_dbfs: float
    """Smoothed levels of what is heard and of what is played, in the band of speech."""
    hop_p50_ms: float
    hop_p99_ms: float
    """What the network takes for a hop, median and 99th percentile."""
    latency_ms: float
    """From the microphone to the output, buffers of the devices included."""
    device_ms: float
    """The part of it that is in the devices' buffers."""
    overloaded: bool
    """The network is too slow for now, and the sound passes as it is."""
    far_end: FarEndStatus | None
    """None if none is wanted."""


class Session:
    """Open streams, until ``close`` or the end of ``with``.

    The constructor raises AudioError, leaving nothing open, if a device does not open.
    """

    def __init__(
        self,
        enhancer: Enhancer,
        options: Options,
        say: Callable[[str], None],
        on_output: Callable[[Samples, int], None] | None = None,
        on_input: Callable[[Samples, int], None] | None = None,
    ):
        source, sink = resolve_microphone(options.input), _resolve_output(options.output)
        self._loopback = None
        if options.loopback is not None:
            self._loopback = Loopback(options.loopback, source, sink, options.latency_s, say)
        source_format = find_format(source, options.channel)
        sink_format = find_format(sink)
        self.engine = Engine(
            enhancer, source_format.rate_hz, sink_format.rate_hz, options.channel, on_output, on_input
        )
        self.streams: list[Stream] = []
        self._say = say
        self._subscription: sound_server.Subscription | None = None
        self._server_told = threading.Event()
        self._routing = sound_server.Routing(None, None, None, None, float("-inf"))
        self._routed_before: dict[str, str] = {}
        self._rate_checked_s = time.monotonic()
        self._timers_restarted_s = float("-inf")
        self._frames_before = [0, 0]
        try:
            self.engine.start()
            queue_blocks = round(_INPUT_QUEUE_S * BLOCKS_PER_SECOND)
            self.output = OutputStream(sink, sink_format, options.latency_s, self.engine.playback.read_into)
            self.streams.append(self.output)
            self.input = InputStream(
                source, source_format, options.latency_s, self.engine.blocks, queue_blocks
            )
            self.streams.insert(0, self.input)
            loopback_served = self._loopback is not None and self._loopback.through_server
            if source.through_server or sink.through_server or loopback_served:
                self._subscription = sound_server.Subscription(self._ask_server)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Both devices have begun to move samples."""
        return all(stream.flowing for stream in self.streams)

    @property
    def counters(self) -> Counters:
        """What was lost so far."""
        engine = self.engine.counters
        return replace(
            engine,
            underruns=engine.underruns + self.output.xruns,
            overruns=self.input.xruns,
            dropped_samples=self.input.dropped + self.engine.playback.dropped,
        )

    @property
    def clock_ratios(self) -> tuple[float | None, float | None]:
        """Of the microphone and the output, see ``Stream.clock_ratio``."""
        return self.input.clock_ratio, self.output.clock_ratio

    def status(self) -> Status:
        """How it goes now."""
        engine = self.engine
        times_ms = np.array(engine.hop_times_s or [0.0]) * 1000
        device_s = self.input.latency_s + self.output.latency_s
        return Status(
            input=self.input.device.description,
            output=self.output.device.description,
            input_dbfs=dbfs(engine.input_power),
            output_dbfs=dbfs(engine.output_power),
            hop_p50_ms=float(np.percentile(times_ms, 50)),
            hop_p99_ms=float(np.percentile(times_ms, 99)),
            latency_ms=1000 * (device_s + engine.latency_s),
            device_ms=1000 * device_s,
            overloaded=engine.overloaded,
            far_end=None if self._loopback is None else self._loopback.status(),
        )

    def fault(self) -> str | None:
        """What is wrong with the streams now, as a sentence; raises what the worker has died of.

        The far end is looked after here too, but never a fault.
        """
        if self.engine.failure is not None:
            raise self.engine.failure
        now = time.monotonic()
        for stream in self.streams:
            name = stream.device.description
            if stream.finished:
                return f"{name} has ended its stream: unplugged, or the sound server stopped. Waiting for it."
            if now - max(stream.last_callback_s, self._timers_restarted_s) > self._patience_s(stream):
                way = "from" if stream is self.input else "to"
                return f"No samples go {way} {name}: it is suspended, blocked or gone. Waiting for it."
        if now - self._rate_checked_s > _RATE_WINDOW_S:
            return self._wrong_rate(now)
        routing = None
        if self._server_told.is_set():
            self._server_told.clear()
            routing = self._routing
        if self._loopback is not None:
            self._loopback.update(self.engine, routing)
        return None if routing is None else self._moved(routing)

    def restart_timers(self) -> None:
        """The silence until now is not the fault of the streams: this program did not run."""
        self._timers_restarted_s = self._rate_checked_s = time.monotonic()
        self._frames_before = [0, 0]
        for stream in self.streams:
            stream.settle_again()
        if self._loopback is not None:
            self._loopback.restart_timer()

    def close(self) -> None:
        """End everything at once; StreamHungError if PortAudio does not come back."""
        if self._subscription is not None:
            self._subscription.close()
        try:
            for stream in self.streams:
                stream.close()
            if self._loopback is not None:
                self._loopback.close(self.engine)
        finally:
            self.engine.close()

    def _patience_s(self, stream: Stream) -> float:
        """How long a stream may be silent."""
        if not stream.flowing:
            return _START_S
        if not stream.device.through_server:
            return _STALL_S
        return _SERVER_OUTPUT_STALL_S if stream is self.output else _SERVER_INPUT_STALL_S

    def _wrong_rate(self, now: float) -> str | None:
        elapsed, self._rate_checked_s = now - self._rate_checked_s, now
        before, self._frames_before = self._frames_before, [stream.frames for stream in self.streams]
        if 0 in before:
            return None  # the window began before the first callback
        for stream, frames in zip(self.streams, before, strict=True):
            rate = (stream.frames - frames) / elapsed
            if abs(rate / stream.format.rate_hz - 1) > _RATE_TOLERANCE:
                return (
                    f"{stream.device.description} moves {rate:.0f} samples a second instead of "
                    f"{stream.format.rate_hz}: opening it again."
                )
        return None

    def _ask_server(self) -> None:
        """On a thread of the watch, so that a slow server holds nothing up; SoundServerError has it called again."""
        self._routing = sound_server.routing(os.getpid())
        self._server_told.set()

    def _moved(self, routing: sound_server.Routing) -> str | None:
        """Whether the sound server has put a stream to another device, as it does when one is gone."""
        for stream in self.streams:
            device = stream.device
            routed_to = routing.input if device.kind == "input" else routing.output
            if routed_to is None or not device.through_server:
                continue
            if device.server_name not in (None, routed_to):
                return f"{device.description} is gone, the sound server chose {routed_to}. Waiting for its return."
            if routed_to in virtual_mic.OWN_SOURCES:
                return f"The {device.kind} is gone, and only the virtual microphone is left. Waiting for it."
            before = self._routed_before.setdefault(device.kind, routed_to)
            if routed_to != before:
                self._routed_before[device.kind] = routed_to
                self._say(f"The sound server moved the {device.kind} to {routed_to}.")
        return None


def _resolve_output(wanted: str | None) -> Device:
    if wanted != VIRTUAL:
        return resolve("output", wanted)
    virtual_mic.ensure()
    return resolve("output", virtual_mic.SINK)
