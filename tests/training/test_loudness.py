"""Disturbance as a loss: it orders speech as PESQ does, and what lowers it raises PESQ."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import butter, sosfilt
from torch import Tensor

from evaluation.metrics.perceptual import pesq_wb
from tests.conftest import FIXTURES
from training.losses import LossWeights
from training.loudness import disturbance
from training.network import SAMPLE_RATE_HZ
from training.spectral import analyse, synthesise
from training.step import output_losses


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return _read("ls367_speech")[: 4 * SAMPLE_RATE_HZ]


@pytest.fixture(scope="module")
def noise(speech: np.ndarray) -> np.ndarray:
    """As loud as the speech."""
    helicopter = np.resize(_read("helicopter"), len(speech))
    return helicopter * np.float32(speech.std() / helicopter.std())


def _read(name: str) -> np.ndarray:
    samples, rate_hz = soundfile.read(FIXTURES / f"{name}.opus", dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return samples


def _of(output: np.ndarray, target: np.ndarray) -> float:
    return float(disturbance(*(torch.from_numpy(x)[None] for x in (output, target)))[0])


def _damaged(speech: np.ndarray, noise: np.ndarray) -> list[np.ndarray]:
    """In many ways, by little and by much."""
    noisy = [speech + noise * np.float32(10 ** (-snr_db / 20)) for snr_db in range(-5, 41, 5)]
    clipped = [speech.clip(-peak, peak) for peak in np.abs(speech).max() * np.float32([0.05, 0.2])]
    gaps = np.tile(np.repeat(np.float32([1, 0.03]), 1600), 1 + len(speech) // 3200)[: len(speech)]
    return [*noisy, *clipped, speech * gaps, speech * gaps + 0.1 * noise]


def test_it_orders_damaged_speech_as_pesq_does(speech: np.ndarray, noise: np.ndarray) -> None:
    damaged = _damaged(speech, noise)
    disturbed = np.array([_of(output, speech) for output in damaged])
    opinions = np.array([pesq_wb(speech, output) for output in damaged])
    assert _of(speech, speech) < 0.01 < disturbed.min()
    assert np.corrcoef(disturbed.argsort().argsort(), (-opinions).argsort().argsort())[0, 1] > 0.95
    in_noise = disturbed[:10]
    assert (np.diff(in_noise) < 0).all()
    assert in_noise[0] > 3 > 0.5 > in_noise[-1]


def test_what_is_added_counts_more_than_what_is_missing(speech: np.ndarray, noise: np.ndarray) -> None:
    noisy = speech + 0.1 * noise
    assert _of(noisy, speech) > 1.3 * _of(speech, noisy)


def test_half_of_the_band_is_missed(speech: np.ndarray, noise: np.ndarray) -> None:
    dull = sosfilt(butter(4, 2500, fs=SAMPLE_RATE_HZ, output="sos"), speech).astype(np.float32)
    assert _of(dull, speech) > 2  # PESQ makes up for a microphone's colour; a network is to have none


def test_it_hears_no_level(speech: np.ndarray, noise: np.ndarray) -> None:
    noisy = speech + 0.1 * noise
    for gain in (0.1, 5):  # of the recording
        assert _of(gain * noisy, gain * speech) == pytest.approx(_of(noisy, speech), rel=0.01)
    assert _of(0.6 * speech, speech) < 0.01  # nor of the output alone, within 7 dB
    assert _of(0.1 * speech, speech) > 1


def test_following_its_gradient_raises_pesq(speech: np.ndarray, noise: np.ndarray) -> None:
    noisy, target = (torch.from_numpy(x)[None] for x in (speech + 0.3 * noise, speech))
    spectrum = analyse(noisy)
    logits = torch.full((1, 1, *spectrum.shape[2:]), 2.0, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)

    def output() -> Tensor:
        return synthesise(spectrum * logits.sigmoid())

    before = pesq_wb(speech, output()[0].detach().numpy())
    for _ in range(15):
        optimizer.zero_grad()
        disturbance(output(), target).sum().backward()
        optimizer.step()
    assert pesq_wb(speech, output()[0].detach().numpy()) > before + 0.3


def test_silence_gives_finite_numbers_and_gradients(speech: np.ndarray) -> None:
    clip = torch.from_numpy(speech[None, : SAMPLE_RATE_HZ // 2])
    silence = torch.zeros_like(clip)
    for target in (clip, silence, 1e-5 * clip):
        for start in (clip, silence, 1e-6 * clip):
            output = start.clone().requires_grad_()
            lost = disturbance(output, target)
            lost.sum().backward()
            assert lost.isfinite().all() and output.grad is not None and output.grad.isfinite().all()
    assert disturbance(silence, clip) > 2


def test_a_batch_is_its_clips_and_absent_targets_take_no_part(speech: np.ndarray, noise: np.ndarray) -> None:
    targets = torch.from_numpy(np.stack([speech, 0.2 * speech, 0 * speech]))
    mixtures = targets + 0.2 * torch.from_numpy(noise)
    weights = LossWeights(disturbance=2.0)
    enhanced = analyse(mixtures).requires_grad_()
    total, parts = output_losses(enhanced, mixtures, targets, weights)
    without, _ = output_losses(enhanced, mixtures, targets, LossWeights())
    torch.testing.assert_close(total, without + 2 * parts["disturbance"])
    one_by_one = [_of(m.numpy(), t.numpy()) for m, t in zip(mixtures, targets, strict=True)]
    torch.testing.assert_close(
        parts["disturbance"][:2].detach(), torch.tensor(one_by_one[:2]), rtol=0.02, atol=0
    )
    assert parts["disturbance"][2] == 0
    total.sum().backward()
    assert enhanced.grad is not None and enhanced.grad.isfinite().all()


def test_less_weight_on_the_ratio_leaves_absent_targets_as_they_were(
    speech: np.ndarray, noise: np.ndarray
) -> None:
    targets = torch.from_numpy(np.stack([speech, 0 * speech]))
    mixtures = targets + 0.2 * torch.from_numpy(noise)
    enhanced = analyse(mixtures)
    whole, fifth = (
        output_losses(enhanced, mixtures, targets, LossWeights(ratio=r))[1]["time"] for r in (1.0, 0.2)
    )
    torch.testing.assert_close(fifth, whole * torch.tensor([0.2, 1.0]))
