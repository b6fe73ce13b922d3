"""What lies above the band of the network, 8 kHz: it stays and goes with what the network does just below.

Two gains are made of each hop, and the lesser one counts.

- How much of 4 to 7.25 kHz the network kept, for all that is above alike. Voices and noise that it takes away go with
  what they have below, and sibilants stay. A hop says little by itself: where the network has kept little of all its
  bins for some time, the wanted voice is not there, and a hop that it keeps is let through by that much less.
- In each of some bands, how far the sound is above the steady noise there, for which the least of the last second is
  taken (minimum statistics: R. Martin, IEEE Trans. Speech and Audio Processing 9(5), 2001; spectral subtraction:
  S. F. Boll, IEEE Trans. ASSP 27(2), 1979). While somebody speaks, the first gain is near 1; noise that goes on
  meanwhile, or that there is above 8 kHz only, goes by the second.

``python -m studies upper-band`` chose the constants; docs/full-band.md says what else was tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pse.spectral import Samples, Spectra

_FAINT = 1e-10
"""Of powers: less than the last of 24 bits leaves."""
_PARTS = 3
_LEAST_BINS = 20  # of a band: fewer say little of noise in a single hop


@dataclass(frozen=True)
class UpperBandRule:
    """The constants of the two gains."""

    lowest_hz: float = 4_000.0
    """Of what is looked at below. Sibilants are there; vowels, which are below, would open the gain for all noise."""
    highest_hz: float = 7_250.0
    """Above that, what the network is given fades out, see ``edge_pse.transforms``."""
    forgiven: float = 1.0
    """What is kept counts as ``kept * (1 + forgiven * kept)``: networks take something of every voice, too."""
    lately_hops: float = 30.0
    """Of what was kept of all bins lately: sums over hops that fall to 1/e in so many."""
    lately_enough: float = 0.2
    """That share of all bins, kept lately, is the wanted voice beside others; of less the first gain is less."""
    least_kept: float = 0.003
    """Of the first gain: less is left of no steady noise below, and what is left is then as steady as it was."""
    fall: float = 0.5
    """Of the first gain, a hop. It rises at once: sibilants begin as sharp as they are."""
    noise_edges_hz: tuple[float, ...] = (8_000.0, 10_000.0, 12_000.0, 16_000.0, 20_000.0, 40_000.0)
    """Of the bands of the second gain; the last has all that is above."""
    subtracted: float = 2.0
    """Times the noise, of the power of a band: its least is less than its mean."""
    least_over_noise: float = 0.05
    """Of the second gain: what is left of noise covers what becomes of it."""
    noise_gain_fall: float = 0.5
    """Of the second gain, a hop; it rises at once, too."""
    smoothing: float = 0.4
    """Of powers, a hop, before the least is taken."""
    part_hops: int = 40
    """Noise is the least of so many hops, and of two times as many before them: nobody hisses for so long."""


SHIPPED = UpperBandRule()


class UpperBand:
    """Gains of the bins above those of a network, hop by hop.

    The network has ``bins`` from ``first_bin`` up, ``spacing_hz`` apart. What it leaves are ``upper_bins`` from
    ``upper_from`` up: the first of them it has in part.
    """

    def __init__(
        self,
        bins: int,
        first_bin: int,
        upper_from: int,
        upper_bins: int,
        spacing_hz: float,
        rule: UpperBandRule = SHIPPED,
    ):
        self._rule = rule
        self._remembered = math.exp(-1 / rule.lately_hops)
        below = (round(hz / spacing_hz) - first_bin for hz in (rule.lowest_hz, rule.highest_hz))
        self._below = slice(*below)
        edges = (max(round(hz / spacing_hz), first_bin + bins) - upper_from for hz in rule.noise_edges_hz)
        starts = [edge for edge in edges if edge + _LEAST_BINS <= upper_bins] or [0]
        self._starts = np.array(starts)
        self._sizes = np.diff([*starts, upper_bins]).astype(np.float32)
        # From gains of bands to those of bins, in straight lines between their middles.
        middles = self._starts + (self._sizes - 1) / 2
        self._spread = np.stack(
            [np.interp(np.arange(upper_bins), middles, one) for one in np.eye(len(starts))]
        ).astype(np.float32)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._gain = 0.0
        self._common = self._whole = 0.0
        bands = len(self._starts)
        self._hops = 0
        self._smoothed = np.zeros(bands, np.float32)
        # Of the part that runs, and of those before.
        self._minima = np.full((_PARTS, bands), np.inf, np.float32)
        self._noise = np.zeros(bands, np.float32)
        self._noise_gains = np.ones(bands, np.float32)

    def __call__(self, given: Samples, enhanced: Samples, upper: Spectra) -> None:
        """Scale ``upper``, (hops, upper bins), in place by what became of ``given``, the input of the network.

        ``given`` and ``enhanced``: (hops, 1, 2, 1, bins).
        """
        before, after = (spectra[:, 0, :, 0, self._below] for spectra in (given, enhanced))
        powers = np.add.reduceat(np.square(upper.real) + np.square(upper.imag), self._starts, axis=1)
        powers /= self._sizes
        for hop, power in enumerate(powers):
            kept = self.kept(before[hop], after[hop])
            kept = min(kept * (1 + self._rule.forgiven * kept), 1.0) * self.lately(given[hop], enhanced[hop])
            kept = max(kept, self._rule.least_kept)
            self._gain = max(kept, self._gain + self._rule.fall * (kept - self._gain))
            self._follow_noise(power)
            gains = np.minimum(self._over_noise(power), np.float32(self._gain))
            upper[hop] *= np.minimum(gains @ self._spread, np.float32(1))

    def kept(self, given: Samples, enhanced: Samples) -> float:
        """How much of the sound below the network kept in one hop, 0 to 1; both (2, bins that are looked at).

        What of the one is in the other by least squares: what else there is, the network has made up.
        """
        common, whole = float(np.vdot(given, enhanced)), float(np.vdot(given, given))
        return min(max(common / (whole + _FAINT), 0.0), 1.0)

    def lately(self, given: Samples, enhanced: Samples) -> float:
        """Whether the wanted voice has been there lately, 0 to 1, with one hop more: (1, 2, 1, bins) each."""
        self._common = self._remembered * self._common + float(np.vdot(given, enhanced))
        self._whole = self._remembered * self._whole + float(np.vdot(given, given))
        share = self._common / (self._rule.lately_enough * self._whole + _FAINT)
        return min(max(share, 0.0), 1.0)

    def _follow_noise(self, power: NDArray[np.float32]) -> None:
        """From one hop more; as long as the stream is too short to tell, there is none."""
        self._hops += 1
        self._smoothed += np.float32(self._rule.smoothing) * (power - self._smoothed)
        np.minimum(self._minima[0], self._smoothed, out=self._minima[0])
        if self._hops >= self._rule.part_hops:
            self._noise = self._minima.min(axis=0)
            if self._hops % self._rule.part_hops == 0:
                self._minima[1:] = self._minima[:-1]
                self._minima[0] = self._smoothed

    def _over_noise(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """The second gain of each band."""
        rule = self._rule
        share = 1 - np.float32(rule.subtracted) * self._noise / (power + np.float32(_FAINT))
        wanted = np.sqrt(np.maximum(share, np.float32(rule.least_over_noise**2)))
        falling = self._noise_gains + np.float32(rule.noise_gain_fall) * (wanted - self._noise_gains)
        self._noise_gains = np.maximum(wanted, falling)
        return self._noise_gains
