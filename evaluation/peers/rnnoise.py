"""RNNoise 0.2, from the library inside `pyrnnoise`."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

import numpy as np

from evaluation.peers.frames import RATE_HZ, at_rate, by_frames
from evaluation.systems.spec import SystemInfo

NATIVE_RATE_HZ = 48_000
FRAME = 480
FULL_SCALE = np.float32(32768.0)


class RNNoise:
    """48 kHz inside: a clip of another rate is resampled there and back. The library is called directly: the package's
    own interface needs a media stack that has nothing to do with denoising.
    """

    def __init__(self) -> None:
        found = importlib.util.find_spec("pyrnnoise")
        if found is None or not found.origin:
            raise ImportError("pyrnnoise is not installed")
        path = Path(found.origin).parent / "librnnoise.so"
        self._library = ctypes.CDLL(str(path))
        self._library.rnnoise_create.restype = ctypes.c_void_p
        self._library.rnnoise_process_frame.restype = ctypes.c_float
        self.info = SystemInfo(
            "RNNoise 0.2 (pyrnnoise)", latency_ms=20.0, size_bytes=path.stat().st_size, full_band=True
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        state = ctypes.c_void_p(self._library.rnnoise_create(None))
        pointer = ctypes.POINTER(ctypes.c_float)

        def call(frame: np.ndarray) -> np.ndarray:
            source, result = np.ascontiguousarray(frame), np.empty(FRAME, np.float32)
            self._library.rnnoise_process_frame(
                state, result.ctypes.data_as(pointer), source.ctypes.data_as(pointer)
            )
            return result

        try:
            wide = at_rate(mixture, rate_hz, NATIVE_RATE_HZ) * FULL_SCALE
            return at_rate(by_frames(wide, FRAME, call) / FULL_SCALE, NATIVE_RATE_HZ, rate_hz)
        finally:
            self._library.rnnoise_destroy(state)
