"""Whole-clip analysis and synthesis against the device's, hop by hop, on real speech."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from edge_pse.spectral import Analysis, Synthesis
from tests.conftest import Samples
from training.spectral import analyse, synthesise


def test_offline_and_device_spectra_are_the_same(recording: Callable[[str], Samples]) -> None:
    speech = recording("ls367_speech")[: 160 * 300]
    whole = analyse(torch.from_numpy(speech)[None]).numpy()
    analysis = Analysis(320, 1)
    spectra = analysis(np.r_[speech, np.zeros(160, np.float32)])
    streamed = np.concatenate(list(spectra), axis=2)
    assert np.abs(whole - streamed).max() < 1e-4 * np.abs(whole).max()


def test_offline_and_device_synthesis_are_the_same(recording: Callable[[str], Samples]) -> None:
    speech = recording("ls367_speech")[: 160 * 300]
    spectrum = analyse(torch.from_numpy(speech)[None])
    whole = synthesise(spectrum)[0].numpy()
    synthesis, out = Synthesis(320, 1), []
    for t in range(spectrum.shape[2]):
        hop = np.empty(160, np.float32)
        synthesis(spectrum[None, :, :, t : t + 1].numpy(), hop)
        out.append(hop)
    assert np.abs(whole - np.concatenate(out[1:])).max() < 1e-5
    # Only the constant component is lost.
    assert np.abs(whole - speech).max() < 0.01
