"""Rules for the gains above 8 kHz: the one that ships, it with one constant changed, and others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edge_pse.spectral import Samples, Spectra
from edge_pse.upper_band import SHIPPED, UpperBand, UpperBandRule

_TINY = 1e-10
_PART_BINS = 20

Make = Callable[..., UpperBand]
"""Takes what ``UpperBand`` takes, without a rule."""


class Untouched(UpperBand):
    """Passes all that is above."""

    def __call__(self, given: Samples, enhanced: Samples, upper: Spectra) -> None:
        pass


class ByEnergy(UpperBand):
    """Counts what comes out, whatever it has to do with what went in."""

    def kept(self, given: Samples, enhanced: Samples) -> float:
        return min(float(np.sqrt(np.vdot(enhanced, enhanced) / (np.vdot(given, given) + _TINY))), 1.0)


class ByHop(UpperBand):
    """Looks at each hop by itself."""

    def lately(self, given: Samples, enhanced: Samples) -> float:
        return 1.0


class FirstTried(ByHop, ByEnergy):
    """Both: each hop by itself, and what comes out."""


class ByPart(UpperBand):
    """Looks at parts of 1 kHz by themselves, of which the one counts of which most is kept."""

    def kept(self, given: Samples, enhanced: Samples) -> float:
        starts = range(0, given.shape[1] - _PART_BINS // 2, _PART_BINS)
        return max(
            super(ByPart, self).kept(given[:, part], enhanced[:, part])
            for part in (slice(start, start + _PART_BINS) for start in starts)
        )


class ByBin(UpperBand):
    """Takes the mean over bins, whatever their energy."""

    def kept(self, given: Samples, enhanced: Samples) -> float:
        common, whole = (given * enhanced).sum(axis=0), np.square(given).sum(axis=0)
        return float(np.clip(common / (whole + _TINY), 0, 1).mean())


def _of(kind: type[UpperBand] = UpperBand, **changed: object) -> Make:
    rule: UpperBandRule = replace(SHIPPED, **changed)  # type: ignore[arg-type]

    def make(bins: int, first_bin: int, upper_from: int, upper_bins: int, spacing_hz: float) -> UpperBand:
        return kind(bins, first_bin, upper_from, upper_bins, spacing_hz, rule)

    return make


SHIPS = "what ships"
UNTOUCHED = "nothing is taken away"
RULES: dict[str, Make] = {
    SHIPS: _of(),
    UNTOUCHED: _of(Untouched),
    "the first that was tried: energy, 4 to 7.5 kHz, one gain": _of(
        FirstTried, highest_hz=7_500.0, forgiven=0.0, least_kept=0.0, fall=0.4, subtracted=0.0
    ),
    "energy instead of what agrees": _of(ByEnergy),
    "the part of 1 kHz of which most is kept": _of(ByPart),
    "the mean over bins": _of(ByBin),
    "from 1 kHz": _of(lowest_hz=1_000.0),
    "from 3 kHz": _of(lowest_hz=3_000.0),
    "from 5 kHz": _of(lowest_hz=5_000.0),
    "nothing forgiven": _of(forgiven=0.0),
    "twice forgiven": _of(forgiven=2.0),
    "each hop by itself": _of(ByHop),
    "enough is 0.25 of what was heard lately": _of(lately_enough=0.25),
    "enough is 0.5 of what was heard lately": _of(lately_enough=0.5),
    "lately is 0.1 s": _of(lately_hops=10.0),
    "lately is 1 s": _of(lately_hops=100.0),
    "down to nothing": _of(least_kept=0.0),
    "0.01 kept of all": _of(least_kept=0.01),
    "falls by a quarter a hop": _of(fall=0.25),
    "falls at once": _of(fall=1.0),
    "one gain: no noise is subtracted": _of(subtracted=0.0),
    "noise subtracted once": _of(subtracted=1.0),
    "0.2 of noise left": _of(least_over_noise=0.2),
    "0.1 of noise left": _of(least_over_noise=0.1),
    "0.01 of noise left": _of(least_over_noise=0.01),
    "noise of 0.6 s": _of(part_hops=20),
    "noise of 2.4 s": _of(part_hops=80),
    "one band": _of(noise_edges_hz=(8_000.0,)),
}
