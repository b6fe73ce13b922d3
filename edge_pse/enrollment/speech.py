"""Where somebody speaks in a recording, and how loud.

The network tells speech from the rest: run without a profile it removes noise, so that where it keeps most of
the energy somebody speaks. The levels of voice and noise are then taken from the recording itself, because
what the network removes from a clean voice sets a limit to what its output could show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pse.levels import without_hum

_SMOOTHED_FRAMES = 5  # 50 ms: shorter than the pauses, long enough for a level
_PAUSES_SHARE = 0.1  # the quietest sounding frames: fluent reading pauses for longer than that
_SILENCE_DBFS = -90.0  # what is below it never passed a microphone
_SPEECH_RANGE = 1e-3  # in power, from the loud frames down: what is fainter is breath, or somebody else
_SPEECH_OVER_NOISE = 4.0  # in power: noise alone seldom fluctuates by more
_SPEECH_KEPT = 0.2  # in power: of clean speech all but its faint ends, of rain 0.14, of white noise less


@dataclass(frozen=True)
class Speech:
    """Where somebody speaks, and how loud that is."""

    where: NDArray[np.bool_]
    """Of each hop, (hops,)."""
    power: float
    """Mean square over these; 0 without any."""
    noise_power: float
    """The same of the pauses."""
    powers: NDArray[np.float64]
    """Of each hop, (hops,), without an offset and hum."""


def find_speech(
    powers: Sequence[float], kept_powers: Sequence[float], in_speech_band: Sequence[tuple[float, float]]
) -> Speech:
    """Tell speech from the rest by what the network keeps; of each hop, see ``enhancer.FrameFeatures``."""
    in_band = np.asarray(in_speech_band)
    counted, counted_kept = without_hum(np.asarray(powers), np.asarray(kept_powers), in_band)
    power, kept = _smoothed(counted), _smoothed(counted_kept)
    # Digital silence is what a device gives before it starts: it says nothing about the room.
    silence = 10 ** (_SILENCE_DBFS / 10)
    sounding = np.sort(power[power > silence])
    noise = sounding[: max(1, int(_PAUSES_SHARE * sounding.size))].mean() if sounding.size else silence
    faintest = max(_SPEECH_OVER_NOISE * noise, _SPEECH_RANGE * np.percentile(power, 95))
    where = (power > faintest) & (kept > _SPEECH_KEPT * power)
    return Speech(where, float(power[where].mean()) if where.any() else 0.0, float(noise), counted)


def levels_db(speech: Speech) -> tuple[float, float]:
    """Level of the speech in dBFS and how far it is above the noise, in dB; both -inf without speech."""
    if not speech.where.any():
        return -np.inf, -np.inf
    return float(10 * np.log10(speech.power)), float(10 * np.log10(speech.power / speech.noise_power - 1))


def _smoothed(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(frames, _SMOOTHED_FRAMES // 2, mode="edge")
    return np.convolve(padded, np.full(_SMOOTHED_FRAMES, 1 / _SMOOTHED_FRAMES), "valid")
