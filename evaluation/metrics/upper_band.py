"""What becomes of sound above 8 kHz, which the networks don't see and the metrics of speech don't hear.

`above` cuts it out of the spectrum of a whole clip, so that no filter adds a delay. The metrics take what it cuts: 1-D
float64 arrays of equal length, aligned in time. To these, suppression and level change apply as to whole signals
(`evaluation.metrics.signal`). A value that is not defined for its input is NaN.
"""

from __future__ import annotations

import numpy as np

from evaluation.metrics.signal import ACTIVE_RANGE_DB, active_frames, si_sdr

EDGE_HZ = 8250.0
"""Five bins above the band of the networks: what the slopes of windows bring over from below is not counted."""
HIGHEST_HZ = 20_000.0
"""Nobody hears what is above, and recordings end about here: spectra are compared up to here."""
CARRIED_DB = -55.0
"""Of the energy of a recording. With less above 8 kHz, it holds the rounding of a format there, and no sound."""
SILENT_DB = -40.0
"""Of the reference's energy above 8 kHz: with less, an output has nothing there that could be compared."""


def above(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """The part above `EDGE_HZ` of samples at `rate_hz`, (samples,) float64."""
    size = len(samples) + -len(samples) % (rate_hz // 10)  # of small factors, where transforms are fast
    spectrum = np.fft.rfft(np.asarray(samples, np.float64), size)
    spectrum[np.fft.rfftfreq(size, 1.0 / rate_hz) < EDGE_HZ] = 0.0
    return np.fft.irfft(spectrum, size)[: len(samples)]


def _energy(samples: np.ndarray) -> float:
    return float(np.sum(np.square(samples, dtype=np.float64)))


def carries(samples: np.ndarray, part: np.ndarray) -> bool:
    """Whether a recording has sound above 8 kHz at all: more of its energy than `CARRIED_DB` in that part of it."""
    return _energy(part) > 10.0 ** (CARRIED_DB / 10.0) * _energy(samples)


def si_sdr_above(reference: np.ndarray, estimate: np.ndarray) -> float:
    """SI-SDR (`evaluation.metrics.signal.si_sdr`) of two parts above 8 kHz, dB; NaN where the estimate has nothing."""
    if _energy(estimate) <= 10.0 ** (SILENT_DB / 10.0) * _energy(reference):
        return float("nan")
    return si_sdr(reference, estimate)


def log_spectral_distance_db(reference: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
    """Log-spectral distance of two parts above 8 kHz, dB (Gray & Markel, 1976; so used of bandwidth extension, e.g. by
    Kuleshov et al., arXiv 1708.00853).

    Mean over frames of sqrt(mean_f (10 log10 |S|^2/|Y|^2)^2), f from `EDGE_HZ` to `HIGHEST_HZ`. Frames are of 20 ms,
    Hann-windowed, a hop of 10 ms apart, and counted where the reference is within 40 dB of its loudest frame above
    8 kHz. Powers are held at the floor of 40 dB below the mean power of that frame: what is softer is masked, and an
    output without anything there is as far away as the reference stands above the floor. NaN for a silent reference.
    """
    active = active_frames(reference, rate_hz=rate_hz)
    if not active.any():
        return float("nan")
    wanted, heard = (_powers(part, rate_hz)[: len(active)] for part in (reference, estimate))
    floor = 10.0 ** (-ACTIVE_RANGE_DB / 10.0) * wanted.mean(axis=1).max()
    ratios_db = 10.0 * np.log10(np.maximum(wanted, floor) / np.maximum(heard, floor))
    return float(np.sqrt(np.square(ratios_db).mean(axis=1))[active].mean())


def _powers(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Power spectra of the band that is compared, (frame, bin): 20 ms Hann windows every 10 ms."""
    hop = rate_hz // 100
    padded = np.concatenate([samples, np.zeros(-len(samples) % hop + hop)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
    hertz = np.fft.rfftfreq(2 * hop, 1.0 / rate_hz)
    compared = (hertz >= EDGE_HZ) & (hertz <= HIGHEST_HZ)
    return np.square(np.abs(np.fft.rfft(frames * np.hanning(2 * hop + 1)[:-1], axis=1)[:, compared]))
