"""Between samples and spectra, some hops at a time: square-root Hann windows that overlap by half.

The window is applied on both sides; its square is a periodic Hann window, whose halves add up to one, so that
an unchanged spectrum gives back the signal but for the bins below the first one.

A window of 20 ms has bins 50 Hz apart at every rate. So a network that was trained at 16 kHz is given the lower
bins of a stream of any rate, and no rate needs to be changed: the lower 160 bins of a stream at 48 kHz, on the scale
of a window at 16 kHz, are those of the same stream at 16 kHz. A stream that is synthesised with another number of
bins than it was analysed with has another rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Spectra = NDArray[np.complex64]

HOPS_PER_SECOND = 100
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 192_000
"""Of what is taken apart as it is."""
_USUAL_RATES_HZ = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)


def has_whole_hops(rate_hz: float) -> bool:
    """Whether a stream of that rate can be taken apart as it is: ten milliseconds of it are whole samples."""
    return LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ and rate_hz % HOPS_PER_SECOND == 0


def next_whole_hop_rate(rate_hz: float) -> int:
    """The rate itself if it has whole hops, else the next usual one above that has; 192 kHz for what is beyond."""
    if has_whole_hops(rate_hz):
        return int(rate_hz)
    return next((usual for usual in _USUAL_RATES_HZ if usual >= rate_hz), _USUAL_RATES_HZ[-1])


def square_root_hann(size: int) -> Samples:
    """Periodic square-root Hann window of ``size`` samples, float32."""
    return np.sin(np.pi * np.arange(size) / size).astype(np.float32)


class Analysis:
    """Samples to spectra; each spectrum covers a hop that is given and the one before it.

    ``bins``: how many are given from ``first_bin`` up, None for all; those that the window does not have are zero.
    ``scale``: factor for all of them. ``slope``: weights of the last of these bins, from 1 to 0; what they leave of
    them is the beginning of ``upper``.
    """

    def __init__(
        self,
        window_samples: int,
        first_bin: int,
        bins: int | None = None,
        scale: float = 1.0,
        slope: Samples | None = None,
    ):
        self.hop_samples = window_samples // 2
        """Half a window."""
        there = self.hop_samples + 1 - first_bin
        self._bins = there if bins is None else bins
        self._lower = slice(first_bin, first_bin + min(self._bins, there))
        self._window = np.float32(scale) * square_root_hann(window_samples)
        self._slope = np.empty(0, np.float32) if slope is None else slope
        self._left = 1 - self._slope
        self.reset()

    @property
    def previous_hops(self) -> Samples:
        """The hops before each of those last given (zeros at first), (hops, window / 2).

        To these the synthesised output belongs. A view that the next call overwrites.
        """
        return self._frames[:, : self.hop_samples]

    @property
    def upper(self) -> Spectra:
        """What the spectra last given leave, (hops, bins of the slope and above) complex64; the caller's to change."""
        return self._upper

    def __call__(self, samples: Samples) -> Samples:
        """Whole hops of samples (window / 2 each) -> spectra (hops, 1, 2, 1, bins), real and imaginary part.

        The result is a buffer that the next call overwrites.
        """
        size = self.hop_samples
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
        self._real[:] = full.real[:, self._lower]
        self._imaginary[:] = full.imag[:, self._lower]
        size = self._slope.size
        self._upper = full[:, self._lower.stop - size :].astype(np.complex64, copy=False)
        if size:
            self._real[:, -size:] *= self._slope
            self._imaginary[:, -size:] *= self._slope
            self._upper[:, :size] *= self._left
        return self._spectra

    def reset(self) -> None:
        """Forget the past: the next hop is preceded by silence."""
        self._allocate(1, np.zeros((1, 2 * self.hop_samples), np.float32))

    def _allocate(self, hops: int, last: Samples) -> None:
        """Buffers for so many hops, after the frame that was the ``last``."""
        self._frames = np.repeat(last, hops, axis=0)
        self._windowed = np.empty_like(self._frames)
        # Bins that the window does not have stay zero.
        self._spectra = np.zeros((hops, 1, 2, 1, self._bins), np.float32)
        there = self._lower.stop - self._lower.start
        self._real, self._imaginary = (self._spectra[:, 0, part, 0, :there] for part in (0, 1))


class Synthesis:
    """Spectra to samples by overlap-add: each spectrum completes the earlier of its two hops.

    ``bins``: how many a spectrum has from ``first_bin`` up, None for all that the window has. What the window does not
    have is left out, and what a spectrum does not have is nothing. ``scale``: factor for all of them. ``slope_bins``:
    how many of the last of these bins ``Analysis.upper`` begins with.
    """

    def __init__(
        self,
        window_samples: int,
        first_bin: int,
        bins: int | None = None,
        scale: float = 1.0,
        slope_bins: int = 0,
    ):
        self.hop_samples = window_samples // 2
        """Half a window."""
        there = self.hop_samples + 1 - first_bin
        self._lower = slice(first_bin, first_bin + (there if bins is None else min(bins, there)))
        self._window = np.float32(scale) * square_root_hann(window_samples)
        self._upper_from = self._lower.stop - slope_bins
        self._allocate(1)
        self.reset()

    def __call__(self, spectra: Samples, out: Samples, upper: Spectra | None = None) -> None:
        """Spectra (hops, 1, 2, 1, bins) -> as many hops of samples (window / 2 each), written to ``out``.

        ``upper``: what is to be added from the slope on, (hops, any number of bins), None for nothing.
        """
        size = self.hop_samples
        if len(spectra) != len(self._full):
            self._allocate(len(spectra))
        there = self._lower.stop - self._lower.start
        self._real[:] = spectra[:, 0, 0, 0, :there]
        self._imaginary[:] = spectra[:, 0, 1, 0, :there]
        if upper is not None:
            there = min(upper.shape[1], size + 1 - self._upper_from)
            self._full[:, self._lower.stop :] = 0
            self._full[:, self._upper_from : self._upper_from + there] += upper[:, :there]
        frames = np.fft.irfft(self._full, 2 * size)
        frames *= self._window
        hops = out.reshape(-1, size)
        np.add(frames[0, :size], self._tail, out=hops[0])
        if len(hops) > 1:
            np.add(frames[1:, :size], frames[:-1, size:], out=hops[1:])
        self._tail[:] = frames[-1, size:]

    def reset(self) -> None:
        """Forget the past: the next spectrum is preceded by silence."""
        self._tail = np.zeros(self.hop_samples, np.float32)

    def _allocate(self, hops: int) -> None:
        # The bins below the first one, and those that nobody gives, stay zero.
        self._full = np.zeros((hops, self.hop_samples + 1), np.complex64)
        self._real, self._imaginary = (part[:, self._lower] for part in (self._full.real, self._full.imag))


class RateChange:
    """A stream at one rate -> the same at another, one hop later; both have whole hops.

    What comes out is what an ``Enhancer`` between these rates gives of a network that changes nothing. At equal rates
    it is the input, bit for bit. ``highest_hz``: what is above goes; None for all that both have.
    """

    def __init__(self, rate_hz: int, output_rate_hz: int, highest_hz: float | None = None):
        self._before: Samples
        size, self._output_size = (2 * rate // HOPS_PER_SECOND for rate in (rate_hz, output_rate_hz))
        bins = size // 2 + 1
        if highest_hz is not None:
            bins = min(bins, int(highest_hz * size / rate_hz) + 1)
        self._unchanged = rate_hz == output_rate_hz and bins == size // 2 + 1
        self._analysis = Analysis(size, 0, bins)
        self._synthesis = Synthesis(self._output_size, 0, bins, self._output_size / size)
        self.reset()

    def process(self, samples: Samples) -> Samples:
        """Whole hops, (n,) float32 -> as many hops of the other rate: the sound of one hop before."""
        if self._unchanged:
            stream = np.concatenate([self._before, samples])
            self._before = stream[samples.size :]
            return stream[: samples.size]
        spectra = self._analysis(samples)
        out = np.empty(len(spectra) * self._output_size // 2, np.float32)
        self._synthesis(spectra, out)
        return out

    def reset(self) -> None:
        """Begin a new stream, after silence."""
        self._before = np.zeros(self._analysis.hop_samples, np.float32)
        self._analysis.reset()
        self._synthesis.reset()
