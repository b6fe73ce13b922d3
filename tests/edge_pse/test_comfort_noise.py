"""Faint noise in the bins that a stream does not have: for the network, and for nobody else."""

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer, enroll
from edge_pse.comfort_noise import LEVEL_DBFS, ComfortNoise
from studies.narrow_band.page import SHIPPED
from studies.narrow_band.ways import WAYS, narrow_spectra


@pytest.fixture(scope="module")
def narrow(recording):
    return soxr.resample(recording("ls3080_speech")[:32_000], 16_000, 8_000)


@pytest.fixture
def shown(model, monkeypatch):
    """What the network is given, hop by hop, (bins,) complex."""
    hops, step = [], model.backend.step

    def watched(spectrum, *others):
        hops.append(spectrum[0, 0, 0] + 1j * spectrum[0, 1, 0])
        return step(spectrum, *others)

    monkeypatch.setattr(model.backend, "step", watched)
    return hops


def test_at_8_khz_the_network_is_shown_the_stream_and_the_noise_that_was_measured(
    model, female_profile, narrow, shown
):
    Enhancer(model, female_profile, rate_hz=8_000).process(narrow)
    given = np.array(shown)
    measured = WAYS[SHIPPED].shown(model, narrow)[: len(given)]
    np.testing.assert_allclose(given[:, :80], measured[:, :80], atol=1e-5)
    power = 2 / (320 * 160) * np.mean(np.sum(np.abs(given[:, 80:]) ** 2, axis=1))
    assert 10 * np.log10(power) == pytest.approx(LEVEL_DBFS, abs=0.2)
    np.testing.assert_allclose(np.std(measured[:, 80:]), np.std(given[:, 80:]), rtol=0.02)


def test_a_faint_stream_is_raised_and_the_noise_is_not(model, female_profile, narrow, shown):
    faint = np.float32(0.03) * narrow
    Enhancer(model, female_profile, rate_hz=8_000).process(faint)
    given, heard = np.array(shown)[-50:], narrow_spectra(faint)[: faint.size // 80][-50:]
    assert np.std(given[:, :80]) > 4 * np.std(heard[:, :80])
    power = 2 / (320 * 160) * np.mean(np.sum(np.abs(given[:, 80:]) ** 2, axis=1))
    assert 10 * np.log10(power) == pytest.approx(LEVEL_DBFS, abs=0.5)


@pytest.mark.parametrize("output_rate_hz", [8_000, 48_000])
def test_nothing_of_it_comes_out(output_rate_hz, model, female_profile, narrow):
    enhancer = Enhancer(model, female_profile, rate_hz=8_000, output_rate_hz=output_rate_hz)
    out = np.concatenate([enhancer.process(narrow), enhancer.flush()])
    above = np.abs(np.fft.rfft(out * np.hanning(out.size)))[round(4_200 * out.size / output_rate_hz) :]
    assert not above.size or above.max() < 0.01
    silence = np.concatenate([enhancer.process(np.zeros(8_000, np.float32)), enhancer.flush()])
    assert np.std(silence) < 1e-5


def test_the_next_stream_and_blocks_of_any_size_hear_the_same_noise(model, narrow, female_profile):
    enhancer = Enhancer(model, female_profile, rate_hz=8_000)
    whole = enhancer.process(narrow)
    enhancer.reset()
    parts = np.concatenate([enhancer.process(part) for part in np.array_split(narrow, 37)])
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_a_stream_without_a_profile_is_shown_as_it_is_and_so_is_an_enrollment(
    model, female_profile, narrow, shown
):
    enhancer = Enhancer(model, rate_hz=8_000)
    enhancer.process(narrow)
    assert not np.any(np.array(shown)[:, 80:])
    enhancer.profiles = female_profile
    frames, alone = [], []
    enhancer.observe(frames.append)
    enhancer.reset()
    enhancer.process(narrow)
    enhancer.profiles = None
    enhancer.observe(alone.append)
    enhancer.reset()
    enhancer.process(narrow)
    for frame, expected in zip(frames, alone, strict=True):
        np.testing.assert_allclose(frame.embedding, expected.embedding, atol=1e-5)
        assert frame.power == pytest.approx(expected.power)


def test_a_voice_enrolled_at_either_rate_stays_at_8_khz_and_another_goes(model, recording):
    speech, other = (
        soxr.resample(recording(f"{voice}_speech"), 16_000, 8_000) for voice in ("ls1688", "ls367")
    )
    enrollment = recording("ls1688_enrollment")
    for samples, rate_hz in ((enrollment, 16_000), (soxr.resample(enrollment, 16_000, 8_000), 8_000)):
        enhancer = Enhancer(model, enroll(samples, rate_hz, model=model))
        kept_db, left_db = (
            20 * np.log10(np.std(enhancer.enhance(heard, 8_000)) / np.std(heard)) for heard in (speech, other)
        )
        assert kept_db > -1.5 and left_db < -10


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_whoever_has_all_bins_is_shown_as_it_is(rate_hz, model, female_profile, recording, shown):
    speech = soxr.resample(recording("ls3080_speech")[:16_000], 16_000, rate_hz)
    Enhancer(model, female_profile, rate_hz=rate_hz).process(np.zeros_like(speech))
    assert not np.any(shown)
    spectrum = np.ones((1, 2, 1, 160), np.float32)
    noise = ComfortNoise(model.contract, 160)
    assert noise.filled(spectrum) is spectrum and noise.emptied(spectrum) is spectrum
