"""From several channels to one: the one place that chooses among them or mixes them.

A mean is only made of channels that agree: alike in level and in phase where speech is. Of all others the one
with most speech is taken, at its own level. Levels are those of the band of speech and of what changes in it
from syllable to syllable, so that an offset, hum and hiss don't count, however loud they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

_FRAME_S = 0.032
_BAND_EDGES_HZ = (300, 600, 1200, 2000, 3000, 4000)
"""Above mains hum and its strongest harmonics, and in parts in which a short delay shows as a change of phase."""
_OPENED_FRAMES = 3  # 64 ms: a syllable is longer, a click is not
_LOWEST_DB, _HIGHEST_DB = -130, 50
_SILENCE_DB = -90  # what is below it never passed a microphone
_PAUSES_SHARE = 0.1  # the quietest frames that sound, as in enrollments
_SPEECH_OVER_PAUSES = 4.0  # in power: noise alone seldom fluctuates by more
_LEAST_SPEECH = 0.02  # of a channel's power: noise has some frames that are as loud as that
_SIMILAR = 4.0  # in power: 6 dB
_ALIKE = 0.5
"""Correlation from which on channels agree: their mean then loses at most 1.2 dB of what they share."""
_FAINT = 0.01  # in power: 20 dB below the loudest, a channel plays nothing
_WEAK_BAND = 0.01  # of the power in all bands: what is below it may be anything
_PART_SAMPLES = 1 << 16
_CHOICE_SECONDS = 1.0


@dataclass(frozen=True)
class Selection:
    """Which channels become one: the mean of ``channels``, counted from 0, out of ``total``."""

    channels: tuple[int, ...]
    """Those that are taken."""
    total: int
    """How many there are."""

    @property
    def partial(self) -> bool:
        """Whether some channels are left out."""
        return len(self.channels) < self.total

    def of(self, block: NDArray[Any]) -> Samples:
        """(n, total) floating-point samples -> (n,) float32."""
        if len(self.channels) == 1:
            return block[:, self.channels[0]].astype(np.float32)
        if not self.partial:
            return block.mean(axis=1).astype(np.float32)
        return block[:, list(self.channels)].mean(axis=1).astype(np.float32)


def named(channel: int, total: int) -> Selection:
    """The channel that a user names, counted from 1; AudioError if there are not so many."""
    if not 1 <= channel <= total:
        there = "is one channel" if total == 1 else f"are {total} channels"
        raise AudioError(f"There is no channel {channel}: there {there}, counted from 1.")
    return Selection((channel - 1,), total)


def choose(samples: NDArray[Any], sample_rate_hz: float) -> Selection:
    """The channels of a whole recording, (samples, channels) floating-point, that become one."""
    return choose_in([samples], samples.shape[1], sample_rate_hz)


def choose_in(
    blocks: Iterable[NDArray[Any]], total: int, sample_rate_hz: float, far_end: bool = False
) -> Selection:
    """The same of a recording in blocks, (n, total) each, in constant memory.

    ``far_end``: it is what loudspeakers played, whose sounds add up in the room: the mean of all channels that
    sound, but for those that would take the rest away.
    """
    if total == 1:
        return Selection((0,), 1)
    meter = ChannelMeter(total, sample_rate_hz)
    for block in blocks:
        meter.add(block)
    return meter.played() if far_end else meter.voice()


class ChannelMeter:
    """How much speech there is in each channel of a stream, and which channels agree."""

    def __init__(self, channels: int, sample_rate_hz: float):
        self._channels = channels
        size = max(16, 2 * round(_FRAME_S * sample_rate_hz / 2))
        self._hop_samples = size // 2
        self._window = np.hanning(size + 1)[:size].astype(np.float32)
        self._scale = 2 / (size * float(np.sum(self._window**2)))
        frequencies = np.fft.rfftfreq(size, 1 / sample_rate_hz)
        bands = np.digitize(frequencies, _BAND_EDGES_HZ) - 1
        inside = [np.flatnonzero(bands == band) for band in range(len(_BAND_EDGES_HZ) - 1)]
        self._bands = [bins for bins in inside if bins.size] or [np.arange(1, frequencies.size)]
        self._below = np.flatnonzero(frequencies < _BAND_EDGES_HZ[0])
        self._powers_below = np.zeros(channels)
        self._rest: Samples = np.zeros((0, channels), np.float32)
        self._last_powers = np.zeros((0, channels))
        self._histogram = np.zeros((channels, _HIGHEST_DB - _LOWEST_DB), np.int64)
        self._products = np.zeros((len(self._bands), channels, channels))

    def add(self, block: NDArray[Any]) -> None:
        """The next samples, (n, channels), full scale -1 to 1."""
        part = max(self._window.size, _PART_SAMPLES // self._channels)
        for start in range(0, len(block), part):
            self._add(np.concatenate([self._rest, block[start : start + part]], dtype=np.float32))

    def speech_levels(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean square of the speech and that of its pauses, (channels,) each.

        Where no channel has anything like speech, of all sound in its band.
        """
        decibels = np.arange(_LOWEST_DB, _HIGHEST_DB) + 0.5
        powers = 10 ** (decibels / 10)
        sounding = np.where(decibels > _SILENCE_DB, self._histogram, 0)
        share = np.cumsum(sounding, axis=1) / np.maximum(1, sounding.sum(axis=1, keepdims=True))
        pauses = powers[np.argmax(share >= _PAUSES_SHARE, axis=1)]
        above = np.maximum(0, powers - _SPEECH_OVER_PAUSES * pauses[:, None])
        frames = np.maximum(1, self._histogram.sum(axis=1))
        speech = (sounding * above).sum(axis=1) / frames
        sound = (self._histogram * powers).sum(axis=1) / frames
        speech[speech < _LEAST_SPEECH * sound] = 0
        return (speech if speech.any() else sound), pauses

    def voice(self) -> Selection:
        """At the end: the channel with most speech, or its mean with those that agree with it."""
        self._finish()
        speech, pauses = self.speech_levels()
        # Of those about as loud, the cleanest; one in which more hum than voice is only if all are like that.
        cleanness = np.where(speech * _SIMILAR >= speech.max(), speech / pauses, 0)
        without_hum = np.where(self._hums(), 0, cleanness)
        best = int(np.argmax(without_hum if without_hum.any() else cleanness))
        return self._selection(best, self._agree)

    def played(self) -> Selection:
        """At the end: all channels that sound, but for those that are the negative of the loudest."""
        self._finish()
        return self._selection(int(np.argmax(self._band_powers())), self._adds)

    def _selection(self, best: int, belongs: Callable[[int, int], bool]) -> Selection:
        chosen = [channel for channel in range(self._channels) if channel == best or belongs(best, channel)]
        return Selection(tuple(chosen), self._channels)

    def _finish(self) -> None:
        """Measure the last samples, too."""
        missing = np.zeros((self._window.size - len(self._rest), self._channels), np.float32)
        self._add(np.concatenate([self._rest, missing]))

    def _add(self, samples: Samples) -> None:
        """Measure the frames that are whole, keep the rest."""
        count = (len(samples) - self._window.size) // self._hop_samples + 1
        if count < 1:
            self._rest = samples
            return
        frames = sliding_window_view(samples, self._window.size, axis=0)[:: self._hop_samples]
        self._rest = samples[count * self._hop_samples :].copy()
        spectra = np.fft.rfft(frames * self._window)
        powers = np.zeros(spectra.shape[:2])
        for band, bins in enumerate(self._bands):
            parts = spectra[:, :, bins]
            rows = np.concatenate([parts.real, parts.imag], axis=2).transpose(1, 0, 2)
            rows = rows.reshape(self._channels, -1)
            self._products[band] += rows @ rows.T
            powers += np.square(np.abs(parts)).sum(axis=2)
        self._powers_below += np.square(np.abs(spectra[:, :, self._below])).sum(axis=(0, 2))
        self._count(self._scale * powers)

    def _count(self, powers: NDArray[np.float64]) -> None:
        """Each power as the least of its neighbours' too, in which clicks vanish."""
        powers = np.concatenate([self._last_powers, powers])
        self._last_powers = powers[-(_OPENED_FRAMES - 1) :]
        if len(powers) < _OPENED_FRAMES:
            return
        opened = sliding_window_view(powers, _OPENED_FRAMES, axis=0).min(axis=2)
        decibels = 10 * np.log10(np.maximum(opened, 1e-30))
        rows = np.clip(np.floor(decibels) - _LOWEST_DB, 0, self._histogram.shape[1] - 1).astype(np.int64)
        for channel, row in enumerate(rows.T):
            self._histogram[channel] += np.bincount(row, minlength=self._histogram.shape[1])

    def _hums(self) -> NDArray[np.bool_]:
        """Whether more is below the band of speech, an offset too, than a voice has there; (channels,)."""
        return self._powers_below > _SIMILAR * self._band_powers()

    def _band_powers(self) -> NDArray[np.float64]:
        return np.diagonal(self._products, axis1=1, axis2=2).sum(axis=0)

    def _agree(self, best: int, channel: int) -> bool:
        """Whether two channels are alike in level, and in phase in every band where something is."""
        powers = self._band_powers()
        if not powers[best] < _SIMILAR * powers[channel] < _SIMILAR**2 * powers[best]:
            return False
        hums = self._hums()
        if hums[channel] and not hums[best]:
            return False
        shared = self._products[:, best, channel]
        if shared.sum() < _ALIKE * np.sqrt(powers[best] * powers[channel]):
            return False
        sounding = self._products[:, best, best] > _WEAK_BAND * powers[best]
        return bool((shared[sounding] >= 0).all())

    def _adds(self, best: int, channel: int) -> bool:
        """Whether a channel sounds beside the loudest one and does not take it away."""
        powers, shared = self._band_powers(), self._products[:, best, channel].sum()
        opposed = shared < -_ALIKE * np.sqrt(powers[best] * powers[channel])
        return bool(powers[channel] > _FAINT * powers[best] and not opposed)


class ChannelChoice:
    """One channel of a live stream: the one asked for, or the one with most speech in the first second."""

    def __init__(self, channel: int | None, sample_rate_hz: int):
        """``channel``: counted from 0; None chooses."""
        self.channel = channel or 0
        self._rate = sample_rate_hz
        self._remaining = 0 if channel is not None else round(_CHOICE_SECONDS * sample_rate_hz)
        self._meter: ChannelMeter | None = None

    def pick(self, block: Samples) -> Samples:
        """(n, channels) float32, full scale -1 to 1 -> (n,)."""
        if self._remaining > 0 and block.shape[1] > 1:
            if self._meter is None:
                self._meter = ChannelMeter(block.shape[1], self._rate)
            self._meter.add(block)
            self._remaining -= len(block)
            speech, _ = self._meter.speech_levels()
            loudest = int(np.argmax(speech))
            if speech[loudest] > _SIMILAR * speech[self.channel]:
                self.channel = loudest
        return block[:, self.channel]
