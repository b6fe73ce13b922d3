"""The echo canceller of SpeexDSP (MDF filter and residual suppressor), from the system's libspeexdsp."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable

import numpy as np

from evaluation.peers.frames import RATE_HZ, from_int16, pairs_by_frames, to_int16
from evaluation.systems.spec import SystemInfo

FRAME = 160
TAIL_SAMPLES = 3200
"""200 ms of echo."""
SET_ECHO_RATE = 24
SET_PREPROCESS_ECHO_STATE = 24


class SpeexEchoCanceller:
    """Debian: `libspeexdsp1`. Its rate must be set: the default of 8 kHz misplaces the notch filter."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("speexdsp")
        if name is None:
            raise ImportError("libspeexdsp is not installed (Debian: libspeexdsp1)")
        self._library = ctypes.CDLL(name)
        for constructor in ("speex_echo_state_init", "speex_preprocess_state_init"):
            getattr(self._library, constructor).restype = ctypes.c_void_p
        self.info = SystemInfo(
            "Speex MDF with residual suppressor (libspeexdsp)", needs_far_end=True, latency_ms=20.0
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        far = np.zeros_like(mixture) if far_end is None else far_end
        library = self._library
        rate = ctypes.c_int(RATE_HZ)
        echo = ctypes.c_void_p(library.speex_echo_state_init(FRAME, TAIL_SAMPLES))
        library.speex_echo_ctl(echo, SET_ECHO_RATE, ctypes.byref(rate))
        residual = ctypes.c_void_p(library.speex_preprocess_state_init(FRAME, RATE_HZ))
        library.speex_preprocess_ctl(residual, SET_PREPROCESS_ECHO_STATE, echo)
        try:
            cancelled = pairs_by_frames(to_int16(mixture), to_int16(far), FRAME, self._step(echo, residual))
            return from_int16(cancelled)
        finally:
            library.speex_preprocess_state_destroy(residual)
            library.speex_echo_state_destroy(echo)

    def _step(
        self, echo: ctypes.c_void_p, residual: ctypes.c_void_p
    ) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        def address(samples: np.ndarray) -> ctypes.c_void_p:
            return ctypes.c_void_p(samples.ctypes.data)

        def step(near: np.ndarray, far: np.ndarray) -> np.ndarray:
            result = np.empty(FRAME, np.int16)
            self._library.speex_echo_cancellation(echo, address(near), address(far), address(result))
            self._library.speex_preprocess_run(residual, address(result))
            return result

        return step
