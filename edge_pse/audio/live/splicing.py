"""Adds or drops whole hops of a stream where it is hardly heard."""

from __future__ import annotations

import numpy as np

from edge_pse.spectral import Samples

_QUIET = 0.25
"""A hop with less than this share of the usual energy is quiet enough."""
_PATIENCE_HOPS = 100
"""How long to wait for a quiet hop; in unbroken noise any place is as good as another."""


class Splicer:
    """Passes hops on; when told to, makes the stream a hop longer or some hops shorter.

    The cut is a cross-fade as long as a hop between the sound at its two ends, so that nothing steps.
    Without a request the hops pass untouched.
    """

    def __init__(self, hop_samples: int):
        self._rising = np.arange(1, hop_samples + 1, dtype=np.float32) / np.float32(hop_samples)
        self._before = np.zeros(hop_samples, np.float32)
        self._usual_energy = 0.0
        self._wanted = 0
        self._waited = 0
        self._begun: Samples | None = None

    def request(self, hops: int) -> None:
        """Add ``hops`` to the stream, or drop as many if negative; takes the place of an earlier request."""
        if self._begun is None:
            self._wanted, self._waited = hops, 0

    def process(self, hop: Samples) -> list[Samples]:
        """The next hop -> the hops to play: one, two, or none while some are dropped."""
        energy = float(hop @ hop)
        quiet = energy <= _QUIET * self._usual_energy
        self._usual_energy += 0.02 * (energy - self._usual_energy)
        if self._begun is not None:
            return self._drop(hop)
        if self._wanted:
            self._waited += 1
            if quiet or self._waited > _PATIENCE_HOPS or not self._usual_energy:
                return self._cut(hop)
        self._before = hop
        return [hop]

    def _cut(self, hop: Samples) -> list[Samples]:
        if self._wanted < 0:
            self._begun = hop
            return []
        self._wanted -= 1
        bridge = hop + self._rising * (self._before - hop)
        self._before = hop
        return [bridge, hop]

    def _drop(self, hop: Samples) -> list[Samples]:
        assert self._begun is not None
        self._wanted += 1
        if self._wanted:
            return []
        bridge = self._begun + self._rising * (hop - self._begun)
        self._begun = None
        self._before = hop
        return [bridge]
