"""From one sample rate to another, a block at a time."""

from __future__ import annotations

import numpy as np
import soxr

from edge_pse.spectral import Samples


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
