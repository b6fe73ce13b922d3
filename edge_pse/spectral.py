"""Between samples and spectra, some hops at a time: square-root Hann windows that overlap by half.

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
    """Samples to spectra; each spectrum covers a hop that is given and the one before it."""

    def __init__(self, window_samples: int, first_bin: int):
        self._hop_samples = window_samples // 2
        self._first_bin = first_bin
        self._window = square_root_hann(window_samples)
        self.reset()

    @property
    def previous_hops(self) -> Samples:
        """The hops before each of those last given (zeros at first), (hops, window / 2).

        To these the synthesised output belongs. A view that the next call overwrites.
        """
        return self._frames[:, : self._hop_samples]

    def __call__(self, samples: Samples) -> Samples:
        """Whole hops of samples (window / 2 each) -> spectra (hops, 1, 2, 1, bins), real and imaginary part.

        The result is a buffer that the next call overwrites.
        """
        size = self._hop_samples
        hops = samples.reshape(-1, size)
        if len(hops) != len(self._frames):
            self._allocate(len(hops), self._frames[-1:])
        frames = self._frames
        frames[0, :size] = frames[-1, size:]
        if len(hops) > 1:
            frames[1:, :size] = hops[:-1]
        frames[:, size:] = hops
        np.multiply(frames, self._window, out=self._windowed)
        full = np.fft.rfft(self._windowed)
        self._real[:] = full.real[:, self._first_bin :]
        self._imaginary[:] = full.imag[:, self._first_bin :]
        return self._spectra

    def reset(self) -> None:
        """Forget the past: the next hop is preceded by silence."""
        self._allocate(1, np.zeros((1, 2 * self._hop_samples), np.float32))

    def _allocate(self, hops: int, last: Samples) -> None:
        """Buffers for so many hops, after the frame that was the ``last``."""
        self._frames = np.repeat(last, hops, axis=0)
        self._windowed = np.empty_like(self._frames)
        self._spectra = np.empty((hops, 1, 2, 1, self._hop_samples + 1 - self._first_bin), np.float32)
        self._real, self._imaginary = self._spectra[:, 0, 0, 0], self._spectra[:, 0, 1, 0]


class Synthesis:
    """Spectra to samples by overlap-add: each spectrum completes the earlier of its two hops."""

    def __init__(self, window_samples: int, first_bin: int):
        self._hop_samples = window_samples // 2
        self._first_bin = first_bin
        self._window = square_root_hann(window_samples)
        self._allocate(1)
        self.reset()

    def __call__(self, spectra: Samples, out: Samples) -> None:
        """Spectra (hops, 1, 2, 1, bins) -> as many hops of samples (window / 2 each), written to ``out``."""
        size = self._hop_samples
        if len(spectra) != len(self._full):
            self._allocate(len(spectra))
        self._real[:] = spectra[:, 0, 0, 0]
        self._imaginary[:] = spectra[:, 0, 1, 0]
        frames = np.fft.irfft(self._full)
        frames *= self._window
        hops = out.reshape(-1, size)
        np.add(frames[0, :size], self._tail, out=hops[0])
        if len(hops) > 1:
            np.add(frames[1:, :size], frames[:-1, size:], out=hops[1:])
        self._tail[:] = frames[-1, size:]

    def reset(self) -> None:
        """Forget the past: the next spectrum is preceded by silence."""
        self._tail = np.zeros(self._hop_samples, np.float32)

    def _allocate(self, hops: int) -> None:
        # The bins below the first one stay zero.
        self._full = np.zeros((hops, self._hop_samples + 1), np.complex64)
        self._real, self._imaginary = (
            part[:, self._first_bin :] for part in (self._full.real, self._full.imag)
        )
