"""The echo canceller of WebRTC (AEC3), from `pywebrtc-audio`."""

from __future__ import annotations

import numpy as np

from evaluation.peers.frames import RATE_HZ, pairs_by_frames
from evaluation.peers.webrtc_ns import library_size
from evaluation.systems.spec import SystemInfo


class WebRtcEchoCanceller:
    """AEC3 alone, without noise suppression."""

    def __init__(self) -> None:
        from pywebrtc_audio import EchoCanceller

        self._new = lambda: EchoCanceller(sample_rate=RATE_HZ)
        self.info = SystemInfo(
            "WebRTC AEC3 (pywebrtc-audio)",
            needs_far_end=True,
            latency_ms=10.0,
            size_bytes=library_size("pywebrtc_audio"),
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        far = np.zeros_like(mixture) if far_end is None else far_end
        return pairs_by_frames(mixture, far, RATE_HZ // 100, self._new().process)
