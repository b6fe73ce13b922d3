"""Levels of sound where speech is: a constant offset of a microphone and mains hum are below, and don't count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ = 300.0
"""Above mains hum and its strongest harmonics; a voice has half of its power or more from here on."""


_PAUSES_PERCENT = 10
_SILENCE = 1e-9  # in power: what is below it never passed a microphone
_HUM_OVER_REST = 16.0  # in power: rooms, machines and streets have 8 dB more below 300 Hz than above at most
_HUM_UNDER_SPEECH = 1e-3  # in power: what is fainter changes nothing


class SpeechBand:
    """Powers of spectra where speech is; ``bins`` of them, ``spacing_hz`` apart, from ``first_bin`` up.

    ``power_scale``: mean square of the samples over the sum of the squares of all bins.
    """

    def __init__(self, bins: int, first_bin: int, spacing_hz: float, power_scale: float):
        self._lowest = max(1, round(LOWEST_HZ / spacing_hz) - first_bin)
        # From a square-root Hann window to its cube, whose squares sum to 2.5 times as much.
        self._scale = power_scale / 2.5

    def power(self, spectrum: NDArray[np.float32]) -> float:
        """Mean square of the samples that a spectrum (1, 2, 1, bins) stands for, in this band.

        Neighbouring bins are taken off each other, which is a window with steeper slopes: through that of the
        network an offset of 0.05 would still be heard at 1 kHz.
        """
        parts = spectrum[0, :, 0]
        sharp = parts[:, self._lowest : -1] - 0.5 * (
            parts[:, self._lowest - 1 : -2] + parts[:, self._lowest + 1 :]
        )
        return self._scale * float(np.vdot(sharp, sharp))


def without_hum(
    power: NDArray[np.float64], kept: NDArray[np.float64], in_speech_band: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power and what is kept of it, (hops,) each: as they are, or where speech is, if below is an offset or hum.

    ``in_speech_band``: both, (hops, 2). Noise of low frequency, which has a part above, counts.
    """
    sounding = power > _SILENCE
    if not sounding.any():
        return power, kept
    inside = in_speech_band[sounding, 0]
    pauses = inside <= np.percentile(inside, _PAUSES_PERCENT)
    below = float(np.median(power[sounding][pauses] - inside[pauses]))
    heard = below > _HUM_OVER_REST * np.median(inside[pauses])
    if heard and below > _HUM_UNDER_SPEECH * np.percentile(power, 95):
        return in_speech_band[:, 0], in_speech_band[:, 1]
    return power, kept


def speech_power(samples: NDArray[np.floating], sample_rate_hz: float) -> NDArray[np.float64]:
    """Mean square of a block of samples where speech is; (n,) -> (), (n, channels) -> (channels,)."""
    size = len(samples)
    if size < 2:
        return np.zeros(samples.shape[1:])
    window = np.hanning(size + 1)[:size]
    spectra = np.fft.rfft(samples.T * window)[..., int(np.ceil(LOWEST_HZ * size / sample_rate_hz)) :]
    return np.asarray(2 / (size * np.sum(window**2)) * np.square(np.abs(spectra)).sum(axis=-1))
