"""Files of real audio: what is read, what is written, and what is left when either fails."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse.audio.files import AudioReader, AudioWriter, read_recordings
from edge_pse.errors import AudioError


@pytest.fixture
def speech(recording):
    """Samples at 48 kHz, (n, 1)."""
    return soxr.resample(recording("ls367_speech"), 16_000, 48_000)[:, None]


@pytest.fixture
def source(tmp_path, speech):
    path = tmp_path / "source.wav"
    soundfile.write(path, speech, 48_000, "PCM_24")
    return path


def copy(source, target, channels=1):
    with AudioReader(source) as reader, AudioWriter(target, reader, channels) as writer:
        for block in reader.blocks():
            writer.write(block)


def read_in_blocks(path):
    with AudioReader(path) as reader:
        blocks = list(reader.blocks())
    assert len(blocks) > 1
    return np.concatenate(blocks)


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        ("a.wav", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.ogg", "VORBIS"),
        ("a.mp3", "MPEG_LAYER_III"),
        ("a.caf", "ALAC_16"),
        ("a.aiff", "PCM_24"),
    ],
)
def test_blocks_hold_what_the_whole_file_holds(tmp_path, speech, name, coding):
    path = tmp_path / name
    soundfile.write(path, np.tile(speech, (2, 2)), 48_000, coding)
    whole, _ = soundfile.read(path, dtype="float32")
    blocks = read_in_blocks(path)
    assert blocks.shape == (2 * len(speech), 2)
    assert np.abs(blocks - whole).max() < 1e-5


def test_the_kind_of_a_file_is_found_in_it_and_not_in_its_name(tmp_path, source, speech):
    renamed = source.rename(tmp_path / "noise.raw")
    np.testing.assert_allclose(read_in_blocks(renamed), speech, atol=1e-6)


def test_a_block_of_many_channels_is_no_larger(tmp_path):
    path = tmp_path / "many.wav"
    soundfile.write(path, np.zeros((8_000, 64)), 192_000)
    with AudioReader(path) as reader:
        assert max(block.size for block in reader.blocks()) <= 65_536


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def write_bytes(path, content):
    path.write_bytes(content)


def write_float(path, samples, rate=16_000):
    soundfile.write(path, np.asarray(samples, np.float32), rate, "FLOAT")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "Can't read .*bad.wav: No such file"),
        (lambda path: path.mkdir(), "is a directory: name an audio file"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: write_bytes(path, b""), "is empty"),
        (lambda path: write_bytes(path, b"Dear Sir or Madam, " * 99), "is not audio that can be read here"),
        (lambda path: write_float(path, []), "its length is zero"),
        (lambda path: write_float(path, [0.1, np.nan]), "bad.wav can't be used.* NaN or infinite"),
        (lambda path: write_float(path, [0.1, -np.inf]), "bad.wav can't be used.* NaN or infinite"),
        (lambda path: write_float(path, [120.0, -9_000.0]), "divide by their full scale"),
        (lambda path: write_float(path, [0.1] * 9, 11), "claims 11 samples a second"),
        (lambda path: write_float(path, [0.1] * 9, 2_000_000_000), "claims 2000000000 samples a second"),
    ],
)
def test_what_is_no_audio_is_refused(tmp_path, make, message):
    path = tmp_path / "bad.wav"
    make(path)
    before = open_files()
    with pytest.raises(AudioError, match=message), AudioReader(path) as reader:
        list(reader.blocks())
    assert open_files() == before


def test_a_damaged_part_is_told_with_its_place(tmp_path, speech):
    path = tmp_path / "damaged.flac"
    soundfile.write(path, speech, 48_000)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"damaged [2-3]\.\d s from its start"):
        read_in_blocks(path)


def test_a_short_file_that_is_damaged_is_told_its_place_too(tmp_path, recording):
    path = tmp_path / "damaged.flac"
    soundfile.write(path, recording("ls367_speech")[:64_000], 16_000)  # less than a block
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    with (
        pytest.raises(AudioError, match=r"damaged [1-2]\.\d s from its start"),
        AudioReader(path) as reader,
    ):
        list(reader.blocks())


@pytest.mark.parametrize(
    ("source_name", "source_coding", "target_name", "expected"),
    [
        ("a.wav", "PCM_24", "b.wav", ("WAV", "PCM_24")),
        ("a.wav", "PCM_24", "b.FLAC", ("FLAC", "PCM_24")),
        ("a.wav", "FLOAT", "b.flac", ("FLAC", "PCM_16")),
        ("a.wav", "FLOAT", "b.aif", ("AIFF", "FLOAT")),
        ("a.wav", "PCM_16", "b.ogg", ("OGG", "VORBIS")),
        ("a.wav", "PCM_16", "b.opus", ("OGG", "OPUS")),
        ("a.wav", "PCM_16", "b.mp3", ("MP3", "MPEG_LAYER_III")),
        ("a.mp3", "MPEG_LAYER_III", "b.wav", ("WAV", "PCM_16")),
    ],
)
def test_the_name_chooses_the_format_and_the_source_the_coding(
    tmp_path, speech, source_name, source_coding, target_name, expected
):
    soundfile.write(tmp_path / source_name, speech, 48_000, source_coding)
    copy(tmp_path / source_name, tmp_path / target_name)
    found = soundfile.info(tmp_path / target_name)
    assert (found.format, found.subtype) == expected
    assert (found.frames, found.samplerate, found.channels) == (len(speech), 48_000, 1)
    written, _ = soundfile.read(tmp_path / target_name, dtype="float32")
    assert np.corrcoef(written, speech[:, 0])[0, 1] > 0.95


def test_what_exceeds_full_scale_is_clipped(tmp_path, source):
    with AudioReader(source) as reader, AudioWriter(tmp_path / "out.wav", reader, 1) as writer:
        writer.write(np.array([[1.5], [-1.5], [0.25]], np.float32))
    written, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    np.testing.assert_allclose(written, [1, -1, 0.25], atol=1e-4)


def test_a_file_can_take_its_own_place(source, speech, names_in):
    copy(source, source)
    np.testing.assert_allclose(read_in_blocks(source), speech, atol=1e-6)
    assert names_in(source.parent) == ["source.wav"]


def test_the_permissions_are_the_usual_ones_or_those_of_the_file_before(tmp_path, source):
    target = tmp_path / "out.wav"
    before = os.umask(0o027)
    try:
        copy(source, target)
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
        target.chmod(0o600)
        copy(source, target)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_link_goes_on_pointing_at_the_file_that_is_written(tmp_path, source, speech):
    real, link = tmp_path / "real.wav", tmp_path / "link.wav"
    real.touch()
    link.symlink_to(real)
    copy(source, link)
    assert link.is_symlink()
    np.testing.assert_allclose(read_in_blocks(real), speech, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("out", "does not tell the format"),
        ("out.docx", "does not tell the format"),
        ("out.raw", "does not tell the format"),
        ("missing/out.wav", r"Can't write .*missing/out.wav \(No such file"),
        ("folder.wav", "it is a directory"),
        ("pipe.wav", "it is a device, a pipe or a socket"),
    ],
)
def test_what_can_not_be_written_is_refused_at_once(tmp_path, source, names_in, target, message):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    before = names_in(tmp_path)
    with AudioReader(source) as reader, pytest.raises(AudioError, match=message):
        AudioWriter(tmp_path / target, reader, 1)
    assert names_in(tmp_path) == before


def test_a_format_that_has_no_such_rate_is_refused(tmp_path, names_in):
    write_float(tmp_path / "fast.wav", np.zeros(9), 96_000)
    with (
        AudioReader(tmp_path / "fast.wav") as reader,
        pytest.raises(AudioError, match=r"only supports sample rates.*another place or format"),
    ):
        AudioWriter(tmp_path / "out.mp3", reader, 1)
    assert names_in(tmp_path) == ["fast.wav"]


@pytest.mark.parametrize(
    ("target", "rate_hz"), [("out.ogg", 384_000), ("out.svx", 96_000), ("out.wve", 16_000)]
)
def test_sound_does_not_come_to_another_rate_in_a_format_that_has_not_its_own(
    tmp_path, names_in, target, rate_hz
):
    write_float(tmp_path / "source.wav", np.zeros(rate_hz), rate_hz)
    with pytest.raises(
        AudioError, match=rf"its format has no {rate_hz} samples a second.*Nothing was changed"
    ):
        copy(tmp_path / "source.wav", tmp_path / target)
    assert names_in(tmp_path) == ["source.wav"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_exception_leaves_the_file_that_was_there(tmp_path, source, names_in, error):
    target = tmp_path / "out.wav"
    target.write_bytes(b"old")
    with AudioReader(source) as reader, pytest.raises(error), AudioWriter(target, reader, 1) as writer:
        writer.write(next(reader.blocks()))
        raise error
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.wav", "source.wav"]


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        ("a.wav", "PCM_16"),
        ("a.flac", "PCM_16"),
        ("a.ogg", "VORBIS"),
        ("a.opus", "OPUS"),
        ("a.mp3", "MPEG_LAYER_III"),
        ("a.caf", "ALAC_16"),
    ],
)
def test_a_full_disk_leaves_the_file_that_was_there(tmp_path, small_disk, names_in, name, coding):
    noise = 0.1 * np.random.default_rng(5).standard_normal((600_000, 1)).astype(np.float32)
    form = "OGG" if name == "a.opus" else None
    soundfile.write(tmp_path / name, noise, 48_000, coding, format=form)
    target = small_disk / name
    target.write_bytes(b"old")
    with pytest.raises(AudioError, match=r"make room on the disk.*Nothing was changed"):
        copy(tmp_path / name, target)
    assert target.read_bytes() == b"old"
    assert names_in(small_disk) == [name]


def test_recordings_come_one_after_the_other(tmp_path, fixtures, recording):
    samples, rate = read_recordings([fixtures / "ls367_speech.opus", fixtures / "ls2033_speech.opus"], 600)
    assert rate == 16_000
    expected = np.concatenate([recording("ls367_speech"), recording("ls2033_speech")])
    np.testing.assert_array_equal(samples[:, 0], expected)


def test_recordings_of_other_rates_and_channels_become_one_of_the_first_rate(
    source, fixtures, recording, speech
):
    other = source.with_name("stereo.wav")
    voice = recording("ls2033_speech")
    soundfile.write(other, np.stack([voice, np.zeros_like(voice)], axis=1), 16_000, "FLOAT")
    samples, rate = read_recordings([source, other], 600)
    assert rate == 48_000
    assert samples.shape == (len(speech) + 3 * voice.size, 1)
    np.testing.assert_allclose(samples[: len(speech)], speech, atol=1e-6)
    back = soxr.resample(samples[len(speech) :, 0], 48_000, 16_000)
    assert np.std(back - voice) < 0.04 * np.std(voice)


def test_one_recording_keeps_its_channels(tmp_path, speech):
    soundfile.write(tmp_path / "stereo.wav", np.hstack([speech, -speech]), 48_000, "FLOAT")
    samples, _ = read_recordings([tmp_path / "stereo.wav"], 600)
    np.testing.assert_array_equal(samples, np.hstack([speech, -speech]))


def test_each_of_several_recordings_has_its_voice_where_it_is(tmp_path, speech):
    silence = np.zeros_like(speech)
    soundfile.write(tmp_path / "left.wav", np.hstack([speech, silence]), 48_000, "FLOAT")
    soundfile.write(tmp_path / "right.wav", np.hstack([silence, speech]), 48_000, "FLOAT")
    paths = [tmp_path / "left.wav", tmp_path / "right.wav"]
    samples, _ = read_recordings(paths, 600)
    np.testing.assert_array_equal(samples, np.concatenate([speech, speech]))
    named, _ = read_recordings(paths, 600, channel=1)
    np.testing.assert_array_equal(named, np.concatenate([speech, silence]))


def test_a_recording_that_is_too_long_is_refused(source):
    with pytest.raises(AudioError, match=r"source.wav is longer than 0 minutes"):
        read_recordings([source], 2.0)


def test_of_recordings_of_any_length_the_first_seconds_are_taken(fixtures, recording, tmp_path):
    speech = recording("ls367_speech")
    soundfile.write(tmp_path / "stereo.wav", np.stack([speech, speech], axis=1), 16_000)
    samples, _ = read_recordings([tmp_path / "stereo.wav"], 2.5, cut=True)
    assert samples.shape == (40_000, 2)
    paths = [fixtures / "ls367_speech.opus", fixtures / "ls2033_speech.opus", tmp_path / "missing.wav"]
    whole, _ = read_recordings(paths[:2], 600)
    cut, _ = read_recordings(paths, len(speech) / 16_000 + 1, cut=True)
    np.testing.assert_array_equal(cut, whole[: len(speech) + 16_000])


@pytest.mark.parametrize("name", ["out.xi", "out.wve", "out.svx"])
def test_a_format_without_the_rate_is_refused_before_anything_is_made(tmp_path, names_in, name):
    write_float(tmp_path / "source.wav", np.zeros(9), 96_000)
    with (
        AudioReader(tmp_path / "source.wav") as reader,
        pytest.raises(AudioError, match="has no 96000 samples"),
    ):
        AudioWriter(tmp_path / name, reader, 1)
    assert names_in(tmp_path) == ["source.wav"]


@pytest.mark.parametrize(
    ("ending", "coding", "advice"),
    [
        ("voc", "ULAW", r"\.wav or \.flac"),
        ("voc", "ALAW", r"\.wav or \.flac"),
        ("wav", "MS_ADPCM", r"\.flac"),
    ],
)
def test_a_coding_that_comes_out_at_another_length_is_refused_before_anything_is_made(
    tmp_path, speech, names_in, ending, coding, advice
):
    source = tmp_path / f"source.{ending}"
    soundfile.write(source, speech, 8_000, coding, format=ending)
    with (
        AudioReader(source) as reader,
        pytest.raises(AudioError, match=rf"another length; end the name in {advice}\. Nothing"),
    ):
        AudioWriter(tmp_path / f"out.{ending}", reader, 1)
    assert names_in(tmp_path) == [f"source.{ending}"]
    with AudioReader(source) as reader, AudioWriter(tmp_path / "out.flac", reader, 1) as writer:
        for block in reader.blocks():
            writer.write(block)


def test_a_recording_of_fewer_samples_than_channels_is_too_short(tmp_path):
    soundfile.write(tmp_path / "one.wav", np.zeros((1, 2)), 16_000)
    with pytest.raises(AudioError, match=r"one\.wav is 1 samples long: record at least 3 s"):
        read_recordings([tmp_path / "one.wav"], 60)
