"""Spectral gating, from `noisereduce`."""

from __future__ import annotations

import numpy as np

from evaluation.peers.frames import RATE_HZ
from evaluation.systems.spec import SystemInfo


class NoiseReduce:
    """Non-stationary gating at its default strength; it looks at the whole clip."""

    def __init__(self) -> None:
        from noisereduce import reduce_noise

        self._reduce = reduce_noise
        self.info = SystemInfo("noisereduce, non-stationary", streams=False)

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        return np.asarray(self._reduce(y=mixture, sr=RATE_HZ, stationary=False), np.float32)
