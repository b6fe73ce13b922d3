"""The last seconds of a stream, before and after the network, kept in memory while somebody wants to hear them."""

from __future__ import annotations

import base64
import io
import threading
import wave
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edge_pse.audio.pcm import to_pcm
from edge_pse.spectral import Samples

KEPT_S = 10.0


class Hearing:
    """Keeps nothing but inside of ``kept``, and forgets all when the last who is in there leaves.

    The threads of the stream add; any other may ask.
    """

    def __init__(self) -> None:
        self.before, self.after = _Kept(), _Kept()
        self._listeners = 0
        self._entering = threading.Lock()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """While in here, the last seconds are kept."""
        with self._entering:
            self._listeners += 1
            self.before.active = self.after.active = True
        try:
            yield
        finally:
            with self._entering:
                self._listeners -= 1
                if not self._listeners:
                    self.before.forget()
                    self.after.forget()

    def latest(self) -> dict[str, Any]:
        """``before`` and ``after``, for JSON: ``rate_hz`` and ``wav``, a file of 16 bits in base64; None for nothing.

        Both end now: what came last is in the one and, later by the delay of the network, in the other.
        """
        return {"before": self.before.latest(), "after": self.after.latest()}


class _Kept:
    """One of the two."""

    def __init__(self) -> None:
        self.active = False
        self._hops: deque[Samples] = deque()
        self._samples = 0
        self._rate_hz = 0
        self._adding = threading.Lock()

    def add(self, hop: Samples, rate_hz: int) -> None:
        """The next samples of the stream, (n,) float32."""
        if not self.active:
            return
        with self._adding:
            if not self.active:  # forgotten while this waited
                return
            if rate_hz != self._rate_hz:
                self._hops.clear()
                self._samples, self._rate_hz = 0, rate_hz
            self._hops.append(hop)
            self._samples += hop.size
            while self._samples > KEPT_S * rate_hz:
                self._samples -= self._hops.popleft().size

    def latest(self) -> dict[str, Any] | None:
        with self._adding:
            hops, rate_hz = list(self._hops), self._rate_hz
        if not hops:
            return None
        content = io.BytesIO()
        with wave.open(content, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate_hz)
            file.writeframes(to_pcm(np.concatenate(hops)).astype("<i2").tobytes())
        return {"rate_hz": rate_hz, "wav": base64.b64encode(content.getvalue()).decode()}

    def forget(self) -> None:
        with self._adding:
            self.active = False
            self._hops.clear()
            self._samples = 0
