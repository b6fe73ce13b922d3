"""Keeps a live stream going: opens the devices, waits out their faults, opens them again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Self

from edge_pse.audio.devices import Demand, rescan, run_with_timeout
from edge_pse.audio.live.engine import Counters
from edge_pse.audio.live.session import VIRTUAL, Options, Session, Status
from edge_pse.enhancer import Enhancer
from edge_pse.errors import AudioError, ModelError, ThreadError
from edge_pse.spectral import Samples

_LOGGER = logging.getLogger("edge_pse")
_POLL_S = 0.1
_HELD_UP_S = 0.4
"""So long over a look, this program does not get to run."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 0.5
_RESCAN_TIMEOUT_S = 4.0
_UNDERRUN_TALK_S = 10.0
"""At least so long between two sentences on underruns."""


class Live:
    """From a microphone through an enhancer to an output, in real time.

    >>> enhancer = edge_pse.Enhancer(profile=profile)
    >>> with edge_pse.Live(enhancer, output="virtual") as live:
    ...     live.wait()  # until Ctrl-C

    ``with`` opens the devices, streams on threads of its own until the block ends, and closes them. A device that does
    not open is an AudioError where the block is entered; one that fails later is said, and waited for. The rates of the
    enhancer become those of the devices, each time they are opened (``Enhancer.set_rates``). Meanwhile
    ``bypass``, and ``profile`` and ``strength`` of the enhancer, may be set from any thread. What ends the stream
    for good is raised by ``wait``, or at the end of the block: StreamHungError, after which only a new process can
    open devices, or what ``on_output`` raised.
    """

    def __init__(
        self,
        enhancer: Enhancer,
        *,
        input: str | None = None,
        output: str | None = None,
        latency_ms: float = 40.0,
        channel: int | None = None,
        on_demand: bool = False,
        loopback: str | None = None,
        say: Callable[[str], None] = _LOGGER.info,
        on_output: Callable[[Samples, int], None] | None = None,
        on_input: Callable[[Samples, int], None] | None = None,
        heartbeat: Callable[[], None] = lambda: None,
    ):
        """The constructor opens nothing. AudioError or ModelError for arguments that do not go together.

        ``input``, ``output``: the name of a device or a part of it, a number of PortAudio's, or an ALSA PCM string;
        None is the default device, and ``"virtual"`` as output the microphone that other programs see. ``latency_ms``:
        asked of each device, its buffer. ``channel``: of the input, counted from 1; None takes the one with most
        speech. ``on_demand``: open the devices only while a program records from the virtual microphone. ``loopback``:
        a device that repeats what the loudspeaker plays, or ``"auto"`` for the monitor of the default output, so that
        its echo is cancelled; for a model with a far end (``Model.load(far_end=True)``).

        ``say`` is given one sentence for each thing that the user should know, from any thread; without it the
        sentences are logged as information under ``edge_pse``. ``on_output`` is given what is played, (hop,) float32,
        and its rate, that of the output, on the worker's thread, which it must not keep waiting; ``on_input`` alike
        what comes from the microphone. ``heartbeat`` is called several times a second while sound moves, or while what
        is missing (a device, somebody who records) is waited for.
        """
        if on_demand and output != VIRTUAL:
            raise AudioError(f"On demand the output must be {VIRTUAL!r}: only there it is known who records.")
        if channel is not None and channel < 1:
            raise AudioError(f"There is no channel {channel}: they are counted from 1.")
        if loopback is not None and not enhancer.model.contract.far_end:
            raise ModelError(
                f"The model {enhancer.model.path.name} cancels no echo: leave loopback away, or load a model that does "
                "(far_end=True)."
            )
        self.enhancer = enhancer
        self._options = Options(
            input, output, latency_ms / 1000, None if channel is None else channel - 1, on_demand, loopback
        )
        self.restarts = 0
        """How often a fault has closed the devices."""
        self.clock_ratios: tuple[float | None, float | None] = (None, None)
        """Samples moved, as a share of what the clock asks for: of the microphone and the output that were open last;
        None before that is known."""
        self._bypass = False
        self._say = say
        self._on_output, self._on_input = on_output, on_input
        self._heartbeat = heartbeat
        self._session: Session | None = None
        self._past = Counters()
        self._trouble = ""
        self._told = Counters()
        self._told_s = float("-inf")
        self._thread: threading.Thread | None = None
        self._stop, self._opened, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._ended.set()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise ThreadError("This stream runs already: make another Live for other devices.")
        self._failure = None
        for event in (self._stop, self._opened, self._ended):
            event.clear()
        self._thread = threading.Thread(target=self._run_in_background, name="edge-pse live", daemon=True)
        self._thread.start()
        try:
            self._opened.wait()
            if self._failure is not None:
                raise self._failure
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end()
        if self._failure is not None and error is None:
            raise self._failure

    def wait(self, seconds: float | None = None) -> None:
        """Within the ``with`` block: sleep for so long, or for ever; at once raises what ends the stream meanwhile."""
        self._ended.wait(seconds)
        if self._failure is not None:
            raise self._failure

    @property
    def bypass(self) -> bool:
        """Past the network, with the same delay; may be set at any time."""
        return self._bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self._bypass = bypass
        session = self._session
        if session is not None:
            session.engine.bypass = bypass

    @property
    def counters(self) -> Counters:
        """Sums over all times that the devices were open."""
        session = self._session
        return self._past if session is None else _sum(self._past, session.counters)

    def status(self) -> Status | None:
        """How it goes now; None while no devices are open."""
        session = self._session
        return None if session is None else session.status()

    def run(self, stop: threading.Event, patient: bool = False) -> None:
        """Stream on this thread until ``stop`` is set, for whoever has no use for a ``with`` block.

        Raises AudioError if a device can't be opened at the very first time, unless ``patient``; later it is
        waited for. Raises StreamHungError when PortAudio hangs, after which the process must be replaced.
        """
        if self._options.on_demand:
            self._run_on_demand(stop)
            return
        if not patient:
            self._run_session(stop, None)
        self._reopen(stop, None)

    def _run_in_background(self) -> None:
        try:
            self.run(self._stop)
        except BaseException as error:  # raised on the thread of the ``with`` block
            self._failure = error
        finally:
            self._opened.set()
            self._ended.set()

    def _end(self) -> None:
        assert self._thread is not None
        self._stop.set()
        self._thread.join()
        self._thread = None

    def _run_on_demand(self, stop: threading.Event) -> None:
        self._opened.set()  # the devices are for later
        while not stop.is_set():
            self._heartbeat()
            try:
                demand = Demand()
            except AudioError as error:
                self._report_trouble(str(error))
                stop.wait(_LAST_RETRY_S)
                continue
            with demand:
                while demand.wait(stop, self._heartbeat):
                    self._reopen(stop, demand)

    def _reopen(self, stop: threading.Event, demand: Demand | None) -> None:
        """Open and open again, with longer and longer pauses, until ``stop`` or the end of demand."""
        retry_s = _FIRST_RETRY_S
        while not stop.wait(retry_s) and (demand is None or demand.active):
            self._heartbeat()
            retry_s = min(2 * retry_s, _LAST_RETRY_S)
            try:
                self._rescan()
                if self._run_session(stop, demand):
                    retry_s = _FIRST_RETRY_S
            except AudioError as error:
                self._report_trouble(f"{error} Waiting for it.")

    def _run_session(self, stop: threading.Event, demand: Demand | None) -> bool:
        """One session from its opening to its end -> whether it ever ran."""
        session = Session(self.enhancer, self._options, self._say, self._on_output, self._on_input)
        session.engine.bypass = self._bypass
        self._session = session
        self._opened.set()
        try:
            with session:
                try:
                    return self._watch(session, stop, demand)
                finally:
                    self._session = None  # nobody asks closed streams how they are
                    self.clock_ratios = session.clock_ratios
        finally:
            self._past = _sum(self._past, session.counters)

    def _watch(self, session: Session, stop: threading.Event, demand: Demand | None) -> bool:
        """Until ``stop``, the end of demand or a fault -> whether the session ever ran."""
        ran = False
        hops = 0
        while not self._pause(session, stop):
            fault = session.fault()
            if fault is not None:
                self.restarts += 1
                self._report_trouble(fault)
                break
            if session.running and not ran:
                ran = True
                self._tell_running(session)
            self._tell_of_load()
            hops, hops_before = session.counters.hops, hops
            # Devices may move samples that the worker has ceased to enhance.
            if hops > hops_before or not session.running:
                self._heartbeat()
            if demand is not None and demand.released(stop):
                self._say("Nobody records any more: the microphone is closed.")
                break
        return ran

    def _pause(self, session: Session, stop: threading.Event) -> bool:
        """Until the next look -> whether to stop."""
        began = time.monotonic()
        stopped = stop.wait(_POLL_S)
        held_up_s = time.monotonic() - began - _POLL_S
        if held_up_s > _HELD_UP_S:
            session.restart_timers()
            self._say(f"This program was held up for {held_up_s:.1f} s, and the sound has a gap.")
        return stopped

    def _rescan(self) -> None:
        run_with_timeout(rescan, _RESCAN_TIMEOUT_S, "The sound system can't be searched for devices")

    def _report_trouble(self, trouble: str) -> None:
        if not self._trouble:  # what follows from the first trouble is no news
            self._say(trouble)
        self._trouble = trouble

    def _tell_running(self, session: Session) -> None:
        again = " again" if self._trouble else ""
        self._trouble = ""
        self._say(
            f"Running{again}: {session.input.device.description} to {session.output.device.description}."
        )

    def _tell_of_load(self) -> None:
        counters, now = self.counters, time.monotonic()
        if counters.overloads > self._told.overloads:
            self._told.overloads = counters.overloads
            self._say("This machine is too busy for the network: for a while the sound passes as it is.")
        new = counters.underruns - self._told.underruns
        if new and now - self._told_s > _UNDERRUN_TALK_S:
            self._told.underruns, self._told_s = counters.underruns, now
            self._say(
                f"{new} underrun{'s' if new > 1 else ''}: the delay grew a little and will be given back."
            )


def _sum(one: Counters, other: Counters) -> Counters:
    return Counters(**{f.name: getattr(one, f.name) + getattr(other, f.name) for f in fields(Counters)})
