"""Between two clocks, as those of the worker and the output device: a bounded buffer, and rules for how full it
should be.

What the devices need in reserve is found by running dry: the silence that is then played is delay from then
on. Whatever proves to be too much is given back, so that the delay never grows for long.
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray


class JitterBuffer:
    """A ring of samples, 16 bits or floating point, with one writer and one reader on another thread.

    Neither waits for the other: each moves only its own counter, and Python makes that one step. What a device's
    callback reads is 16 bits already when it is written, because a callback should do as little as it can.
    """

    def __init__(self, capacity_samples: int, reserve_samples: int, dtype: type[np.int16] | type[np.float32]):
        """``capacity_samples``: most that are kept; ``reserve_samples``: how many must be there beyond those asked for.
        Fades last half as long.

        ``dtype``: of the samples, the same for ``write`` and ``read_into``.
        """
        self._ring: NDArray[Any] = np.zeros(capacity_samples, dtype)
        self._written = self._read = 0
        self._reserve = reserve_samples
        self._filling = True
        self._begun = False
        self._last: float = 0
        self._rising = np.linspace(0, 1, reserve_samples // 2, dtype=np.float32)
        self.underruns = 0
        """How often the reader found too little."""
        self.dropped = 0
        """Samples that did not fit, because nobody read them any more."""
        self.least: int | None = None
        """Fewest samples left behind by a read since it was last set to None."""
        self.left = 0
        """Samples left behind by all reads together."""
        self.reads = 0

    @property
    def level(self) -> int:
        """Samples waiting."""
        return self._written - self._read

    def write(self, samples: NDArray[Any]) -> None:
        """Add samples, (n,); those that do not fit are dropped."""
        room = self._ring.size - self.level
        if self._begun:
            self.dropped += max(0, samples.size - room)
        samples = samples[:room]
        start = self._written % self._ring.size
        first = samples[: self._ring.size - start]
        self._ring[start : start + first.size] = first
        self._ring[: samples.size - first.size] = samples[first.size :]
        self._written += samples.size

    def read_into(self, out: NDArray[Any]) -> None:
        """Fill ``out``, (n,): with silence while the reserve builds up, with a short fade where samples run out."""
        level = self.level
        if level == self._ring.size:
            # Nobody has read for so long that what is here is too late by now.
            self._filling = True
            level = min(level, out.size + self._reserve)
            self._read = self._written - level
        if self._filling and level < out.size + self._reserve:
            out.fill(0)
            return
        taken = min(level, out.size)
        start = self._read % self._ring.size
        first = self._ring[start : min(start + taken, self._ring.size)]
        out[: first.size] = first
        out[first.size : taken] = self._ring[: taken - first.size]
        self._read += taken
        if self._filling:
            self._filling, self._begun = False, True
            fade = out[: self._rising.size]
            fade[:] = fade * self._rising[: fade.size]
        if taken:
            self._last = out[taken - 1].item()
        if taken < out.size:
            self._run_dry(out[taken:])
        left = level - taken
        self.least = left if self.least is None else min(self.least, left)
        self.left += left
        self.reads += 1

    def _run_dry(self, rest: NDArray[Any]) -> None:
        """A step to silence would click."""
        rest.fill(0)
        fade = rest[: self._rising.size]
        fade[:] = self._last * self._rising[::-1][: fade.size]
        self._last = 0
        self._filling = True
        self.underruns += 1


class DelayPolicy:
    """Says how many hops of delay to add or to give back, from how full the playback buffer was.

    One rule serves clocks that drift apart, a backlog after a pause, and the reserve after an underrun. A
    window of about two seconds sees the emptiest moment between the bursts in which devices take samples.
    """

    LEAST_HOPS = 0.25
    """With less left at the emptiest moment, the next late sample would be an underrun: add a hop."""
    MOST_HOPS = 1.5
    """More than a hop above the least, so that one hop given back does not have to be added again."""
    MOST_RESERVE_HOPS = 4
    CALM_WINDOWS = 5
    """Windows without an underrun before one hop of reserve is given back."""

    def __init__(self) -> None:
        self._reserve_hops = 0
        self._calm = 0

    def decide(self, least_hops: float, ran_dry: bool) -> int:
        """Fewest hops left in the window, and whether they ran out in it -> hops to add, negative to drop.

        After an underrun nothing is added: the silence played in it was an added hop already.
        """
        if ran_dry:
            self._reserve_hops = min(self._reserve_hops + 1, self.MOST_RESERVE_HOPS)
            self._calm = 0
            return 0
        self._calm += 1
        if self._calm >= self.CALM_WINDOWS and self._reserve_hops:
            self._reserve_hops -= 1
            self._calm = 0
        if least_hops < self.LEAST_HOPS:
            return 1
        if least_hops > self.MOST_HOPS + self._reserve_hops:
            return -floor(least_hops - self.MOST_HOPS + 1 - self._reserve_hops)
        return 0


class DelayController:
    """Watches a buffer in windows of two seconds and says what to add to the stream that fills it."""

    _WINDOW_S = 2.0

    def __init__(self, buffer: JitterBuffer, hop_samples: int):
        self.underruns = 0
        """Of the buffer, without those of the first window, in which running dry is how the delay is found."""
        self.waiting: float | None = None
        """Samples left behind by a read, mean of the last window; None before its end."""
        self._buffer, self._hop_samples = buffer, hop_samples
        self._policy = DelayPolicy()
        self._window_ends: float | None = None
        self._settled = False
        self._underruns_seen = self._left_seen = self._reads_seen = 0

    def update(self, now: float) -> int | None:
        """At the end of a window: hops to add, negative to drop; None at other times (monotonic seconds)."""
        least = self._buffer.least
        if least is None:
            return None  # nothing read yet
        if self._window_ends is None:
            self._window_ends = now + self._WINDOW_S
        if now < self._window_ends:
            return None
        self._window_ends = now + self._WINDOW_S
        underruns = self._buffer.underruns - self._underruns_seen
        self._underruns_seen += underruns
        self._buffer.least = None
        self._measure_waiting()
        settled, self._settled = self._settled, True
        if underruns and not settled:
            return 0  # found, and no reason to keep more in reserve
        self.underruns += underruns
        return self._policy.decide(least / self._hop_samples, underruns > 0)

    def _measure_waiting(self) -> None:
        left, reads = self._buffer.left, self._buffer.reads
        self.waiting = (left - self._left_seen) / max(1, reads - self._reads_seen)
        self._left_seen, self._reads_seen = left, reads
