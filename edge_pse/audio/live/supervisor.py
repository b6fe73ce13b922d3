"""Keeps a live stream going: opens the devices, waits out their faults, opens them again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import fields

from edge_pse.audio.devices.demand import Demand
from edge_pse.audio.devices.listing import rescan
from edge_pse.audio.devices.streams import run_with_timeout
from edge_pse.audio.live.engine import Counters
from edge_pse.audio.live.session import Options, Session, Status
from edge_pse.enhancer import Enhancer
from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

_POLL_S = 0.1
_HELD_UP_S = 0.4
"""So long over a look, this program does not get to run."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 0.5
_RESCAN_TIMEOUT_S = 4.0
_UNDERRUN_TALK_S = 10.0
"""At least so long between two sentences on underruns."""


class Live:
    """From a microphone through an enhancer to an output, until told to stop.

    ``say`` is given one sentence for each thing that the user should know. ``on_output`` is given what is
    played, in hops at the model's rate, on the worker's thread. ``heartbeat`` is called several times a second while
    sound moves, or while what is missing (a device, somebody who records) is waited for.
    """

    def __init__(
        self,
        enhancer: Enhancer,
        options: Options,
        say: Callable[[str], None],
        on_output: Callable[[Samples], None] | None = None,
        heartbeat: Callable[[], None] = lambda: None,
    ):
        self.enhancer = enhancer
        self.options = options
        self.restarts = 0
        """How often a fault has closed the devices."""
        self.clock_ratios: tuple[float | None, float | None] = (None, None)
        """Of the devices that were open last, see ``Session.clock_ratios``."""
        self._bypass = False
        self._say = say
        self._on_output = on_output
        self._heartbeat = heartbeat
        self._session: Session | None = None
        self._past = Counters()
        self._trouble = ""
        self._told = Counters()
        self._told_s = float("-inf")

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
        """Stream until ``stop`` is set.

        Raises AudioError if a device can't be opened at the very first time, unless ``patient``; later it is
        waited for. Raises StreamHungError when PortAudio hangs, after which the process must be replaced.
        """
        if self.options.on_demand:
            self._run_on_demand(stop)
            return
        if not patient:
            self._run_session(stop, None)
        self._reopen(stop, None)

    def _run_on_demand(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._heartbeat()
            try:
                demand = Demand()
            except AudioError as error:
                self._report_trouble(str(error))
                stop.wait(_LAST_RETRY_S)
                continue
            try:
                while demand.wait(stop, self._heartbeat):
                    self._rescan()
                    self._reopen(stop, demand)
            finally:
                demand.close()

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
        session = self._session = Session(self.enhancer, self.options, self._say, self._on_output)
        session.engine.bypass = self._bypass
        ran = False
        hops = 0
        try:
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
        finally:
            self._session = None
            self.clock_ratios = session.clock_ratios
            session.close()
            self._past = _sum(self._past, session.counters)
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
