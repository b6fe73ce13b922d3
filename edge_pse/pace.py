"""Whether speech sounds slowed down or sped up, as it does at another rate than the one it was recorded at.

Three things change together with the rate and hardly together otherwise: the pitch, the middle of the spectrum
and how long a sound lasts. Their logarithms are added with the weights of a linear discriminant, and the limits
lie beyond every voice that was measured, because a false alarm is worse than a missed one.

Measured on the first twelve seconds (see ``SLOW_LIMIT`` for the figures) of 1,280 recordings of 707 talkers, 194 of
them of children from five to twelve, of 47 talkers in noise at 15 and 5 dB and under a second one, of 42 noisy and
clean pairs, 40 calls with echo, 17 recordings by phones, 273 noises and 9 pieces of music: no alarm.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_pse.errors import EdgePseWarning
from edge_pse.spectral import Samples

SECONDS = 12.0
"""What is looked at, from the start."""

SLOW_LIMIT = -6.85
"""The slowest true recording has -6.95, of the deepest voice. Found are 38 of 47 dev talkers at 48 kHz taken for 16, 36
of 47 at 44.1 kHz, 15 of 47 at 32 kHz, and 12 of 17 recordings that phones made at 48 kHz."""

FAST_LIMIT = 10.6
"""The fastest true recording has 10.49. Found are 7 of 47 dev talkers at 8 kHz taken for 16: many a child speaks as
high and as fast as a man at twice his pace."""

_LEAST_SECONDS = 2.0
_FRAME_S, _HOP_S = 0.04, 0.01
_PITCH_HZ = (40, 800)
_HIGHEST_PITCH_HZ = 500.0  # of a voice at twice its pace; what is higher is mostly none
_VOICED = 0.6  # correlation with itself a period later
_FIRST_PEAK = 0.85  # of the highest: peaks come again at each multiple of the period
_ACTIVE = 1e-2  # in power, from the loud frames down
# From the pauses to the loud frames: most music and steady noise have less, 99 % of speech more.
_LEAST_RANGE_DB = 20.0
_LEAST_VOICED = 0.2
_BANDS = 18
_DEEPEST_DB = -60.0
_COMPRESSED = 0.3  # power of power
_LONGEST_FRAMES = 60
# Of the active hops, those of which the network keeps more than a fifth, as it does of speech.
_LEAST_HEARD = 0.3
_KEPT = 0.2

FramePowers = Callable[[Samples], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Samples at the model's rate -> mean square of each hop, and what the network keeps of it without a profile."""


@dataclass(frozen=True)
class Pace:
    """What was measured of a recording's start."""

    pitch_hz: float
    """Median of the voiced frames."""
    center_hz: float
    """Of the spectrum of all that is loud: the mean of the logarithm of the frequency."""
    voiced_center_hz: float
    """The same of the voiced frames with their levels brought together, in which hiss and sibilants don't count."""
    sound_frames: float
    """After how many hops of 10 ms the spectrum is only half like itself."""

    @property
    def slowness(self) -> float:
        """Beyond SLOW_LIMIT it is speech that was slowed down."""
        return float(0.63 * np.log(self.sound_frames) - np.log(self.pitch_hz) - 0.82 * np.log(self.center_hz))

    @property
    def haste(self) -> float:
        """Beyond FAST_LIMIT it is speech that was sped up."""
        return float(
            np.log(self.pitch_hz) + 0.72 * np.log(self.voiced_center_hz) - 0.44 * np.log(self.sound_frames)
        )


def warn_of_pace(
    mono: Samples, rate_hz: float, declared_hz: float, frame_powers: FramePowers, stacklevel: int = 3
) -> None:
    """An EdgePseWarning if the start of a recording, at ``rate_hz``, sounds like speech of another rate.

    ``declared_hz``: the rate that it was said to have. ``frame_powers`` is asked in the suspicious cases only.
    ``stacklevel``: of ``warnings.warn``.
    """
    start = mono[: round(SECONDS * rate_hz)]
    pace = measure(start, rate_hz)
    if pace is None:
        return
    if pace.slowness > SLOW_LIMIT:
        manner, comparison = "slowed down", "higher"
    elif pace.haste > FAST_LIMIT and pace.pitch_hz < _HIGHEST_PITCH_HZ:
        manner, comparison = "sped up", "lower"
    else:
        return
    power, kept = frame_powers(start)
    active = power > _ACTIVE * np.percentile(power, 95)
    if np.mean(kept[active] > _KEPT * power[active]) < _LEAST_HEARD:
        return
    warnings.warn(
        f"The speech sounds {manner}, as if it was recorded at a {comparison} rate than {declared_hz:g} Hz: give "
        "the rate of the recording.",
        EdgePseWarning,
        stacklevel=stacklevel,
    )


def measure(mono: Samples, rate_hz: float) -> Pace | None:
    """The pace of (samples,) float32; None for what is too short, too even or too little voiced to be speech."""
    if mono.size < _LEAST_SECONDS * rate_hz:
        return None
    size = round(_FRAME_S * rate_hz)
    frames = sliding_window_view(mono, size)[:: round(_HOP_S * rate_hz)]
    sound = np.square(frames).mean(axis=1)
    loud, pause = np.percentile(sound, [95, 10])
    if loud <= 0 or loud < pause * 10 ** (_LEAST_RANGE_DB / 10):
        return None
    window = np.hanning(size).astype(np.float32)
    length = 1 << (size - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(frames * window, length)))
    frequencies = np.fft.rfftfreq(length, 1 / rate_hz)
    in_band = power[:, (frequencies > 100) & (frequencies < 4_000)].sum(axis=1)
    active = in_band > _ACTIVE * np.percentile(in_band, 95)
    loud_power = power[active]
    voiced, pitches_hz = _pitches(loud_power, frequencies, window, rate_hz)
    if pitches_hz.size < _LEAST_VOICED * len(loud_power):
        return None
    return Pace(
        pitch_hz=float(np.median(pitches_hz)),
        center_hz=float(_center(loud_power.mean(axis=0), frequencies)),
        voiced_center_hz=float(np.median(_center(loud_power[voiced] ** _COMPRESSED, frequencies))),
        sound_frames=_sound_frames(power, frequencies),
    )


def _center(weights: NDArray[np.floating], frequencies: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., bins) -> mean logarithm of the frequency as a frequency, (...)."""
    weights = weights[..., 1:]
    return np.asarray(np.exp((weights @ np.log(frequencies[1:])) / weights.sum(axis=-1)))


def _pitches(
    power: NDArray[np.floating], frequencies: NDArray[np.floating], window: Samples, rate_hz: float
) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    """Which frames, (frames,), have a pitch, and the pitches of these in Hz."""
    below = np.where(frequencies < 1_000, power, 0)
    shortest, longest = (round(rate_hz / hz) for hz in reversed(_PITCH_HZ))
    spread = np.fft.irfft(np.square(np.abs(np.fft.rfft(window, 2 * (frequencies.size - 1)))))
    correlation = np.fft.irfft(below)[:, : longest + 1]
    correlation = correlation / np.maximum(correlation[:, :1], 1e-20)
    correlation = (correlation / np.maximum(spread[: longest + 1] / spread[0], 0.05))[:, shortest:]
    highest = correlation.max(axis=1)
    voiced = highest > _VOICED
    seen = correlation[voiced]
    middle = seen[:, 1:-1]
    peaks = (middle >= seen[:, :-2]) & (middle >= seen[:, 2:])
    peaks &= middle > _FIRST_PEAK * highest[voiced][:, None]
    first = np.where(peaks.any(axis=1), 1 + peaks.argmax(axis=1), seen.argmax(axis=1))
    return voiced, rate_hz / (shortest + first)


def _sound_frames(power: NDArray[np.floating], frequencies: NDArray[np.floating]) -> float:
    edges = np.geomspace(150, 7_000, _BANDS + 1)
    bands = np.stack(
        [power[:, (frequencies >= low) & (frequencies < high)].sum(axis=1) for low, high in pairwise(edges)],
        axis=1,
    )
    levels = 10 * np.log10(bands + 1e-10 * bands.max())
    levels = np.maximum(levels, levels.max() + _DEEPEST_DB)
    levels -= levels.mean(axis=0)
    alike = 1.0
    for lag in range(1, _LONGEST_FRAMES):
        before, alike = alike, float((levels[:-lag] * levels[lag:]).mean() / np.square(levels).mean())
        if alike < 0.5:
            return lag - 1 + (before - 0.5) / (before - alike)
    return float(_LONGEST_FRAMES)
