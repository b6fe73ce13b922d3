"""The noise suppressor of WebRTC, from `pywebrtc-audio`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from evaluation.peers.frames import RATE_HZ, by_frames
from evaluation.systems.spec import SystemInfo

LEVEL = 2
"""18 dB at most, the level that browsers ask for ("high")."""


def library_size(package: str) -> int | None:
    """Bytes of the compiled modules of a package."""
    found = importlib.util.find_spec(package)
    if found is None or not found.origin:
        return None
    return sum(path.stat().st_size for path in Path(found.origin).parent.glob("*.so"))


class WebRtcSuppressor:
    """Classical, 10 ms frames."""

    def __init__(self) -> None:
        from pywebrtc_audio import NoiseSuppressor

        self._new = NoiseSuppressor
        self.info = SystemInfo(
            f"WebRTC noise suppressor, level {LEVEL} (pywebrtc-audio)",
            latency_ms=10.0,
            size_bytes=library_size("pywebrtc_audio"),
            full_band=True,
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        suppressor = self._new(sample_rate=rate_hz, level=LEVEL)
        return by_frames(mixture, rate_hz // 100, suppressor.process)
