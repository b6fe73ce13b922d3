"""Analysis and synthesis of whole clips in PyTorch: the same numbers as the device's, one hop at a time, gives."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.network import HOP_SAMPLES, WINDOW_SAMPLES


def _window(like: Tensor) -> Tensor:
    return torch.hann_window(WINDOW_SAMPLES, periodic=True, device=like.device, dtype=like.dtype).sqrt()


def analyse(samples: Tensor) -> Tensor:
    """Samples (batch, sample), a whole number of hops, -> spectrum (batch, 2, sample / hop + 1, bin).

    Frame t covers the hops t-1 and t; a hop of zeros is put before the first and after the last, so that
    ``synthesise`` gives back every sample.
    """
    frames = F.pad(samples, (HOP_SAMPLES, HOP_SAMPLES)).unfold(1, WINDOW_SAMPLES, HOP_SAMPLES)
    spectrum = torch.fft.rfft(frames * _window(samples))[..., 1:]
    return torch.stack([spectrum.real, spectrum.imag], dim=1)


def synthesise(spectrum: Tensor) -> Tensor:
    """The inverse of ``analyse``, but for the constant component: (batch, 2, frame, bin) -> (batch, sample)."""
    full = torch.complex(F.pad(spectrum[:, 0], (1, 0)), F.pad(spectrum[:, 1], (1, 0)))
    frames = torch.fft.irfft(full, n=WINDOW_SAMPLES) * _window(spectrum)
    return (frames[:, :-1, HOP_SAMPLES:] + frames[:, 1:, :HOP_SAMPLES]).flatten(1)
