"""Through the network or past it, with the same delay and without a click between."""

from __future__ import annotations

from collections import deque

import numpy as np

from edge_pse.enhancer import Enhancer
from edge_pse.spectral import Samples


class BypassSwitch:
    """Whole hops at the rate that the enhancer takes, through the network or past it, to the rate that it gives.

    Both ways deliver the input of one hop before, so that changing between them is a cross-fade of one hop. Past the
    network and between equal rates, that is the input bit for bit.
    Back at the network, its first two hops are not used: its window still holds the sound of before.
    """

    def __init__(self, enhancer: Enhancer):
        self.enhancer = enhancer
        hop_samples = enhancer.output_hop_samples
        self._rising = np.arange(1, hop_samples + 1, dtype=np.float32) / np.float32(hop_samples)
        self._past_network = enhancer.past_network()
        self._recent: deque[Samples] = deque(maxlen=2)
        """Hops that only the network was given, as far as the way past it needs them."""
        self._hops_at_network = 3

    def process(self, hop: Samples, past_network: bool, far_end: Samples | None = None) -> Samples:
        """One hop, and that of the far end, float32 -> the hop before, enhanced unless ``past_network``.

        (``enhancer.hop_samples``,) and (``enhancer.far_hop_samples``,) -> (``enhancer.output_hop_samples``,).
        """
        if not past_network and self._hops_at_network >= 3:
            self._recent.append(hop)
            return self.enhancer.process(hop, far_end)
        dry = self._dry(hop)
        if past_network and not self._hops_at_network:
            return dry
        enhanced = self.enhancer.process(hop, far_end)
        if past_network:
            self._hops_at_network = 0
            return enhanced + self._rising * (dry - enhanced)
        self._hops_at_network += 1
        if self._hops_at_network <= 2:
            return dry
        return dry + self._rising * (enhanced - dry)

    def _dry(self, hop: Samples) -> Samples:
        for before in self._recent:
            self._past_network.process(before)
        self._recent.clear()
        return self._past_network.process(hop)
