"""Energy ratios and over-suppression, computed with numpy alone.

Every function takes 1-D float arrays of equal length, at 16 kHz where it is given no other rate, that are already
aligned in time (`evaluation.metrics.alignment`), and computes in float64. A value that is not defined for its input is
NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160
WINDOW_SAMPLES = 320

CEILING_DB = 100.0
"""Ratios are limited to +-100 dB: beyond that they measure the rounding of float32, not the system."""

TSOS_POWER = 0.3
TSOS_THRESHOLD = 0.1
TSOS_REFERENCE_RMS = 0.05
"""Speech at -26 dBFS, the usual level of test material: the TSOS rule is not invariant to scale."""

ACTIVE_RANGE_DB = 40.0
"""A frame is active when it lies within this range of the loudest frame of the clip."""
ONSET_RANGE_DB, ONSET_FRAMES = 25.0, 100


def _as_signal(samples: np.ndarray) -> np.ndarray:
    return np.asarray(samples, dtype=np.float64)


def _inner(first: np.ndarray, second: np.ndarray) -> float:
    """Inner product by numpy's own summation: BLAS would give other last digits on another number of threads."""
    return float(np.sum(first * second))


def _ratio_db(numerator: float, denominator: float) -> float:
    """10 log10 of two energies, limited to +-CEILING_DB; NaN when both are zero."""
    if numerator <= 0.0 and denominator <= 0.0:
        return float("nan")
    if denominator <= 0.0:
        return CEILING_DB
    if numerator <= 0.0:
        return -CEILING_DB
    return float(np.clip(10.0 * np.log10(numerator / denominator), -CEILING_DB, CEILING_DB))


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019, without mean removal).

    10 log10(|a s|^2 / |a s - y|^2) with a = <y, s> / |s|^2. NaN when the reference or the estimate is silent.
    """
    reference, estimate = _as_signal(reference), _as_signal(estimate)
    reference_energy = _inner(reference, reference)
    if reference_energy <= 0.0 or not np.any(estimate):
        return float("nan")
    projection = (_inner(estimate, reference) / reference_energy) * reference
    distortion = projection - estimate
    return _ratio_db(_inner(projection, projection), _inner(distortion, distortion))


def suppression_db(unprocessed: np.ndarray, processed: np.ndarray) -> float:
    """How much energy was taken away, in dB: 10 log10(sum x^2 / sum y^2).

    On a clip in which only others speak this is BAK SUPPR; on far-end single talk it is ERLE
    (see `erle_db`). Silence out of sound scores CEILING_DB. NaN when the input is silent.
    """
    unprocessed, processed = _as_signal(unprocessed), _as_signal(processed)
    input_energy = _inner(unprocessed, unprocessed)
    if input_energy <= 0.0:
        return float("nan")
    return _ratio_db(input_energy, _inner(processed, processed))


def pooled_suppression_db(energies: list[tuple[float, float]]) -> float:
    """BAK SUPPR over several clips at once: the ratio of summed (input, output) energies, in dB."""
    return _ratio_db(sum(pair[0] for pair in energies), sum(pair[1] for pair in energies))


def erle_db(microphone: np.ndarray, enhanced: np.ndarray, skip_seconds: float = 2.0) -> float:
    """Echo return loss enhancement in dB on far-end single talk, without the first seconds.

    The skipped start lets an adaptive canceller converge, as is usual when cancellers are compared.
    """
    skip = min(round(skip_seconds * SAMPLE_RATE_HZ), len(microphone) // 2)
    return suppression_db(microphone[skip:], enhanced[skip:])


def frame_energies(samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """Energy of consecutive 10 ms frames, shape (len // (rate_hz // 100),), float64; a rest is left out."""
    samples = _as_signal(samples)
    hop = rate_hz // 100
    frames = len(samples) // hop
    return np.square(samples[: frames * hop]).reshape(frames, hop).sum(axis=1)


def active_frames(
    samples: np.ndarray, range_db: float = ACTIVE_RANGE_DB, rate_hz: int = SAMPLE_RATE_HZ
) -> np.ndarray:
    """Boolean mask of the 10 ms frames within `range_db` of the loudest one, as `frame_energies` has them."""
    energies = frame_energies(samples, rate_hz)
    loudest = energies.max(initial=0.0)
    return energies > loudest * 10.0 ** (-range_db / 10.0) if loudest > 0.0 else np.zeros(len(energies), bool)


def active_rms(samples: np.ndarray, range_db: float = ACTIVE_RANGE_DB) -> float:
    """Root mean square over the active frames; 0 for silence."""
    energies, active = frame_energies(samples), active_frames(samples, range_db)
    return float(np.sqrt(energies[active].mean() / HOP_SAMPLES)) if active.any() else 0.0


def level_change_db(reference: np.ndarray, estimate: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """Level of the estimate against the reference over the reference's active frames, in dB."""
    active = active_frames(reference, rate_hz=rate_hz)
    heard, wanted = (frame_energies(samples, rate_hz)[active] for samples in (estimate, reference))
    return _ratio_db(float(heard.sum()), float(wanted.sum()))


def _magnitudes(samples: np.ndarray) -> np.ndarray:
    """Magnitude spectra, shape (frame, 161): 20 ms sqrt-Hann windows every 10 ms."""
    window = np.sqrt(np.hanning(WINDOW_SAMPLES + 1)[:-1])
    padded = np.concatenate([samples, np.zeros(-len(samples) % HOP_SAMPLES + HOP_SAMPLES)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES]
    return np.abs(np.fft.rfft(frames * window, axis=1))


class OverSuppression(NamedTuple):
    """Target-speaker over-suppression of one clip."""

    share: float
    """Flagged frames over all frames, 0..1 (the TSOS of the papers)."""
    active_share: float
    """Flagged frames over the frames in which the target speaks, 0..1."""
    longest_ms: float
    """The longest run of flagged frames."""


def over_suppressed_frames(reference: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Which 10 ms frames lose the target: boolean, shape (frame,).

    Eskimez et al., arXiv 2110.09625, with p = 0.3 and gamma = 0.1: a frame is flagged when
    sum_f max(|S|^p - |Y|^p, 0)^2 > gamma * sum_f |S|^p. Both signals are first scaled by the one gain that
    brings the reference to -26 dBFS, so that the result does not depend on the level of the recording.
    Around that level a uniform attenuation is flagged from about 11 dB on.
    """
    reference, estimate = _as_signal(reference), _as_signal(estimate)
    level = active_rms(reference)
    if level <= 0.0:
        return np.zeros(len(_magnitudes(reference)), bool)
    gain = TSOS_REFERENCE_RMS / level
    wanted = _magnitudes(reference * gain) ** TSOS_POWER
    kept = _magnitudes(estimate * gain) ** TSOS_POWER
    lost = np.square(np.maximum(wanted - kept, 0.0)).sum(axis=1)
    return lost > TSOS_THRESHOLD * wanted.sum(axis=1)


def over_suppression(reference: np.ndarray, estimate: np.ndarray) -> OverSuppression:
    """TSOS over all frames and over active frames, and the longest gap it makes. NaN without a target."""
    flagged = over_suppressed_frames(reference, estimate)
    active = active_frames(reference)
    if not active.any():
        return OverSuppression(float("nan"), float("nan"), float("nan"))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flagged.astype(np.int8), [0]])))
    longest = int((edges[1::2] - edges[::2]).max(initial=0))
    spoken = flagged[: len(active)][active]
    return OverSuppression(float(flagged.mean()), float(spoken.mean()), longest * 10.0)


def onset_loss(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Share of lost frames, 0..1, among those of the first second in which the target speaks; NaN without a target.

    ``reference`` begins before the target does, or with it. Recordings often begin with quiet, whose noise is no voice
    and is better gone: frames count that are within ONSET_RANGE_DB of the loudest one of all the reference.
    """
    flagged, active = over_suppressed_frames(reference, estimate), active_frames(reference, ONSET_RANGE_DB)
    spoken = flagged[: len(active)][active][:ONSET_FRAMES]
    return float(spoken.mean()) if len(spoken) else float("nan")


def is_wrong_talker(target: np.ndarray, interference: np.ndarray, estimate: np.ndarray) -> float:
    """1 when the output is nearer (in SI-SDR) to the others than to the target, else 0; NaN if undefined."""
    to_target, to_other = si_sdr(target, estimate), si_sdr(interference, estimate)
    if np.isnan(to_target) or np.isnan(to_other):
        return float("nan")
    return float(to_other > to_target)
