"""Samples of 16 bits, as devices and most files carry them, and of floating point, as the network takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_pse.spectral import Samples

Pcm = NDArray[np.int16]

FULL_SCALE = 32768
"""Of 16-bit samples: dividing by it and multiplying again gives every one of them back."""


def to_float(pcm: Pcm) -> Samples:
    """16 bits of any shape -> float32 of the same, full scale -1 to 1."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def to_pcm(samples: Samples) -> Pcm:
    """Full scale 1 -> 16 bits, rounded and limited."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
