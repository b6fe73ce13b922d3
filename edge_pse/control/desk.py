"""What a running stream can be asked and told: the keys of the terminal, other programs and the panel come here."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from edge_pse.audio.live import Live
from edge_pse.control.hearing import Hearing
from edge_pse.diagnosis.machine import NOW, firmware_bits, hottest_c
from edge_pse.errors import ControlError, EdgePseError
from edge_pse.profiles import Profile, ProfileStore

_KEPT_SENTENCES = 50


class Desk:
    """One stream as its user sees it. All methods may be called by any thread.

    ``live`` gives the stream, which may not be there yet. ``load`` gives a profile as the stream takes it. ``given``:
    names of those that it began with. ``speaks`` says who does just now.
    """

    def __init__(
        self,
        live: Callable[[], Live],
        load: Callable[[str], Profile],
        stop: threading.Event,
        given: Sequence[str] = (),
        speaks: Callable[[], str] | None = None,
    ):
        self._live = live
        self._load, self._stop, self._given, self._speaks = load, stop, tuple(given), speaks
        self.hearing = Hearing()
        """Is to be given the sound before and after the network."""
        self._began_s = time.monotonic()
        self._sentences: deque[tuple[float, str]] = deque(maxlen=_KEPT_SENTENCES)
        self._changing = threading.Lock()

    def note(self, sentence: str) -> None:
        """Keep what the stream has said, for those who ask later."""
        self._sentences.append((time.time(), sentence))

    def status(self) -> dict[str, Any]:
        """How it goes, for JSON.

        ``stream`` is None while no devices are open; else it has the fields of ``Status``. ``counters`` has those of
        ``Counters``. ``sentences`` are the last that were said, with their time in seconds since 1970.
        """
        live = self._live()
        enhancer = live.enhancer
        stream = live.status()
        return {
            "model": enhancer.model.contract.network,
            "runs_s": time.monotonic() - self._began_s,
            "bypass": live.bypass,
            "strength": enhancer.strength,
            "profiles": [profile.name for profile in enhancer.profiles],
            "personal": [profile.name for profile in enhancer.personal],
            "stream": None if stream is None else asdict(stream),
            "counters": asdict(live.counters),
            "restarts": live.restarts,
            "speaks": None if self._speaks is None else self._speaks(),
            "hottest_c": hottest_c(),
            "throttled": bool((firmware_bits() or 0) & NOW),
            "sentences": [{"time_s": time_s, "text": text} for time_s, text in list(self._sentences)],
        }

    def set(
        self,
        *,
        bypass: bool | None = None,
        strength: float | None = None,
        profiles: Sequence[str] | None = None,
    ) -> None:
        """Change what is given. EdgePseError for what can't be: nothing is changed then."""
        if strength is not None and not 0 <= strength <= 1:
            raise ControlError("The strength is from 0 to 1.")
        live = self._live()
        with self._changing:
            if profiles is not None:
                live.enhancer.profiles = [self._load(name) for name in dict.fromkeys(profiles)]
            if strength is not None:
                live.enhancer.strength = strength
            if bypass is not None:
                live.bypass = bypass

    def toggle_bypass(self) -> None:
        """Past the network, or through it again."""
        self.set(bypass=not self._live().bypass)

    def change_strength(self, step: float) -> None:
        """By so much, within 0 and 1."""
        self.set(strength=min(max(round(self._live().enhancer.strength + step, 2), 0.0), 1.0))

    def next_profile(self) -> None:
        """The one after this in alphabetical order; then those that were given together, then none.

        What can't be used is passed over: EdgePseError says why, and the one after it is set all the same.
        """
        choices: list[tuple[str, ...]] = [(), *((name,) for name in ProfileStore().list())]
        if len(self._given) > 1:
            choices.append(self._given)
        now = tuple(profile.name for profile in self._live().enhancer.profiles)
        following = choices.index(now) + 1 if now in choices else 0
        troubles: list[EdgePseError] = []
        for names in choices[following:] + choices[:following]:
            try:
                self.set(profiles=names)
                break
            except EdgePseError as error:
                troubles.append(error)
        if troubles:
            raise troubles[0]

    def stop(self) -> None:
        """End the stream."""
        self._stop.set()
