"""Files of every rate: each comes back at its own, in its place and with all of its band."""

import io

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import Enhancer, enhance_file, enroll

RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)
ODD_RATES = (11_025, 22_050, 352_800, 384_000)
LOWEST_ABOVE_HZ = 8_200
"""The windows spread what is at the very edge of the network's band a little beyond it."""


def at(rate, samples):
    return soxr.resample(samples, 48_000, rate, "VHQ").astype(np.float32)


def between(lowest_hz, highest_hz, samples, rate):
    """What of the sound is there, at its rate."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(samples.size, 1 / rate)
    spectrum[(frequencies < lowest_hz) | (frequencies >= highest_hz)] = 0
    return np.fft.irfft(spectrum, samples.size)


def below(samples, rate):
    """What every rate has, at 16 kHz; without the ends, where one may take anything to follow or to be before."""
    highest_hz = min(7_000, 0.44 * rate)
    shared = between(0, highest_hz, soxr.resample(samples, rate, 16_000, "VHQ"), 16_000)
    return shared[800:-800]


def above(samples, rate):
    return between(LOWEST_ABOVE_HZ, min(18_000, 0.44 * rate), samples, rate)


def difference_db(one, other):
    size = min(one.size, other.size)
    return 20 * np.log10(np.std(one[:size] - other[:size]) / np.std(other) + 1e-9)


def loss_db(out, given):
    return 20 * np.log10(np.std(given) / np.std(out))


@pytest.fixture(scope="module")
def voice(full_band):
    return full_band("msc4g8_speech")


@pytest.fixture(scope="module")
def profile(model, full_band):
    return enroll(full_band("msc4g8_enrollment"), 48_000, model=model)


@pytest.fixture(scope="module")
def scene(voice, recording, full_band, mix):
    """Two voices and noise, 48 kHz."""
    return mix(
        mix(voice, soxr.resample(recording("ls367_speech"), 16_000, 48_000), 5), full_band("noise_48k"), 15
    )


@pytest.fixture
def through(tmp_path, model):
    """``through(samples, rate, profile)`` -> what comes of a file, at its rate and as long."""

    def enhance(samples, rate, profile, **settings):
        soundfile.write(tmp_path / "in.wav", samples, rate, "FLOAT")
        done = enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", model, profile, **settings)
        out, rate_out = soundfile.read(tmp_path / "out.wav", dtype="float32")
        assert (rate_out, done.sample_rate_hz) == (rate, rate)
        assert len(out) == done.frames == len(samples)
        return out

    return enhance


@pytest.mark.parametrize("rate", (*RATES, *ODD_RATES))
def test_below_7_khz_it_is_what_16_khz_give(through, model, scene, profile, rate):
    # Above narrow sound the network is given nothing at all, where a change to 16 kHz leaves a slope and noise.
    most_db = -20 if rate == 8_000 else -40
    samples = at(rate, scene)
    out = through(samples, rate, profile)
    at_model = soxr.resample(samples, rate, 16_000).astype(np.float32)
    expected = Enhancer(model, profile).enhance(at_model, 16_000)
    assert difference_db(below(out, rate), below(expected, 16_000)) < most_db


@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_one_rate_gives_what_another_gives(through, scene, profile, rate):
    first, second = through(scene, 48_000, profile), through(at(rate, scene), rate, profile)
    assert difference_db(below(second, rate), below(first, 48_000)) < -40
    seen = [above(first, 48_000), soxr.resample(above(second, rate), rate, 48_000)]
    assert difference_db(seen[1], seen[0]) < -20


@pytest.mark.parametrize("rate", [22_050, 24_000, 44_100, 48_000, 192_000])
def test_above_8_khz_the_wanted_voice_stays_and_others_go(through, voice, profile, female_profile, rate):
    samples = at(rate, voice)
    kept, taken = (through(samples, rate, whose) for whose in (profile, female_profile))
    assert loss_db(above(kept, rate), above(samples, rate)) < 2
    assert loss_db(above(taken, rate), above(samples, rate)) > 20


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_with_8_khz_of_band_nothing_is_above(through, scene, profile, rate):
    samples = at(rate, scene)
    whole = through(samples, rate, profile, strength=0.7)
    out = through(samples, rate, profile, strength=0.7, full_band=False)
    assert difference_db(below(out, rate), below(whole, rate)) < -50
    assert loss_db(above(out, rate), above(samples, rate)) > 50


def test_channels_that_are_kept_are_each_as_alone(through, model, scene, voice, profile):
    stereo = np.stack([scene, voice], axis=1)
    out = through(stereo, 48_000, profile, keep_channels=True)
    for channel in (0, 1):
        alone = Enhancer(model, profile).enhance(stereo[:, channel], 48_000)
        np.testing.assert_allclose(out[:, channel], alone, atol=1e-6)


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_a_pipe_gives_what_a_file_gives(through, model, scene, profile, rate):
    samples = at(rate, scene)
    content, target = io.BytesIO(), io.BytesIO()
    soundfile.write(content, samples, rate, "FLOAT", format="WAV")
    enhance_file(io.BytesIO(content.getvalue()), target, model, profile)
    out, rate_out = soundfile.read(io.BytesIO(target.getvalue()), dtype="float32")
    assert rate_out == rate
    np.testing.assert_array_equal(out, through(samples, rate, profile))


def test_the_command_takes_the_band_for_a_file_a_folder_and_a_pipe(run, shell, tmp_path, voice):
    soundfile.write(tmp_path / "in.wav", voice, 48_000, "FLOAT")
    for band in ("8", "full"):
        one, many = tmp_path / f"{band}.wav", tmp_path / band
        options = () if band == "full" else ("--band", band)
        assert run("enhance", tmp_path / "in.wav", "-o", one, *options).exit_code == 0
        assert run("enhance", tmp_path / "in.wav", "-o", f"{many}/", *options).exit_code == 0
        out, rate = soundfile.read(one, dtype="float32")
        np.testing.assert_array_equal(soundfile.read(many / "in.wav", dtype="float32")[0], out)
        assert (np.std(above(out, rate)) < 1e-3 * np.std(above(voice, 48_000))) == (band == "8")
    assert shell("edge-pse enhance - -o - --band 8 < in.wav > piped.wav") == ([0], "")
    piped, _ = soundfile.read(tmp_path / "piped.wav", dtype="float32")
    np.testing.assert_array_equal(piped, soundfile.read(tmp_path / "8.wav", dtype="float32")[0])
