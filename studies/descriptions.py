"""Descriptions of a voice that are not the network's own: what it is compared with."""

from __future__ import annotations

import librosa
import numpy as np
import torch
from torch import Tensor

from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ
from training.simulation.corpus import Bank
from training.spectral import analyse, synthesise
from training.teacher import DVectorEncoder, Rotation

_BANDS = 80
_WINDOW_SAMPLES, _TRANSFORM_SAMPLES = 400, 512
_LISTENING_S = 3.0
_VOICES = 400  # for means and deviations


class NoProfile:
    """No description at all."""

    def __init__(self, size: int) -> None:
        self.size = size

    def embed(self, spectrum: Tensor) -> Tensor:
        """(enrollment, 2, frame, bin) -> zeros (enrollment, size)."""
        return spectrum.new_zeros(len(spectrum), self.size)


class DVector:
    """Resemblyzer's d-vector of each enrollment, in the rotation in which a network is taught by d-vectors.

    Raises click.ClickException when Resemblyzer is not installed.
    """

    def __init__(self, rotation: Rotation) -> None:
        self.size = rotation.directions.shape[1]
        self._rotation, self._encoder = rotation, DVectorEncoder()

    def embed(self, spectrum: Tensor) -> Tensor:
        """(enrollment, 2, frame, bin) -> (enrollment, size)."""
        with torch.autocast(spectrum.device.type, enabled=False):
            vectors = self._rotation(self._encoder.of(_unit_power(spectrum).cpu().numpy()))
        return torch.from_numpy(vectors).to(spectrum.device)


class FilterbankStatistics:
    """Means and deviations over time of the logarithms of mel bands (arXiv 2406.09928), standardised over voices."""

    def __init__(self, speech: Bank) -> None:
        bands = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=_TRANSFORM_SAMPLES, n_mels=_BANDS)
        self.size = 2 * _BANDS
        self._bands = torch.from_numpy(bands)
        voices = np.linspace(0, len(speech.tracks) - 1, min(_VOICES, len(speech.tracks))).astype(int)
        length = round(_LISTENING_S * SAMPLE_RATE_HZ / HOP_SAMPLES) * HOP_SAMPLES
        clips = speech.cut(voices, np.zeros(len(voices), int), length)
        found = self._statistics(analyse(clips))
        self._mean, self._deviation = found.mean(0), found.std(0) + 1e-3

    def embed(self, spectrum: Tensor) -> Tensor:
        """(enrollment, 2, frame, bin) -> (enrollment, 160)."""
        with torch.autocast(spectrum.device.type, enabled=False):
            return (self._statistics(spectrum) - self._mean) / self._deviation

    def _statistics(self, spectrum: Tensor) -> Tensor:
        samples = _unit_power(spectrum)
        window = torch.hann_window(_WINDOW_SAMPLES, device=samples.device)
        power = torch.stft(
            samples, _TRANSFORM_SAMPLES, HOP_SAMPLES, _WINDOW_SAMPLES, window, return_complex=True
        )
        logarithms = (self._bands.to(samples.device) @ power.abs().square() + 1e-6).log()
        return torch.cat([logarithms.mean(2), logarithms.std(2)], dim=1)


def _unit_power(spectrum: Tensor) -> Tensor:
    samples = synthesise(spectrum.float())
    return samples / samples.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)
