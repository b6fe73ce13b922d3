"""Levels of sound where speech is, and the level that the network is shown.

A constant offset of a microphone and mains hum are below the band of speech, and don't count.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ = 300.0
"""Above mains hum and its strongest harmonics; a voice has half of its power or more from here on."""


_MOST_GAIN_DB = 30.0
_RAISED_TO_DBFS = -28.0  # of the loudest syllables, as a voice of about -30 dBFS has them
_RAISED_BELOW_DBFS = -40.0  # in the faintest mixtures of training, of -40 dBFS in all, they have -36
_LOWERED_ABOVE_DBFS = -14.0  # far from there, so that loud words change nothing
_LEAST_CHANGE_DB = 3.0
_SMOOTHING = 0.2  # of powers, a hop: shorter than a syllable
_FLOOR_RISE = 10 ** (0.2 / 100)  # a hop: 2 dB a second, so that pauses seconds apart are the floor
_LOUD_FALL = 10 ** (-0.1 / 100)  # a hop in which something sounds: 1 dB a second
_OVER_FLOOR = 4.0  # in power: steady noise never is
_FAINTEST = 1e-7  # in power: what is below -70 dBFS is hardly a voice
_FIRST_HOPS = 3
_EVIDENCE_HOPS = 25  # that sound, before anything is raised

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

    def power(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean square of the samples that each of some spectra (hops, 1, 2, 1, bins) stands for, in this band: (hops,).

        Neighbouring bins are taken off each other, which is a window with steeper slopes: through that of the
        network an offset of 0.05 would still count at 1 kHz.
        """
        parts = spectra.reshape(-1, 2, spectra.shape[-1])
        sharp = parts[:, :, self._lowest : -1] - 0.5 * (
            parts[:, :, self._lowest - 1 : -2] + parts[:, :, self._lowest + 1 :]
        )
        flat = sharp.reshape(len(parts), 1, -1)
        return np.asarray(self._scale * (flat @ flat.swapaxes(1, 2)).ravel(), np.float32)


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
    audible = below > _HUM_OVER_REST * np.median(inside[pauses])
    if audible and below > _HUM_UNDER_SPEECH * np.percentile(power, 95):
        return in_speech_band[:, 0], in_speech_band[:, 1]
    return power, kept


def speech_power(samples: NDArray[np.floating], sample_rate_hz: float) -> NDArray[np.float64]:
    """Mean square of a block of samples where speech is; (n,) -> (), (n, channels) -> (channels,)."""
    size = len(samples)
    if size < 2:
        return np.zeros(samples.shape[1:])
    window, energy = _hann(size)
    spectra = np.fft.rfft(samples.T * window)[..., int(np.ceil(LOWEST_HZ * size / sample_rate_hz)) :]
    return np.asarray(2 / (size * energy) * np.square(np.abs(spectra)).sum(axis=-1))


@lru_cache(maxsize=2)  # the hops of a microphone and of an output
def _hann(size: int) -> tuple[NDArray[np.float64], float]:
    """A window of ``size`` samples, and the sum of its squares."""
    window = np.hanning(size + 1)[:size]
    return window, float(np.sum(window**2))


class LevelRange:
    """The gain that brings a faint stream into the range that the network was trained in, from the stream so far.

    It is exactly 1 for a stream of ordinary level and for steady noise, and changes in steps that are far from each
    other: once in most faint streams.
    """

    def __init__(self) -> None:
        self.gain = 1.0
        """Factor for the samples, 1 to 32."""
        self._power = self._loud = 0.0
        self._floor = np.inf
        self._begun = self._evidence = 0

    def changes(self, power: float) -> bool:
        """One hop more of that power, see ``SpeechBand`` -> whether the gain is another one from here on."""
        self._note(power)
        if self._evidence < _EVIDENCE_HOPS:
            return False
        loud_dbfs, gain_db = 10 * np.log10(self._loud), 20 * np.log10(self.gain)
        shown_dbfs = loud_dbfs + gain_db
        if shown_dbfs >= _RAISED_BELOW_DBFS and (shown_dbfs <= _LOWERED_ABOVE_DBFS or self.gain == 1):
            return False
        wanted_db = min(max(_RAISED_TO_DBFS - loud_dbfs, 0.0), _MOST_GAIN_DB)
        if abs(wanted_db - gain_db) < _LEAST_CHANGE_DB:
            return False
        self.gain = float(10 ** (wanted_db / 20))
        return True

    def _note(self, power: float) -> None:
        """Follow the loudest syllables and the floor of the pauses."""
        self._begun = self._begun + 1 if power > _SILENCE else 0
        if self._begun < _FIRST_HOPS:  # digital silence and the edge after it say nothing of pauses
            self._power = power
        else:
            self._power += _SMOOTHING * (power - self._power)
            self._floor = min(self._power, self._floor * _FLOOR_RISE)
        if self._power > max(_OVER_FLOOR * self._floor, _FAINTEST):
            self._evidence += 1
            self._loud *= _LOUD_FALL
        self._loud = max(self._loud, self._power)


def dbfs(power: float) -> float:
    """Mean square of full scale 1 -> level in dB, at least -120."""
    return float(10 * np.log10(max(power, 1e-12)))
