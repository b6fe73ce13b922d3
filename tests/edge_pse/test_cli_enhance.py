"""``edge-pse enhance``: real files through the real command, and what it leaves behind when it fails."""

import dataclasses
import os
import pty
import select
import signal
import time

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import Enhancer, Model, ProfileStore
from tests.edge_pse.learnt import weights_of, with_personal


@pytest.fixture
def anna(home, female_profile):
    """A profile in the store of the test."""
    profile = dataclasses.replace(female_profile, name="anna")
    ProfileStore().save(profile)
    return profile


@pytest.fixture
def noisy(tmp_path, recording, mix):
    """A file at 16 kHz; full precision, so that what comes out can be compared exactly."""
    path = tmp_path / "noisy.wav"
    mixture = mix(recording("ls367_speech"), recording("ls2033_speech"), 0)
    soundfile.write(path, mixture, 16_000, "FLOAT")
    return path


@pytest.fixture
def long_file(tmp_path, recording):
    """Two minutes of speech."""
    path = tmp_path / "long.wav"
    soundfile.write(path, np.resize(recording("ls3080_enrollment"), 120 * 16_000), 16_000)
    return path


@pytest.fixture
def unwritable(tmp_path):
    """A directory in which nobody can write, not even root."""
    directory = tmp_path / "unwritable"
    directory.mkdir(mode=0o555)
    if os.geteuid() == 0:
        directory = "/proc/sys"
    return directory


def samples_of(path):
    return soundfile.read(path, dtype="float32")[0]


def test_the_voice_of_the_profile_comes_out(run, noisy, anna, model, tmp_path, recording, si_sdr):
    out = tmp_path / "out.wav"
    result = run("enhance", noisy, "-o", out, "--profile", "anna")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Wrote {out}: 5.9 s in ")
    assert result.stderr == ""
    np.testing.assert_allclose(
        samples_of(out), Enhancer(model, anna).enhance(samples_of(noisy), 16_000), atol=1e-6
    )
    speech = recording("ls367_speech")
    assert si_sdr(speech, samples_of(out)) > si_sdr(speech, samples_of(noisy)) + 1


def test_personal_weights_are_used_and_can_be_left_out(run, noisy, anna, tmp_path):
    model = Model.load("pvqe-s.fp32")
    personal = with_personal(anna, model, weights_of(model, 0.05))
    ProfileStore().save(personal)
    both = ("enhance", noisy, "--model", "pvqe-s.fp32", "--profile", "anna", "--keep-channels", "-o")
    outputs = [tmp_path / "personal.wav", tmp_path / "general.wav"]
    assert run(*both, outputs[0]).exit_code == run(*both, outputs[1], "--general").exit_code == 0
    for output, profile in zip(outputs, (personal, anna), strict=True):
        expected = Enhancer(model, profile).enhance(samples_of(noisy), 16_000)
        np.testing.assert_allclose(samples_of(output), expected, atol=1e-4)
    assert np.abs(samples_of(outputs[0]) - samples_of(outputs[1])).max() > 0.01


def test_without_a_profile_the_network_hears_none(run, noisy, model, tmp_path):
    run("enhance", noisy, "-o", tmp_path / "out.wav")
    np.testing.assert_allclose(
        samples_of(tmp_path / "out.wav"), Enhancer(model).enhance(samples_of(noisy), 16_000), atol=1e-6
    )


def test_strength_zero_gives_the_input(run, noisy, tmp_path):
    assert run("enhance", noisy, "-o", tmp_path / "out.wav", "--strength", "0").exit_code == 0
    np.testing.assert_array_equal(samples_of(tmp_path / "out.wav"), samples_of(noisy))


def test_a_model_can_be_given_by_its_path(run, noisy, model, tmp_path):
    assert run("enhance", noisy, "-o", tmp_path / "out.wav", "--model", model.path).exit_code == 0


@pytest.mark.parametrize(("options", "channels"), [((), 1), (("--keep-channels",), 2)])
def test_rate_length_and_channels(run, tmp_path, recording, options, channels):
    speech = soxr.resample(recording("ls3080_speech"), 16_000, 44_100)[:100_001]
    soundfile.write(tmp_path / "in.flac", np.stack([speech, speech], axis=1), 44_100, "PCM_24")
    assert run("enhance", tmp_path / "in.flac", "-o", tmp_path / "out.flac", *options).exit_code == 0
    found = soundfile.info(tmp_path / "out.flac")
    assert (found.samplerate, found.frames, found.channels) == (44_100, 100_001, channels)
    assert found.subtype == "PCM_24"


def test_a_file_may_take_its_own_place(run, noisy, model, names_in):
    expected = Enhancer(model).enhance(samples_of(noisy), 16_000)
    assert run("enhance", noisy, "-o", noisy).exit_code == 0
    np.testing.assert_allclose(samples_of(noisy), expected, atol=1e-6)
    assert names_in(noisy.parent) == ["noisy.wav"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.wav", "-o", "out.wav"), "Can't read missing.wav: No such file"),
        ((".", "-o", "out.wav"), "out.wav is the name of a file: name a folder"),
        (("text.wav", "-o", "out.wav"), "text.wav is not audio"),
        (("empty.wav", "-o", "out.wav"), "empty.wav is empty"),
        (("silent.wav", "-o", "out.wav"), "silent.wav holds no sound"),
        (("nan.wav", "-o", "out.wav"), "NaN or infinite"),
        (("noisy.wav", "-o", "out"), "does not tell the format"),
        (("noisy.wav", "-o", "missing/out.wav"), "Can't write"),
        (("noisy.wav", "-o", "out.wav", "--profile", "nobody"), "There is no profile 'nobody'"),
        (("noisy.wav", "-o", "out.wav", "--profile", "stranger"), "was made with model pvqe-xl-"),
        (("noisy.wav", "-o", "out.wav", "--profile", "half"), "is damaged or not a voice profile"),
        (("noisy.wav", "-o", "out.wav", "--model", "nothing"), "There is no model 'nothing'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_left(
    refused, noisy, anna, monkeypatch, names_in, arguments, message
):
    directory = noisy.parent
    monkeypatch.chdir(directory)
    (directory / "text.wav").write_text("not a sound " * 99)
    (directory / "empty.wav").touch()
    soundfile.write(directory / "silent.wav", np.zeros(0), 16_000)
    soundfile.write(directory / "nan.wav", np.array([0.1, np.nan] * 40_000), 16_000, "FLOAT")
    store = ProfileStore()
    store.save(dataclasses.replace(anna, name="stranger", model_id="pvqe-xl-0123456789ab"))
    whole = (store.root / "anna.profile.json").read_bytes()
    (store.root / "half.profile.json").write_bytes(whole[: len(whole) // 2])
    before = names_in(directory)
    assert message in refused("enhance", *arguments)
    assert names_in(directory) == before


def test_wrong_use_is_told_apart(refused, noisy):
    assert "Missing option '-o'" in refused("enhance", noisy, status=2)
    assert "--strength" in refused("enhance", noisy, "-o", "out.wav", "--strength", "2", status=2)


def test_a_directory_without_permission(refused, noisy, unwritable):
    assert "Can't write" in refused("enhance", noisy, "-o", f"{unwritable}/out.wav")


def test_a_full_disk_leaves_what_was_there(refused, noisy, small_disk, names_in):
    target = small_disk / "out.wav"
    target.write_bytes(b"old")
    assert "make room on the disk" in refused("enhance", noisy, "-o", target)
    assert target.read_bytes() == b"old"
    assert names_in(small_disk) == ["out.wav"]


def test_as_a_process_it_fails_with_one_line_and_status_one(start, tmp_path):
    process = start("enhance", tmp_path / "missing.wav", "-o", tmp_path / "out.wav")
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert errors == f"Error: Can't read {tmp_path}/missing.wav: No such file or directory.\n"


def test_without_a_terminal_there_is_no_progress_bar(start, fixtures, tmp_path):
    process = start("enhance", fixtures / "ls3080_enrollment.opus", "-o", tmp_path / "out.wav")
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert out.startswith(f"Wrote {tmp_path}/out.wav: 14.7 s in ")
    assert "\x1b" not in out


@pytest.mark.parametrize(("name", "shown"), [("ls3080_enrollment", True), ("ls3080_speech", False)])
def test_on_a_terminal_long_files_have_a_progress_bar(start, fixtures, tmp_path, name, shown, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal, other_end = pty.openpty()
    process = start("enhance", fixtures / f"{name}.opus", "-o", tmp_path / "out.wav", stderr=other_end)
    drawn = ""
    while process.poll() is None:
        if select.select([terminal], [], [], 0.05)[0]:
            drawn += os.read(terminal, 1 << 12).decode(errors="replace")
    process.communicate()
    os.close(other_end)
    os.close(terminal)
    assert process.returncode == 0
    assert (f"{name}.opus" in drawn and "%" in drawn) is shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ended_half_way_it_leaves_nothing(start, long_file, names_in, number):
    directory = long_file.parent
    process = start("enhance", long_file, "-o", directory / "out.wav")
    deadline = time.monotonic() + 60
    while not list(directory.glob(".edge-pse-*.tmp")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, -number)
    assert "Traceback" not in errors
    assert names_in(directory) == ["long.wav"]
