"""The noise suppressor of SpeexDSP, from `speexdsp-ns`."""

from __future__ import annotations

import numpy as np

from evaluation.peers.frames import RATE_HZ, by_frames, from_int16, to_int16
from evaluation.peers.webrtc_ns import library_size
from evaluation.systems.spec import SystemInfo

FRAME = 160


class SpeexSuppressor:
    """Classical, 10 ms frames of 16-bit samples."""

    def __init__(self) -> None:
        from speexdsp_ns import NoiseSuppression

        self._new = lambda: NoiseSuppression.create(FRAME, RATE_HZ)
        self.info = SystemInfo(
            "Speex preprocessor (speexdsp-ns)", latency_ms=20.0, size_bytes=library_size("speexdsp_ns")
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        suppressor = self._new()

        def call(frame: np.ndarray) -> np.ndarray:
            return np.frombuffer(suppressor.process(frame.tobytes()), np.int16)

        return from_int16(by_frames(to_int16(mixture), FRAME, call))
