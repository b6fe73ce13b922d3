"""Half of the band: a voice as telephones and older Bluetooth headsets carry it, at 8 kHz.

A network that knows a voice by all of its band may take that of its lower half for somebody else's. So enrollments
take both at once, and what the network is given of a profile is the mean of the two: as measured by
``python -m studies microphones``, it then knows a voice either way, and no stream needs to be told which it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def of_any_band(whole: NDArray[np.float32], half: NDArray[np.float32]) -> NDArray[np.float32]:
    """The embeddings of a voice with all of its band and with half of it -> what the network is given."""
    return ((whole + half) / 2).astype(np.float32)


class LowerHalf:
    """Spectra as they would be without the upper half of their band; ``bins`` of them from ``first_bin`` up."""

    def __init__(self, bins: int, first_bin: int):
        self._above = (bins + first_bin - 1) // 2 - first_bin
        self._spectrum = np.zeros((1, 2, 1, bins), np.float32)

    def of(self, spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
        """A spectrum (1, 2, 1, bins) -> the same, zero above; a buffer that the next call overwrites."""
        self._spectrum[..., : self._above] = spectrum[..., : self._above]
        return self._spectrum
