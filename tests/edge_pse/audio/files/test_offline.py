"""Whole files through the shipped model: alignment, length, channels and memory."""

import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import Enhancer
from edge_pse.audio.files import enhance_file
from edge_pse.errors import AudioError
from edge_pse.spectral import has_whole_hops


@pytest.fixture
def files(tmp_path):
    """Write samples to a file, enhance it into another, give what came out."""

    def enhance(samples, rate, model, **settings):
        source, target = tmp_path / "in.wav", tmp_path / "out.wav"
        soundfile.write(source, samples, rate, "FLOAT")
        done = enhance_file(source, target, model, **settings)
        enhanced, rate_out = soundfile.read(target, dtype="float32", always_2d=True)
        assert (rate_out, len(enhanced)) == (rate, len(samples))
        assert (done.frames, done.channels, done.sample_rate_hz) == (*enhanced.shape, rate)
        return enhanced

    return enhance


@pytest.fixture
def noisy(recording, mix):
    return mix(recording("ls367_speech")[:48_000], recording("helicopter"), 10)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 96_000])
def test_the_output_is_what_an_array_gives(files, model, female_profile, noisy, rate):
    samples = soxr.resample(noisy, 16_000, rate)
    enhanced = files(samples, rate, model, profile=female_profile)[:, 0]
    expected = Enhancer(model, female_profile).enhance(samples, rate)
    assert np.std(expected) > 0.01
    # The last milliseconds of what is resampled depend on what one takes to follow them.
    inside = samples.size - (rate == 22_050) * rate // 100
    np.testing.assert_allclose(enhanced[:inside], expected[:inside], atol=1e-5)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 192_000, 384_000])
def test_input_and_output_line_up_to_the_sample(files, model, recording, rate):
    samples = soxr.resample(recording("ls3080_speech")[:48_000], 16_000, rate)
    enhanced = files(samples, rate, model)[:, 0]
    lags = range(-50, 51)
    inner = slice(50, samples.size - 50)
    similarity = [samples[inner] @ np.roll(enhanced, -lag)[inner] for lag in lags]
    assert lags[int(np.argmax(similarity))] == 0


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 16_000, 44_100, 192_000, 768_000])
@pytest.mark.parametrize("length", [1, 5, 163, 24_007])
def test_at_strength_zero_the_input_comes_back_to_its_last_sample(files, model, recording, rate, length):
    samples = soxr.resample(recording("ls367_speech")[20_000:], 16_000, rate)[:length]
    out = files(samples, rate, model, strength=0)[:, 0]
    if has_whole_hops(rate):
        np.testing.assert_array_equal(out, samples)
    elif length > 1_000:
        # The ends are steps, and there is sound at the very edge of the band: no filter keeps those.
        inner = slice(length // 10, -length // 10)
        assert np.std((out - samples)[inner]) < 0.1 * np.std(samples[inner])
        assert np.abs(out[-rate // 100 :]).max() > 0.1 * np.abs(samples[-rate // 100 :]).max()


def test_channels_that_agree_are_averaged_into_one(files, model, noisy, recording, mix):
    stereo = np.stack([noisy, mix(noisy, recording("ls2033_speech"), 15)], axis=1)
    enhanced = files(stereo, 16_000, model)
    assert enhanced.shape[1] == 1
    np.testing.assert_allclose(
        enhanced[:, 0], Enhancer(model).enhance(stereo.mean(axis=1), 16_000), atol=1e-6
    )


def test_channels_that_are_kept_are_enhanced_one_by_one(files, model, noisy, recording):
    stereo = np.stack([noisy, recording("ls2033_speech")[: noisy.size]], axis=1)
    enhanced = files(stereo, 16_000, model, keep_channels=True)
    for channel in (0, 1):
        alone = Enhancer(model).enhance(stereo[:, channel], 16_000)
        np.testing.assert_allclose(enhanced[:, channel], alone, atol=1e-6)


def test_progress_is_told_to_the_end(files, model, noisy):
    told = []
    files(np.tile(noisy, 4), 16_000, model, strength=0, on_progress=lambda *times: told.append(times))
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (12.0, 12.0)


def test_memory_does_not_grow_with_the_length(files, model, noisy):
    used = {}

    def watch(seconds_done, _):
        used[round(seconds_done)] = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    samples = np.tile(soxr.resample(noisy, 16_000, 48_000), 10)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    try:
        files(samples, 48_000, model, on_progress=watch)
    finally:
        tracemalloc.stop()
    assert {5, 26} <= used.keys()
    # One second at the model's rate alone, kept, would be 64 000 bytes.
    assert abs(used[26] - used[5]) < 100_000
    assert max(used.values()) - before < 4_000_000


def test_nan_half_way_leaves_nothing(tmp_path, model, noisy, names_in):
    samples = np.tile(noisy, 3)
    samples[100_000] = np.nan
    soundfile.write(tmp_path / "in.wav", samples, 16_000, "FLOAT")
    with pytest.raises(AudioError, match=r"in.wav can't be used.*NaN"):
        enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", model)
    assert names_in(tmp_path) == ["in.wav"]
