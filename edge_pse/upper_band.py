"""What lies above the band of the network, 8 kHz: it goes or stays with what the network does just below."""

from __future__ import annotations

import numpy as np

from edge_pse.spectral import Samples, Spectra

_LOWEST_HZ, _HIGHEST_HZ = 4_000.0, 7_500.0
_FALL = 0.6  # of a gain, a hop; it rises at once, so that sibilants begin as sharp as they are
_FAINT = 1e-12


class UpperBand:
    """Gains of the bins above those of a network, hop by hop.

    The network has ``bins`` from ``first_bin`` up, ``spacing_hz`` apart. What it leaves are ``upper_bins`` from
    ``upper_from`` up: the first of them it has in part.
    """

    def __init__(self, bins: int, first_bin: int, upper_from: int, upper_bins: int, spacing_hz: float):
        self._below = slice(
            round(_LOWEST_HZ / spacing_hz) - first_bin, round(_HIGHEST_HZ / spacing_hz) - first_bin
        )
        self._gain = 0.0

    def __call__(self, given: Samples, enhanced: Samples, upper: Spectra) -> None:
        """Scale ``upper``, (hops, upper bins), in place by what became of ``given``, the input of the network.

        ``given`` and ``enhanced``: (hops, 1, 2, 1, bins).
        """
        before, after = (
            np.square(spectra[..., self._below]).sum(axis=(1, 2, 3, 4)) for spectra in (given, enhanced)
        )
        wanted = np.sqrt(np.minimum(after / (before + _FAINT), 1))
        for hop, gain in enumerate(wanted.tolist()):
            self._gain = max(gain, _FALL * self._gain + (1 - _FALL) * gain)
            upper[hop] *= np.float32(self._gain)

    def reset(self) -> None:
        """Begin a new stream."""
        self._gain = 0.0
