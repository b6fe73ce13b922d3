"""The delay of a system, measured once on a probe and taken out of every output."""

from __future__ import annotations

import numpy as np

from evaluation.metrics.signal import SAMPLE_RATE_HZ

MAX_DELAY_SECONDS = 0.2
STEPS_PER_SAMPLE = 8
"""Systems that resample inside lag by a fraction of a sample, which costs several dB of SI-SDR if ignored."""


def estimate_delay(sent: np.ndarray, received: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """Delay of `received` behind `sent` in samples, in steps of 1/8; 0 when either is silent.

    The peak of the cross-correlation within +-200 ms, interpolated by zero-padding its spectrum.
    """
    length = min(len(sent), len(received))
    sent, received = np.asarray(sent[:length], np.float64), np.asarray(received[:length], np.float64)
    if not sent.any() or not received.any():
        return 0.0
    size = 1 << (2 * length - 1).bit_length()
    spectrum = np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size))
    coarse = np.fft.irfft(spectrum, size)
    reach = min(round(MAX_DELAY_SECONDS * rate_hz), length - 1)
    lags = np.arange(-reach, reach + 1)
    # Ties go to the smaller delay, so that a system without delay is never moved.
    order = np.argsort(np.abs(lags), kind="stable")
    peak = int(lags[order][np.argmax(coarse[lags[order]])])

    fine_steps = np.arange(-STEPS_PER_SAMPLE, STEPS_PER_SAMPLE + 1) / STEPS_PER_SAMPLE
    candidates = peak + fine_steps[np.argsort(np.abs(fine_steps), kind="stable")]
    omega = 2.0 * np.pi * np.arange(len(spectrum)) / size
    values = [float(np.sum((spectrum * np.exp(1j * omega * lag)).real)) for lag in candidates]
    return float(candidates[int(np.argmax(values))])


def advance(samples: np.ndarray, delay: float, length: int) -> np.ndarray:
    """Take `delay` samples of delay out: float32, exactly `length` samples, zeros where nothing is known."""
    samples = np.asarray(samples, np.float32)
    whole = int(np.floor(delay))
    fraction = delay - whole
    if fraction:
        padded = np.concatenate([samples.astype(np.float64), np.zeros(64)])
        size = len(padded)
        omega = 2.0 * np.pi * np.arange(size // 2 + 1) / size
        shifted = np.fft.irfft(np.fft.rfft(padded) * np.exp(1j * omega * fraction), size)
        samples = shifted[: len(samples)].astype(np.float32)
    out = np.zeros(length, np.float32)
    source = samples[max(whole, 0) :]
    start = max(-whole, 0)
    count = min(len(source), length - start)
    if count > 0:
        out[start : start + count] = source[:count]
    return out
