"""Between the samples of a stream, at rates of its own, and the spectra that a network takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_pse.comfort_noise import ComfortNoise
from edge_pse.contract import Contract
from edge_pse.errors import AudioError
from edge_pse.spectral import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, Analysis, RateChange, Samples, Synthesis
from edge_pse.upper_band import UpperBand

_SLOPE_HZ = 600.0, 100.0
"""How far below its upper end what the network is given of a wider band begins to fade, and ends: as in its training,
where filters for 16 kHz had made that end. Of mixtures at 48 kHz the output below 7 kHz then equals that of the same
mixtures at 16 kHz to 48 dB on average; without a slope it does to 34 dB."""


@dataclass(frozen=True)
class Rates:
    """Samples a second."""

    taken_hz: int
    """Of the stream."""
    given_hz: int
    """Of what becomes of it."""
    far_hz: int
    """Of the far end."""

    @classmethod
    def of(
        cls, contract: Contract, rate_hz: int | None, output_rate_hz: int | None, far_rate_hz: int | None
    ) -> Rates:
        """Those that a caller asks for, with the model's for what is None; AudioError unless they have whole hops."""
        taken_hz = contract.sample_rate_hz if rate_hz is None else rate_hz
        rates = (taken_hz, *(taken_hz if rate is None else rate for rate in (output_rate_hz, far_rate_hz)))
        for rate in rates:
            hop = rate * contract.hop_samples / contract.sample_rate_hz
            if rate != contract.sample_rate_hz and not (
                LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ and hop == int(hop)
            ):
                hop_ms = 1000 * contract.hop_samples / contract.sample_rate_hz
                raise AudioError(
                    f"A stream of {rate} Hz can't be taken as it is: give it a rate from {LOWEST_RATE_HZ} to "
                    f"{HIGHEST_RATE_HZ} Hz of which {hop_ms:g} ms are whole samples, such as 48000."
                )
        return cls(*map(int, rates))


class Transforms:
    """The windows of one stream, before and after a network.

    ``full_band``: keep what is above the band of the network. Spectra have the scale that the network was trained with,
    whatever the rates.
    """

    def __init__(self, contract: Contract, rates: Rates, full_band: bool):
        def window_samples(rate_hz: int) -> int:
            return rate_hz * contract.window_samples // contract.sample_rate_hz

        spacing_hz = contract.sample_rate_hz / contract.window_samples
        slope = _slope(spacing_hz)

        def analysis(rate_hz: int) -> Analysis:
            size = window_samples(rate_hz)
            above = rate_hz > contract.sample_rate_hz
            return Analysis(
                size,
                contract.first_bin,
                contract.bins,
                contract.window_samples / size,
                slope if above else None,
            )

        self.rates = rates
        self._highest_hz = None if full_band else contract.sample_rate_hz / 2
        self._analysis, self._far_analysis = analysis(rates.taken_hz), analysis(rates.far_hz)
        size = window_samples(rates.given_hz)
        slope_bins = slope.size if rates.taken_hz > contract.sample_rate_hz else 0
        self._synthesis = Synthesis(
            size, contract.first_bin, contract.bins, size / contract.window_samples, slope_bins
        )
        self._dry = None
        if rates.taken_hz != rates.given_hz or (slope_bins and not full_band):
            self._dry = self.past_network()
        upper_from = contract.first_bin + contract.bins - slope_bins
        self._upper_bins = min(self.hop_samples, self.output_hop_samples) + 1 - upper_from
        self._upper = None
        if full_band and slope_bins and self._upper_bins > 0:  # which an output of 8 kHz has not
            self._upper = UpperBand(
                contract.bins, contract.first_bin, upper_from, self._upper_bins, spacing_hz
            )
        there = min(contract.bins, self.hop_samples + 1 - contract.first_bin)
        self.comfort_noise = ComfortNoise(contract, there)
        """For what the stream does not have of the network's band."""
        hop = self.output_hop_samples
        self.rising = np.arange(1, hop + 1, dtype=np.float32) / np.float32(hop)
        """Weights of a cross-fade over one hop of the output."""

    @property
    def hop_samples(self) -> int:
        """Of the stream."""
        return self._analysis.hop_samples

    @property
    def output_hop_samples(self) -> int:
        """Of what becomes of it."""
        return self._synthesis.hop_samples

    @property
    def far_hop_samples(self) -> int:
        """Of the far end."""
        return self._far_analysis.hop_samples

    def past_network(self) -> RateChange:
        """The same stream if no network changed it, to be run by itself."""
        return RateChange(self.rates.taken_hz, self.rates.given_hz, self._highest_hz)

    def analyse(self, near: Samples) -> Samples:
        """Whole hops, (n,) float32 -> what the network takes of each, (hops, 1, 2, 1, bins).

        A buffer that the next call overwrites.
        """
        if self._dry is not None:
            self._dry_hops = self._dry.process(near).reshape(-1, self.output_hop_samples)
        return self._analysis(near)

    def analyse_far(self, far: Samples) -> Samples:
        """The same of the far end."""
        return self._far_analysis(far)

    def synthesise(self, given: Samples, enhanced: Samples, out: Samples) -> None:
        """What the network made of what was analysed last -> ``out``, as many hops of samples.

        ``given``: what it was made from. Both (hops, 1, 2, 1, bins).
        """
        upper = None
        if self._upper is not None:
            upper = self._analysis.upper[:, : self._upper_bins]
            self._upper(given, enhanced, upper)
        self._synthesis(enhanced, out, upper)

    @property
    def dry(self) -> Samples:
        """The input that belongs to what was synthesised last, (hops, hop of the output)."""
        return self._analysis.previous_hops if self._dry is None else self._dry_hops

    def reset(self) -> None:
        """Begin a new stream."""
        parts = (
            self._analysis,
            self._far_analysis,
            self._synthesis,
            self._dry,
            self._upper,
            self.comfort_noise,
        )
        for part in parts:
            if part is not None:
                part.reset()


def _slope(spacing_hz: float) -> Samples:
    """Weights of the last bins that a network is given of a wider band, float32: half a period of a raised cosine."""
    begin_hz, end_hz = _SLOPE_HZ
    below_hz = np.arange(round(begin_hz / spacing_hz))[::-1] * spacing_hz
    faded = np.clip((begin_hz - below_hz) / (begin_hz - end_hz), 0, 1)
    return np.asarray(np.cos(np.pi / 2 * faded) ** 2, np.float32)
