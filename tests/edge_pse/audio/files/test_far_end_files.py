"""``enhance --far-end``: files of any rate and length, in step with the microphone's."""

import re
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import Enhancer, Model
from edge_pse import model as model_module
from edge_pse.audio.files import enhance_file
from tests.edge_pse.graphs import copy_model, far_end_model


@pytest.fixture
def canceller(tmp_path):
    """Takes the far end away just as it is: whatever is left of it was out of step."""
    return Model.load(far_end_model(tmp_path / "canceller.onnx", 1, -1))


@pytest.fixture
def far(recording):
    return recording("ls2033_speech")[:80_000]


@pytest.fixture
def enhanced(tmp_path, canceller):
    """``enhanced(microphone, rate, far end, its rate)`` -> what is left."""

    def run(microphone, rate, far, far_rate, **settings):
        soundfile.write(tmp_path / "microphone.wav", microphone, rate, "FLOAT")
        soundfile.write(tmp_path / "far.wav", far, far_rate, "FLOAT")
        out = tmp_path / "out.wav"
        enhance_file(tmp_path / "microphone.wav", out, canceller, far_end=tmp_path / "far.wav", **settings)
        samples, rate_out = soundfile.read(out, dtype="float32", always_2d=True)
        assert (len(samples), rate_out) == (len(microphone), rate)
        return samples

    return run


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("far_rate", [8_000, 22_050, 44_100, 96_000])
def test_the_far_end_is_in_step_at_any_rate(enhanced, far, rate, far_rate):
    # Nothing above 3 kHz, which all of these rates keep.
    far = soxr.resample(soxr.resample(far, 16_000, 6_000), 6_000, 16_000)
    microphone = soxr.resample(far, 16_000, rate)
    left = enhanced(microphone, rate, soxr.resample(far, 16_000, far_rate), far_rate)[:, 0]
    inside = slice(rate // 10, -rate // 10)
    assert np.std(left[inside]) < 0.02 * np.std(microphone[inside])


@pytest.mark.parametrize("length", [30_000, 79_999, 120_000])
def test_a_far_end_of_another_length_is_filled_up_or_cut(enhanced, far, canceller, length):
    other = np.resize(far, length)
    heard = np.pad(other, (0, max(0, far.size - length)))[: far.size]
    expected = Enhancer(canceller).enhance(far, 16_000, heard)
    np.testing.assert_allclose(enhanced(far, 16_000, other, 16_000)[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("far_rate", [44_100, 22_050, 96_000])
def test_the_last_part_of_a_hop_has_its_far_end(enhanced, full_band, far_rate):
    # It ends in the middle of speech, a third of a hop after a whole one.
    heard = full_band("msc4g8_enrollment")[: 48_000 + 160]
    played = soxr.resample(full_band("msc4g8_enrollment")[:96_000], 48_000, far_rate)
    left = enhanced(heard, 48_000, played, far_rate)[:, 0]
    low = [soxr.resample(sound, 48_000, 8_000) for sound in (left, heard)]
    for last in (slice(-120, -5), slice(-30, -5)):
        assert np.std(low[1][last]) > 0.01
        assert np.std(low[0][last]) < 0.1 * np.std(low[1][last])


def test_every_channel_has_the_same_far_end(enhanced, far):
    stereo = np.stack([far, 0.5 * far], axis=1)
    left = enhanced(stereo, 16_000, np.stack([far, far], axis=1), 16_000, keep_channels=True)
    assert np.abs(left[:, 0]).max() < 1e-5
    np.testing.assert_allclose(np.std(left[:, 1]), 0.5 * np.std(far), rtol=0.05)


def test_memory_does_not_grow_with_the_length_of_the_far_end(enhanced, far):
    used = {}

    def watch(seconds_done, _):
        used[round(seconds_done)] = tracemalloc.get_traced_memory()[0]

    long = np.tile(soxr.resample(far, 16_000, 48_000), 6)
    tracemalloc.start()
    try:
        enhanced(long, 48_000, np.tile(far, 6), 16_000, on_progress=watch)
    finally:
        tracemalloc.stop()
    early, late = min(used), max(used)
    assert late - early > 20
    assert abs(used[late] - used[early]) < 400_000, "a second of one more signal that is kept is 64 000 bytes"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "Can't read .*missing.wav"),
        ("text.wav", "is not audio"),
        ("silent.wav", "holds no sound"),
    ],
)
def test_a_far_end_that_can_not_be_read_leaves_nothing(
    refused, tmp_path, far, canceller, names_in, name, message
):
    soundfile.write(tmp_path / "microphone.wav", far, 16_000)
    (tmp_path / "text.wav").write_text("not a sound " * 99)
    soundfile.write(tmp_path / "silent.wav", np.zeros(0), 16_000)
    before = names_in(tmp_path)
    arguments = ("-o", tmp_path / "out.wav", "--far-end", tmp_path / name, "--model", canceller.path)
    assert re.search(message, refused("enhance", tmp_path / "microphone.wav", *arguments))
    assert names_in(tmp_path) == before


def test_the_command_takes_the_variant_with_a_far_end(run, tmp_path, far, model, monkeypatch):
    models = tmp_path / "models"
    models.mkdir()
    copy_model(model.path, models)
    monkeypatch.setattr(model_module, "MODELS_DIR", models)
    soundfile.write(tmp_path / "microphone.wav", far, 16_000, "FLOAT")
    out = tmp_path / "out.wav"
    arguments = ("enhance", tmp_path / "microphone.wav", "-o", out, "--far-end", tmp_path / "microphone.wav")
    result = run(*arguments)
    assert result.exit_code == 0
    assert result.stderr == (
        "Echo stays, because pvqe-s.int8.tflite can't cancel it: install pvqe-s-far, or name a model that can.\n"
    )
    noise_only, _ = soundfile.read(out, dtype="float32")
    np.testing.assert_allclose(noise_only, Enhancer(model).enhance(far, 16_000), atol=1e-6)
    far_end_model(models / "pvqe-s-far.fp32.onnx", 1, -1)
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert np.abs(soundfile.read(out)[0]).max() < 1e-5


@pytest.mark.parametrize("link", [False, True])
def test_the_far_end_is_never_overwritten(run, fixtures, tmp_path, link):
    far_end, target = tmp_path / "far.flac", tmp_path / "far.flac"
    soundfile.write(far_end, soundfile.read(fixtures / "ls2033_speech.opus")[0], 16_000)
    before = far_end.read_bytes()
    if link:
        target = tmp_path / "link.flac"
        target.symlink_to(far_end)
    result = run("enhance", fixtures / "ls3080_speech.opus", "--far-end", far_end, "-o", target)
    assert result.exit_code == 1 and "is the far end, and is never overwritten" in result.stderr
    assert far_end.read_bytes() == before


def test_of_a_far_end_that_breaks_off_it_is_told(run, fixtures, tmp_path):
    far_end = tmp_path / "far.wav"
    soundfile.write(far_end, soundfile.read(fixtures / "ls2033_speech.opus")[0][:16_000], 16_000)
    far_end.write_bytes(far_end.read_bytes()[:-9_000])
    result = run("enhance", fixtures / "ls3080_speech.opus", "--far-end", far_end, "-o", tmp_path / "a.wav")
    assert result.exit_code == 0
    assert result.stderr.count(f"{far_end}: it is shorter than it says") == 1
