"""Between samples and spectra, one hop at a time: square-root Hann windows that overlap by half.

The window is applied on both sides; its square is a periodic Hann window, whose halves add up to one, so that
an unchanged spectrum gives back the signal but for the bins below the first one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def square_root_hann(size: int) -> Samples:
    """Periodic square-root Hann window of ``size`` samples, float32."""
    return np.sin(np.pi * np.arange(size) / size).astype(np.float32)


class Analysis:
    """Samples to spectra; each spectrum covers the hop that is given and the one before it."""

    def __init__(self, window_samples: int, first_bin: int):
        self._hop_samples = window_samples // 2
        self._first_bin = first_bin
        self._window = square_root_hann(window_samples)
        self._frame = np.zeros(window_samples, np.float32)
        self._windowed = np.empty(window_samples, np.float32)
        self._spectrum = np.empty((1, 2, 1, self._hop_samples + 1 - first_bin), np.float32)

    @property
    def previous_hop(self) -> Samples:
        """The hop before the last one given (zeros at first), to which the synthesised output belongs.

        A view that the next call overwrites.
        """
        return self._frame[: self._hop_samples]

    def __call__(self, hop: Samples) -> Samples:
        """One hop of samples (window / 2) -> spectrum (1, 2, 1, bins), real and imaginary part.

        The result is a buffer that the next call overwrites.
        """
        frame = self._frame
        frame[: self._hop_samples] = frame[self._hop_samples :]
        frame[self._hop_samples :] = hop
        np.multiply(frame, self._window, out=self._windowed)
        full = np.fft.rfft(self._windowed)[self._first_bin :]
        self._spectrum[0, 0, 0] = full.real
        self._spectrum[0, 1, 0] = full.imag
        return self._spectrum

    def reset(self) -> None:
        """Forget the past: the next hop is preceded by silence."""
        self._frame.fill(0)


class Synthesis:
    """Spectra to samples by overlap-add: each spectrum completes the earlier of its two hops."""

    def __init__(self, window_samples: int, first_bin: int):
        self._hop_samples = window_samples // 2
        self._window = square_root_hann(window_samples)
        self._full = np.zeros(self._hop_samples + 1, np.complex64)  # the bins below the first one stay zero
        self._real = self._full.real[first_bin:]
        self._imaginary = self._full.imag[first_bin:]
        self._tail = np.zeros(self._hop_samples, np.float32)

    def __call__(self, spectrum: Samples, out: Samples) -> None:
        """One spectrum (1, 2, 1, bins) -> one hop of samples (window / 2), written to ``out``."""
        self._real[:] = spectrum[0, 0, 0]
        self._imaginary[:] = spectrum[0, 1, 0]
        frame = np.fft.irfft(self._full)
        frame *= self._window
        np.add(frame[: self._hop_samples], self._tail, out=out)
        self._tail[:] = frame[self._hop_samples :]

    def reset(self) -> None:
        """Forget the past: the next spectrum is preceded by silence."""
        self._tail.fill(0)
