"""Ways to show a stream of 8 kHz to a network of 16 kHz: what it is given above 4 kHz, where nothing is.

Each way takes samples at 8 kHz and gives the spectra that the network is shown, (frames, 160); of those that the
network gives back, it makes samples at 8 kHz again. Whatever a way puts above 4 kHz is for the network alone, and only
where it listens for an enrolled voice: what a profile keeps of a recording is that of the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from edge_pse.model import Model
from edge_pse.resampling import LowDelayResampler
from edge_pse.spectral import square_root_hann
from evaluation.metrics.signal import HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from studies.several.ways import Spectra, sound_of, spectra_of

RATE_HZ = SAMPLE_RATE_HZ // 2
HOP = HOP_SAMPLES // 2
"""Samples of a hop at 8 kHz."""
BINS = WINDOW_SAMPLES // 4
"""Bins below 4 kHz and at it, without that of the mean."""
SEED = 20240609

Sound = NDArray[np.float32]

ZEROS, BY_SOXR, WITH_LITTLE_DELAY = "zeros", "resampled (soxr)", "resampled with little delay"


@dataclass(frozen=True)
class Way:
    """To the network and back, at 8 kHz outside."""

    shown: Callable[[Model, Sound], Spectra]
    back: Callable[[Model, Spectra, int], Sound]
    """With how many samples are wanted."""
    enrolls: bool = True
    """Whether enrollments are shown so, too, or with zeros."""


def narrow_spectra(samples: Sound) -> Spectra:
    """Of 20 ms at 8 kHz, (frames, 160), scaled as those at 16 kHz are; zeros above 4 kHz."""
    padded = np.concatenate(
        [np.zeros(HOP, np.float32), samples, np.zeros(-samples.size % HOP + HOP, np.float32)]
    )
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP]
    spectra = np.zeros((len(frames), WINDOW_SAMPLES // 2), np.complex64)
    spectra[:, :BINS] = 2 * np.fft.rfft(frames * square_root_hann(2 * HOP))[:, 1:]
    return spectra


def narrow_sound(_model: Model, spectra: Spectra, size: int) -> Sound:
    """The reverse; what is above 4 kHz is left out."""
    full = np.zeros((len(spectra), BINS + 1), np.complex64)
    full[:, 1:] = spectra[:, :BINS] / 2
    frames = np.fft.irfft(full) * square_root_hann(2 * HOP)
    out = np.zeros((len(frames) + 1, HOP))
    out[:-1] += frames[:, :HOP]
    out[1:] += frames[:, HOP:]
    return out.ravel()[HOP:][:size].astype(np.float32)


def changed(samples: Sound, from_hz: int, to_hz: int) -> Sound:
    """At another rate, by soxr."""
    return np.asarray(soxr.resample(samples, from_hz, to_hz), np.float32)


def _resampled(raise_rate: Callable[[Sound], Sound]) -> Way:
    def back(model: Model, spectra: Spectra, size: int) -> Sound:
        return changed(sound_of(model, spectra, 2 * size), SAMPLE_RATE_HZ, RATE_HZ)[:size]

    return Way(lambda model, samples: spectra_of(model, raise_rate(samples)), back)


def _by_soxr(samples: Sound) -> Sound:
    return changed(samples, RATE_HZ, SAMPLE_RATE_HZ)


def _with_little_delay(samples: Sound) -> Sound:
    padded = np.concatenate([samples, np.zeros(RATE_HZ // 10, np.float32)])
    return LowDelayResampler(RATE_HZ, SAMPLE_RATE_HZ).process(padded)[: 2 * samples.size]


def _filled(fill: Callable[[Spectra], Spectra]) -> Way:
    def shown(_model: Model, samples: Sound) -> Spectra:
        spectra = narrow_spectra(samples)
        spectra[:, BINS:] = fill(spectra[:, :BINS])
        return spectra

    return Way(shown, narrow_sound, enrolls=False)


def _noise(shape: tuple[int, ...]) -> Spectra:
    """Of mean square 1."""
    real, imaginary = np.random.default_rng(SEED).normal(0, np.sqrt(0.5), (2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


def steady(level_dbfs: float) -> str:
    """The name of that way."""
    return f"steady noise of {level_dbfs:.0f} dBFS"


def _steady(level_dbfs: float) -> Way:
    """Noise of one level, mean square of all that is above 4 kHz."""
    # A sine window's squares sum to half its length; half of the bins are filled.
    rms = np.float32(np.sqrt(WINDOW_SAMPLES) * 10 ** (level_dbfs / 20))
    return _filled(lambda below: rms * _noise(below.shape))


WAYS: dict[str, Way] = {
    ZEROS: _filled(lambda below: np.zeros_like(below)),
    BY_SOXR: _resampled(_by_soxr),
    WITH_LITTLE_DELAY: _resampled(_with_little_delay),
    **{steady(level): _steady(level) for level in (-80, -70, -60)},
}
