"""The device that repeats what the loudspeaker plays: opened, watched, opened again, while the microphone goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_pse.audio.devices import (
    BLOCKS_PER_SECOND,
    Device,
    InputStream,
    find_format,
    resolve,
    sound_server,
    virtual_mic,
)
from edge_pse.audio.live.engine import Engine
from edge_pse.audio.live.far_end import FarEnd
from edge_pse.errors import AudioError
from edge_pse.levels import dbfs

AUTO = "auto"
"""As loopback: whatever is the default output of the sound server."""

_STALL_S = 2.5
"""A PulseAudio null sink that was idle takes up to 2 s to give its first samples."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 5.0
_QUEUE_S = 0.5
_MONITOR = ".monitor"
"""Ends the names of the sources that repeat a sink, after that of the sink."""


@dataclass(frozen=True)
class FarEndStatus:
    """How the far end goes, to be shown."""

    device: str | None
    """What it is called; None while it is waited for."""
    dbfs: float
    """Smoothed level of it."""
    echo_delay_ms: float | None
    """How long after the far end its echo comes, as the devices deliver both; None while nothing is certain."""
    applied_delay_ms: float
    """How much of that is taken away by holding the far end back."""


class Loopback:
    """Gives an engine its far end as long as the device is there; what goes wrong is said once."""

    def __init__(
        self, wanted: str, microphone: Device, output: Device, latency_s: float, say: Callable[[str], None]
    ):
        """``wanted``: ``AUTO``, or see ``resolve``. To be made before any stream is open.

        ``latency_s``: that of the microphone. The far end has half of it, because it must be here before its echo.
        """
        self._wanted, self._microphone, self._output = wanted, microphone, output
        self._latency_s, self._say = latency_s / 2, say
        self._device: Device | None = None
        self._stream: InputStream | None = None
        self._far_end: FarEnd | None = None
        self._told_running = False
        self._trouble = ""
        self._retry_s = _FIRST_RETRY_S
        self._next_try_s = self._opened_s = self._timer_restarted_s = float("-inf")
        try:
            # Looking for an unlisted PCM restarts PortAudio, which can't be done later.
            self._device = self._find(listed=False)
        except AudioError as error:
            self._report_trouble(str(error))

    @property
    def through_server(self) -> bool:
        """Whether it depends on the sound server."""
        return self._wanted == AUTO or (self._device is not None and self._device.through_server)

    def status(self) -> FarEndStatus:
        """How it goes now."""
        far_end, device = self._far_end, self._device
        if far_end is None or device is None:
            return FarEndStatus(None, dbfs(0), None, 0.0)
        delay_s = far_end.echo_delay_s
        delay_ms = None if delay_s is None else 1000 * delay_s
        return FarEndStatus(device.description, dbfs(far_end.power), delay_ms, 1000 * far_end.applied_delay_s)

    def update(self, engine: Engine, routing: sound_server.Routing | None) -> None:
        """Call several times a second: opens the device if it is not, and closes it if something is wrong.

        ``routing``: what the sound server has told since the last call, None if nothing. Raises StreamHungError
        when PortAudio hangs.
        """
        if self._stream is None:
            if time.monotonic() >= self._next_try_s:
                self._open(engine)
            return
        trouble = self._fault(self._stream, routing)
        if trouble:
            self.close(engine)
            self._report_trouble(trouble)
        elif self._stream.flowing and not self._told_running:
            self._told_running, self._trouble, self._retry_s = True, "", _FIRST_RETRY_S
            self._say(f"Listening to {self._stream.device.description} for the echo of it.")

    def restart_timer(self) -> None:
        """The silence until now is not the fault of the device: this program did not run."""
        self._timer_restarted_s = time.monotonic()

    def close(self, engine: Engine) -> None:
        """End the stream; the engine goes on without a far end."""
        engine.far_end = self._far_end = None
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _open(self, engine: Engine) -> None:
        self._next_try_s = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
        self._told_running = False
        try:
            if self._device is None or self._wanted == AUTO:
                self._device = self._find(listed=True)
            # The microphone's rate where the device can have it, because another one costs a hop of delay.
            rate_hz = engine.enhancer.sample_rate_hz
            found = find_format(self._device, rate_hz=rate_hz)
            far_end = FarEnd(found.rate_hz, rate_hz)
            limit = round(_QUEUE_S * BLOCKS_PER_SECOND)
            self._stream = InputStream(self._device, found, self._latency_s, far_end.blocks, limit)
        except AudioError as error:
            self._report_trouble(str(error))
        else:
            engine.far_end = self._far_end = far_end
            self._opened_s = time.monotonic()

    def _find(self, listed: bool) -> Device:
        """The device to open; AudioError if there is none that could be a far end."""
        wanted = _default_monitor() if self._wanted == AUTO else self._wanted
        device = resolve("input", wanted, listed)
        name = device.server_name
        if device.through_server and name is None:
            raise AudioError(
                "The default source is a microphone: name the monitor of an output with --loopback, or auto."
            )
        if name not in virtual_mic.OWN_SOURCES and name == _monitor_of(self._output):
            raise AudioError(
                f"{device.description} repeats your own voice, which is played there: name another --output, or "
                "another far end."
            )
        if name in virtual_mic.OWN_SOURCES:
            raise AudioError(
                "The virtual microphone can't be its own far end: name the monitor of the loudspeaker with "
                "--loopback."
            )
        microphone = self._microphone
        recorded = microphone.server_name or (
            sound_server.default_source() if microphone.through_server else microphone.name
        )
        if recorded == (name or device.name):
            raise AudioError(f"{device.description} is the microphone already: name another far end.")
        return replace(device, loopback=True)

    def _fault(self, stream: InputStream, routing: sound_server.Routing | None) -> str:
        """What is wrong now, as a sentence; empty if nothing is."""
        name = stream.device.description
        if stream.finished:
            return f"{name} has ended its stream."
        if time.monotonic() - max(stream.last_callback_s, self._timer_restarted_s) > _STALL_S:
            return f"No samples come from {name}: it is suspended or gone."
        if routing is None or routing.asked_s < self._opened_s or not stream.device.through_server:
            return ""
        # The server moves the streams of a source that is gone, and as far end a microphone would erase the voice.
        if routing.loopback not in (None, stream.device.server_name):
            return f"{name} is gone."
        sink = routing.default_sink
        if self._wanted == AUTO and sink and f"{sink}{_MONITOR}" != stream.device.server_name:
            self._retry_s, self._next_try_s = _FIRST_RETRY_S, float("-inf")
            return "The sound server has another default output now."
        return ""

    def _report_trouble(self, trouble: str) -> None:
        if not self._trouble:  # what follows from the first trouble is no news
            self._say(f"{trouble} Echo stays until there is a far end again.")
        self._trouble = trouble


def _monitor_of(output: Device) -> str:
    sink = output.server_name or (sound_server.default_sink() if output.through_server else None)
    return f"{sink}{_MONITOR}"


def _default_monitor() -> str:
    sink = sound_server.default_sink()
    if sink is None:
        raise AudioError(
            "No sound server answers, so that nobody says what is played: name a device that repeats it, with "
            "--loopback DEVICE."
        )
    return f"{sink}{_MONITOR}"
