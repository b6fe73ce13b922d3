"""From one sample rate to another, a block at a time, for rates of which a hop of 10 ms has no whole number of samples.

All other streams go through the network at their own rates. Files of odd rates are changed by soxr. It gathers blocks
of its own on the way, at 48 kHz 6 to 36 ms of a stream, which would be more than all the rest of this program. So in
pipes and connections a direct polyphase filter does it: it costs a few more multiplications and holds back its own half
length only, 1.5 ms at 22.05 kHz.
"""

from __future__ import annotations

from math import ceil, gcd

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view

from edge_pse.spectral import Samples

_HALF_LENGTH = 32
"""Half the filter, in samples of the lower rate: 2 ms at 16 kHz, flat to 7 kHz."""
_KAISER_BETA = 8.0  # stop band 80 dB down
_MOST_POSITIONS = 4096
"""Between two samples, for rates with a small common divisor: the nearest of so many is as good as the filter."""


class Resampler:
    """One channel of a stream; what it gives lies in time where the input does.

    The filter looks ahead, so that a block brings out fewer samples than its share and the rest comes with
    later ones. The size of the blocks changes nothing else. Equal rates pass through untouched.
    """

    def __init__(self, from_hz: int, to_hz: int):
        self._stream = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def process(self, samples: Samples) -> Samples:
        """The next samples, (n,) float32 -> those that they complete, (m,) float32."""
        return samples if self._stream is None else self._stream.resample_chunk(samples)

    def flush(self) -> Samples:
        """The rest: in all, the length of the input times the ratio, rounded. Ends the stream."""
        rest = np.empty(0, np.float32)
        return rest if self._stream is None else self._stream.resample_chunk(rest, last=True)


class LowDelayResampler:
    """One channel of a stream from one rate to another; what it gives lies in time where the input does.

    A windowed sinc, one set of taps for each position of an output sample between two input samples, as long
    as these are not too many. The size of the blocks changes nothing. Equal rates pass through untouched.
    """

    def __init__(self, from_hz: int, to_hz: int):
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._half = ceil(_HALF_LENGTH * max(1.0, from_hz / to_hz))
        self._positions = min(self._up, _MOST_POSITIONS)
        self._taps = self._filter_bank(min(1.0, to_hz / from_hz))
        self.delay_s = 0.0 if from_hz == to_hz else self._half / from_hz
        """How long a sample waits for those after it that the filter needs."""
        self.reset()

    def reset(self) -> None:
        """Begin a new stream, after silence."""
        self._next = 0
        self._recent: Samples = np.zeros(self._half - 1, np.float32)
        self._begin = 1 - self._half

    def process(self, samples: Samples) -> Samples:
        """The next samples, (n,) float32 -> those that they complete, (m,) float32."""
        if self._up == self._down:
            return samples
        recent = np.concatenate([self._recent, samples])
        # Output n lies at input n * down / up and needs half a filter on either side.
        last_center = self._begin + recent.size - 1 - self._half
        end = max(self._next, ((last_center + 1) * self._up - 1) // self._down + 1)
        if end == self._next:
            self._recent = recent
            return recent[:0]
        positions = np.arange(self._next, end) * self._down
        starts = positions // self._up - self._half + 1 - self._begin
        windows = sliding_window_view(recent, 2 * self._half)[starts]
        nearest = (positions % self._up * self._positions + self._up // 2) // self._up
        out = np.einsum("ij,ij->i", windows, self._taps[nearest])
        self._next = end
        keep = max(0, end * self._down // self._up - self._half + 1 - self._begin)
        self._recent, self._begin = recent[keep:], self._begin + keep
        return out

    def _filter_bank(self, cutoff: float) -> Samples:
        """(from one input to the next, taps) float32; ``cutoff`` as a share of the input's half rate."""
        between = np.arange(self._positions + 1)[:, None] / self._positions
        distance = np.arange(1 - self._half, self._half + 1)[None, :] - between
        window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / self._half) ** 2, 0, None)))
        taps = np.sinc(cutoff * distance) * window
        return np.asarray(taps / taps.sum(axis=1, keepdims=True), np.float32)
