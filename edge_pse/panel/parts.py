"""What the page can ask and tell; each name is an address below ``/api``."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

from edge_pse import reading
from edge_pse.control import Control
from edge_pse.errors import EdgePseError
from edge_pse.panel.devices import Devices
from edge_pse.panel.enrolling import Enrolling, Wish
from edge_pse.panel.examination import Examination
from edge_pse.panel.hearing import Hearing
from edge_pse.panel.stream import Stream
from edge_pse.panel.watch import Watch
from edge_pse.profiles import ProfileStore

Action = Callable[[dict[str, Any]], Any]

_HOW = ("", "add", "replace")
_LEAST_S, _MOST_S = 2, 120
"""Of speech, as ``edge-pse enroll`` takes it."""


class Parts:
    """The parts of a panel, as the page sees them. Methods take what the page says: of a wrong kind, ValueError."""

    def __init__(self, alive: Callable[[], None] = lambda: None):
        """``alive`` is called now and then, as long as the panel is well."""
        self._control = Control()
        self._stream = Stream(self._control)
        self._hearing = Hearing(self._control)
        self._watch = Watch(self._control, self._looked)
        self._examination, self._devices = Examination(), Devices()
        self._enrolling = Enrolling(self._enrolled, self._stream.runs)
        self._alive = alive

    def _looked(self) -> None:
        self._hearing.end_if_unwanted(self._watch.known["status"] is not None)
        self._alive()

    def begin(self) -> None:
        """From now on there is something to see."""
        self._watch.start()

    def end(self) -> None:
        """The stream goes on; all else ends."""
        self._watch.end()
        self._hearing.end()
        self._enrolling.cancel()
        for command in (self._devices, self._examination):
            command.end()

    def questions(self) -> dict[str, Action]:
        """Name -> what answers it, given the words of the query."""
        return {
            "state": self._state,
            "heard": lambda _: self._hearing.heard(),
            "texts": lambda _: self._texts(),
        }

    def actions(self) -> dict[str, Action]:
        """Name -> what does it, given the fields of the request."""
        return {
            "start": lambda _: self._started(self._stream.start),
            "stop": lambda _: self._started(self._stream.stop),
            "set": self._set,
            "options": self._options,
            "doctor": lambda _: self._examination.begin(),
            "devices": self._look_at_devices,
            "enroll": self._enroll,
            "cancel": lambda _: self._enrolling.cancel(),
            "hear": lambda _: self._hearing.begin(),
            "forget": lambda _: self._hearing.end(),
        }

    def _state(self, query: dict[str, str]) -> dict[str, Any]:
        kept = self._stream.options()
        return {
            **self._watch.state(),
            "time_s": time.time(),
            "service": self._stream.is_service,
            "options": {
                "input": _last(kept.get("--input")),
                "output": _last(kept.get("--output")),
                "loopback": _last(kept.get("--loopback")),
                "on_demand": bool(kept.get("--on-demand")),
                "profiles": kept.get("--profile"),
                "strength": _number(_last(kept.get("--strength"))),
            },
            "points": self._watch.points(float(query.get("after", "0"))),
            "doctor": self._examination.state(),
            "devices": self._devices.state(),
            "enrollment": self._enrolling.state(),
            "heard_s": self._hearing.seconds(query.get("hears") == "1"),
        }

    def _set(self, wanted: dict[str, Any]) -> None:
        """What takes effect while the stream runs; where none does, it starts with it."""
        _check(wanted, bypass=bool, strength=(int, float), profiles=list)
        if "strength" in wanted and not 0 <= wanted["strength"] <= 1:
            raise ValueError("the strength")
        profiles, strength = wanted.get("profiles"), wanted.get("strength")
        if profiles is not None and not all(isinstance(name, str) for name in profiles):
            raise ValueError("the profiles")
        if self._stream.runs():
            self._control.set(**wanted)
        self._stream.keep(profile=profiles, strength=None if strength is None else [f"{strength:g}"])
        self._watch.look()

    def _options(self, wanted: dict[str, Any]) -> None:
        """Devices, which are opened anew for that; empty is the default one, and no loopback."""
        _check(wanted, input=str, output=str, loopback=str, on_demand=bool)
        values: dict[str, list[str] | None] = {}
        for name in ("input", "output", "loopback"):
            if name in wanted:
                values[name] = [wanted[name]] if wanted[name] else []
        if "on_demand" in wanted:
            values["on_demand"] = [""] if wanted["on_demand"] else []
        if wanted.get("output", "virtual") != "virtual":
            values["on_demand"] = []
        self._started(lambda: self._stream.change(**values))

    def _look_at_devices(self, wanted: dict[str, Any]) -> None:
        _check(wanted, listen=bool)
        self._devices.begin(wanted.get("listen", False))

    def _enroll(self, wanted: dict[str, Any]) -> None:
        _check(wanted, name=str, seconds=(int, float), language=str, microphone=str, how=str)
        wish = Wish(
            **{
                "seconds": 10.0,
                "language": reading.language_of_locale(),
                "microphone": "",
                "how": "",
                **wanted,
            }
        )
        fits = (
            wish.language in reading.languages() and wish.how in _HOW and _LEAST_S <= wish.seconds <= _MOST_S
        )
        if not fits or not wish.microphone.isprintable() or not wish.name.isprintable():
            raise ValueError("the enrollment")
        ProfileStore().files(wish.name)  # a name that is none is refused before anybody reads
        self._devices.end()  # it may hold the microphone
        self._enrolling.begin(wish)

    def _enrolled(self, name: str) -> None:
        """Whoever has kept every voice until now wanted this one."""
        with contextlib.suppress(EdgePseError):
            if not self._stream.options().get("--profile"):
                self._set({"profiles": [name]})

    @staticmethod
    def _texts() -> dict[str, Any]:
        return {"languages": reading.languages(), "language": reading.language_of_locale()}

    def _started(self, change: Callable[[], None]) -> None:
        self._devices.end()  # it may hold what the stream is to open
        try:
            change()
        finally:
            self._watch.look()


def _check(wanted: dict[str, Any], **kinds: type | tuple[type, ...]) -> None:
    """ValueError unless each field is one of these, and of its kind."""
    for name, value in wanted.items():
        kind = kinds.get(name)
        if kind is None or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(name)


def _last(values: list[str]) -> str:
    return values[-1] if values else ""


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
