"""Faint noise where a stream has no band, for the network alone: of 8 kHz it would be shown zeros from 4 kHz up.

Microphones hear a little of everything, so that a band without anything is nothing that a network knows well: it takes
more of an enrolled voice for another one's, and less of others away. ``python -m studies narrow-band`` measured the
noise, its level and other ways.
"""

from __future__ import annotations

import numpy as np

from edge_pse.contract import Contract
from edge_pse.spectral import Samples

LEVEL_DBFS = -70.0
"""Mean square of the noise in half of the bins, which a stream of 8 kHz lacks; fewer have as much each."""
_SEED = 20240609


class ComfortNoise:
    """The same noise for every stream, hop by hop; ``there``: how many of the network's bins the stream has."""

    def __init__(self, contract: Contract, there: int):
        self._there, self._missing = there, contract.bins - there
        # Parseval: the bins hold half the energy of the windowed samples; the window's squares sum to one hop.
        energy = 10 ** (LEVEL_DBFS / 10) * contract.window_samples * contract.hop_samples / 2
        self._amplitude = np.float32(np.sqrt(energy / contract.bins))
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        # Loading NumPy's random numbers takes a while, in which a signal may be lost; most streams need none.
        if self._missing:
            self._random = np.random.default_rng(_SEED)

    def filled(self, spectrum: Samples) -> Samples:
        """A spectrum with noise of its own in what is missing, (1, 2, 1, bins); itself if nothing is."""
        if not self._missing:
            return spectrum
        noise = self._amplitude * self._random.standard_normal((1, 2, 1, self._missing), np.float32)
        return np.concatenate([spectrum[..., : self._there], noise], axis=-1)

    def emptied(self, enhanced: Samples) -> Samples:
        """What the network made of it, without what became of the noise."""
        if not self._missing:
            return enhanced
        emptied = enhanced.copy()
        emptied[..., self._there :] = 0
        return emptied
