"""VoxLock, the open enrolled voice isolator. Its wheel holds no model: it fetches 75 MB on first use."""

from __future__ import annotations

import numpy as np

from evaluation.peers.frames import RATE_HZ
from evaluation.systems.spec import SystemInfo

SAMPLE_SECONDS = 3


class VoxLock:
    """Locks onto three seconds of enrollment or, without any, onto the loudest three seconds of the clip."""

    def __init__(self) -> None:
        import voxlock

        try:
            self._model = voxlock.VoxLock(threads=1)
        except Exception as error:
            raise OSError(f"its model cannot be fetched here ({type(error).__name__})") from error
        self.info = SystemInfo(
            "VoxLock, int8 (voxlock)", uses_profile=True, latency_ms=24.0, size_bytes=75_000_000
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        if enrollment is not None and len(enrollment) < SAMPLE_SECONDS * RATE_HZ:
            raise ValueError("it needs three seconds of enrollment")
        return np.asarray(self._model.isolate(mixture, sample=enrollment), np.float32)
