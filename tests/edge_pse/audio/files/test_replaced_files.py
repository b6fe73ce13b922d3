"""A file that takes the place of another one: whose it is, who may read it, and what else is called like that."""

import os
import shutil
import stat

import pytest
import soundfile


@pytest.fixture
def voice(tmp_path, recording):
    path = tmp_path / "voice.wav"
    soundfile.write(path, recording("ls3080_speech")[:32_000], 16_000)
    return path


def test_a_write_protected_file_is_kept_even_from_root(refused, voice, names_in):
    voice.chmod(0o444)
    before = voice.read_bytes()
    assert "voice.wav (it is write-protected)" in refused("enhance", voice, "-o", voice)
    assert voice.read_bytes() == before
    assert names_in(voice.parent) == ["voice.wav"]


def test_owner_and_mode_stay(run, voice):
    if os.geteuid() != 0:
        pytest.skip("giving a file to somebody else needs root")
    os.chown(voice, 12_345, 54_321)
    voice.chmod(0o640)
    result = run("enhance", voice, "-o", voice)
    assert (result.exit_code, result.stderr) == (0, "")
    found = voice.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12_345, 54_321, 0o640)


def test_attributes_stay(run, voice):
    if not hasattr(os, "setxattr"):
        pytest.skip("this system has no extended attributes that Python can set")
    try:
        os.setxattr(voice, "user.origin", b"desk")
    except OSError as error:
        pytest.skip(f"this file system keeps no attributes: {error.strerror}")
    assert run("enhance", voice, "-o", voice).exit_code == 0
    assert os.getxattr(voice, "user.origin") == b"desk"


def test_the_other_name_of_a_file_keeps_its_sound_and_that_is_said(run, voice):
    other = voice.with_name("other.wav")
    os.link(voice, other)
    before = other.read_bytes()
    result = run("enhance", voice, "-o", voice)
    assert result.exit_code == 0
    assert "voice.wav had another name (a hard link), which keeps the sound of before" in result.stderr
    assert other.read_bytes() == before
    assert voice.read_bytes() != before


def test_nothing_but_a_file_is_replaced(refused, voice, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("making a device needs root")
    device = tmp_path / "null.wav"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError as error:
        pytest.skip(f"no device can be made here: {error.strerror}")
    assert "it is a device, a pipe or a socket" in refused("enhance", voice, "-o", device)
    assert stat.S_ISCHR(device.lstat().st_mode)


def test_names_that_are_not_utf_8(start, voice, tmp_path, names_in):
    folder = tmp_path / os.fsdecode(b"\xe9t\xe9")
    folder.mkdir()
    source, target = (folder / os.fsdecode(name) for name in (b"caf\xe9.wav", b"\xff\xfe\x1b[31m.flac"))
    voice.rename(source)
    process = start("enhance", source, "-o", target)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert out.startswith(f"Wrote {tmp_path}/\\udce9t\\udce9/\\udcff\\udcfe\\x1b[31m.flac: ")
    assert sorted(names_in(folder)) == sorted([source.name, target.name])
    process = start("enhance", source, "-o", f"{target}.nothing")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("Error: The name ")
    assert "\x1b" not in errors


def test_names_as_long_as_names_can_be(run, refused, voice, tmp_path, names_in):
    longest = tmp_path / ("é" * 125 + "x.wav")
    assert len(os.fsencode(longest.name)) == 255
    assert run("enhance", voice, "-o", longest).exit_code == 0
    assert run("enhance", longest, "-o", longest).exit_code == 0
    assert "File name too long" in refused("enhance", voice, "-o", tmp_path / ("x" * 252 + ".wav"))
    result = run("enhance", voice, "-o", str(tmp_path / ("x" * 256)) + "/")
    assert result.exit_code == 1 and "File name too long" in result.stderr
    assert names_in(tmp_path) == sorted(["voice.wav", longest.name])


def test_what_a_killed_command_left_is_swept(start, run, tmp_path, fixtures, names_in):
    source = tmp_path / "long.opus"
    shutil.copy(fixtures / "ls3080_enrollment.opus", source)
    process = start("enhance", source, "-o", tmp_path / "out.wav")
    while not list(tmp_path.glob(".edge-pse-*.tmp")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert len(names_in(tmp_path)) == 2
    assert run("enhance", source, "-o", tmp_path / "out.wav").exit_code == 0
    assert names_in(tmp_path) == ["long.opus", "out.wav"]
