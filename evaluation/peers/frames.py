"""What the adapters share: running a clip through a call that takes one frame at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RATE_HZ = 16_000
"""Of all scenes but the full-band ones."""


def at_rate(samples: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    """A whole clip at another rate; as it is where the rates are equal."""
    if rate_hz == wanted_hz:
        return samples
    import soxr  # which an environment for a single peer may lack

    return np.asarray(soxr.resample(samples, rate_hz, wanted_hz), np.float32)


def by_frames(samples: np.ndarray, frame: int, call: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Feed whole frames, the last one padded with zeros, and give back as many samples as came in."""
    padded = np.concatenate([samples, np.zeros(-len(samples) % frame, samples.dtype)])
    frames = [call(padded[start : start + frame]) for start in range(0, len(padded), frame)]
    return np.concatenate(frames)[: len(samples)]


def pairs_by_frames(
    near: np.ndarray, far: np.ndarray, frame: int, call: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """The same for an echo canceller: microphone and far end together."""
    stacked = np.zeros((2, len(near) + -len(near) % frame), near.dtype)
    stacked[0, : len(near)] = near
    stacked[1, : min(len(far), len(near))] = far[: len(near)]
    frames = [
        call(
            np.ascontiguousarray(stacked[0, start : start + frame]),
            np.ascontiguousarray(stacked[1, start : start + frame]),
        )
        for start in range(0, stacked.shape[1], frame)
    ]
    return np.concatenate(frames)[: len(near)]


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Full scale to 16 bits, limited."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)


def from_int16(samples: np.ndarray) -> np.ndarray:
    """16 bits to full scale, float32."""
    return np.asarray(samples, np.float32) / np.float32(32768.0)
