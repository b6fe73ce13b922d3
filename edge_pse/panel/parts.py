"""What the page can ask and tell; each name is an address below ``/api``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from edge_pse.control import Control
from edge_pse.panel.examination import Examination
from edge_pse.panel.stream import Stream
from edge_pse.panel.watch import Watch

Action = Callable[[dict[str, Any]], Any]


class Parts:
    """The parts of a panel, as the page sees them. Methods take what the page says: of a wrong kind, ValueError."""

    def __init__(self, alive: Callable[[], None] = lambda: None):
        """``alive`` is called now and then, as long as the panel is well."""
        self._control = Control()
        self._stream = Stream(self._control)
        self._watch = Watch(self._control, alive)
        self._examination = Examination()

    def begin(self) -> None:
        """From now on there is something to see."""
        self._watch.start()

    def end(self) -> None:
        """The stream goes on; all else ends."""
        self._watch.end()
        self._examination.end()

    def questions(self) -> dict[str, Action]:
        """Name -> what answers it, given the words of the query."""
        return {"state": self._state}

    def actions(self) -> dict[str, Action]:
        """Name -> what does it, given the fields of the request."""
        return {
            "start": lambda _: self._started(self._stream.start),
            "stop": lambda _: self._started(self._stream.stop),
            "set": self._set,
            "options": self._options,
            "doctor": lambda _: self._examination.begin(),
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

    def _started(self, change: Callable[[], None]) -> None:
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
        return float(text)
    except ValueError:
        return None
