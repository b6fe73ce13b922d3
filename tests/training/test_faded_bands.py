"""What fades of a voice's own bands, as a loss: it sees the highest, and leaves doubt free to be silent."""

from __future__ import annotations

import pytest
import soundfile
import torch
from torch import Tensor

from tests.conftest import FIXTURES
from training.losses import LossWeights, faded_bands_db
from training.network import SAMPLE_RATE_HZ
from training.spectral import analyse
from training.step import output_losses

FROM_BIN = 140  # 7 kHz


@pytest.fixture(scope="module")
def speech() -> Tensor:
    return _read("ls1688_speech")


@pytest.fixture(scope="module")
def other() -> Tensor:
    return _read("ls367_speech")


def _read(name: str) -> Tensor:
    samples, rate_hz = soundfile.read(FIXTURES / f"{name}.opus", dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return torch.from_numpy(samples[None, : 3 * SAMPLE_RATE_HZ])


def _treble(spectrum: Tensor, by_db: float) -> Tensor:
    changed = spectrum.clone()
    changed[..., FROM_BIN:] *= 10 ** (by_db / 20)
    return changed


def test_what_fades_above_7_khz_is_seen_however_little_power_it_has(speech: Tensor) -> None:
    voice = analyse(speech)
    power = voice.square().sum((0, 1, 2))
    assert power[FROM_BIN:].sum() < 0.05 * power.sum()
    faded = [float(faded_bands_db(_treble(voice, by_db), voice, voice)) for by_db in (0, -3, -6, -60)]
    assert faded[0] == 0
    # Two bands of sixteen, where they are not left out for being too faint.
    assert 0.1 < faded[1] < 0.5 and 1.5 * faded[1] < faded[2] < 3 * faded[1] and faded[3] < 20 * 2 / 16
    assert faded_bands_db(_treble(voice, 6), voice, voice) == 0


def test_a_voice_that_goes_as_a_whole_fades_in_no_band(speech: Tensor) -> None:
    voice = analyse(speech)
    assert faded_bands_db(0.1 * voice, voice, voice) == pytest.approx(0, abs=0.5)
    assert faded_bands_db(0.1 * _treble(voice, -12), voice, voice) > 0.5


def test_bands_in_which_more_is_heard_are_left_to_the_other_losses(speech: Tensor, other: Tensor) -> None:
    voice = analyse(speech)
    hiss = torch.zeros_like(voice)
    hiss[..., FROM_BIN:] = voice.abs().amax()
    assert faded_bands_db(_treble(voice, -12), voice, voice + hiss) == 0
    assert faded_bands_db(0 * voice, 0 * voice, analyse(other)) == 0


def test_it_is_weighed_with_the_others_and_gradients_stay_finite(speech: Tensor, other: Tensor) -> None:
    targets = torch.cat([speech, 1e-5 * speech, 0 * speech])
    mixtures = targets + 0.01 * other
    enhanced = (0 * analyse(mixtures)).requires_grad_()
    total, parts = output_losses(enhanced, mixtures, targets, LossWeights(faded_bands=2.0))
    without, _ = output_losses(enhanced, mixtures, targets, LossWeights())
    torch.testing.assert_close(total, without + 2 * parts["faded_bands"])
    total.sum().backward()
    assert enhanced.grad is not None and enhanced.grad.isfinite().all()
