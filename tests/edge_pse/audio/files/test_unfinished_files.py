"""Files that their recorder never closed: the samples are there, whatever the header says."""

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_pse.audio.files import AudioReader, chunks, read_recordings
from edge_pse.errors import AudioError


@pytest.fixture(scope="module")
def speech(recording):
    return recording("ls367_speech")[:32_000]


@pytest.fixture
def written(tmp_path, speech):
    """``written("WAV")`` -> the bytes of a whole file, 16 bits, one channel."""

    def write(form, coding="PCM_16"):
        path = tmp_path / "whole"
        soundfile.write(path, speech, 16_000, coding, format=form)
        return bytearray(path.read_bytes())

    return write


@pytest.fixture
def read(tmp_path):
    """Bytes of a file -> its samples, (n,), and what should be said of it."""

    def through_a_file(content):
        path = tmp_path / "it.wav"
        path.write_bytes(content)
        with AudioReader(path) as reader:
            samples = np.concatenate(list(reader.blocks()))[:, 0]
            return samples, reader.notes

    return through_a_file


def agrees(samples, speech):
    return samples.shape == speech.shape and np.abs(samples - speech).max() < 1e-4


@pytest.mark.parametrize("riff", [0, 36, 4088, 0xFFFF_FFFF])
@pytest.mark.parametrize("data", [0, 36, 4052, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_file_is_read_to_its_end_whatever_sizes_it_claims(written, read, speech, riff, data):
    content = written("WAV")
    struct.pack_into("<I", content, 4, riff)
    struct.pack_into("<I", content, content.find(b"data") + 4, data)
    samples, notes = read(content)
    assert agrees(samples, speech)
    assert ("never closed" in " ".join(notes)) == (data < 0x7FFF_FFFF)


def zeros(content, *places):
    for at, size in places:
        content[at : at + size] = bytes(size)
    return content


@pytest.mark.parametrize(
    ("form", "places"),
    [
        ("RF64", lambda content: [(content.find(b"ds64") + 8, 24)]),
        ("W64", lambda content: [(16, 8), (content.find(b"data") + 16, 8)]),
        ("AIFF", lambda content: [(4, 4), (content.find(b"COMM") + 10, 4), (content.find(b"SSND") + 4, 4)]),
        ("CAF", lambda content: [(content.find(b"data") + 4, 8)]),
        ("AU", lambda content: [(8, 4)]),
    ],
)
def test_its_relatives_too(written, read, speech, form, places):
    content = written(form)
    samples, notes = read(zeros(content, *places(content)))
    assert agrees(samples, speech)
    assert len(notes) == 1


def test_of_a_flac_file_all_whole_blocks_are_read(tmp_path, speech):
    path = tmp_path / "it.flac"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        file.write(speech)
        file.flush()
        content = path.read_bytes()
    path.write_bytes(content)
    with AudioReader(path) as reader:
        assert reader.frames is None
        samples = np.concatenate(list(reader.blocks()))[:, 0]
    assert samples.size > speech.size - 5_000
    assert agrees(samples, speech[: samples.size])


def test_of_a_header_that_was_brought_up_to_date_now_and_then_the_rest_is_read_too(written, read, speech):
    content = written("WAV")
    struct.pack_into("<I", content, 4, 36 + 16_000)
    struct.pack_into("<I", content, content.find(b"data") + 4, 16_000)
    assert agrees(read(content)[0], speech)


@pytest.mark.parametrize(
    "behind", [b"LIST\x0c\0\0\0INFOIART\0\0\0\0", b"wxyz\x04\0\0\0abcd", b"TAG" + bytes(125), b"\0"]
)
def test_what_stands_behind_the_samples_is_no_sound(written, read, speech, behind):
    samples, notes = read(written("WAV") + behind)
    assert agrees(samples, speech)
    assert notes == []


def test_of_a_file_that_was_cut_off_the_rest_is_read_and_the_loss_said(written, read, speech):
    samples, notes = read(written("WAV")[:-20_000])
    np.testing.assert_allclose(samples, speech[:-10_000], atol=1e-4)
    assert "something of it is missing" in notes[0]


def test_a_file_without_a_sample_is_still_empty(written, read):
    content = written("WAV")
    with pytest.raises(AudioError, match="its length is zero"):
        read(zeros(content, (4, 4), (content.find(b"data") + 4, 4))[:44])


def test_beyond_four_gigabytes(tmp_path):
    """Nothing but holes, which need no room on the disk."""
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(0), 48_000, "PCM_16")
    with path.open("r+b") as file:
        file.truncate(44 + (5 << 30))
    with AudioReader(path) as reader:
        assert reader.frames == 5 << 29
        assert len(next(reader.blocks())) == 65_536


def test_the_command_says_so_and_enrolls_from_it(run, tmp_path, fixtures, recording, names_in):
    path = tmp_path / "voice.wav"
    soundfile.write(path, recording("ls367_enrollment"), 16_000)
    content = bytearray(path.read_bytes())
    path.write_bytes(zeros(content, (4, 4), (40, 4)))
    result = run("enhance", path, "-o", tmp_path / "out.wav")
    assert result.exit_code == 0
    assert result.stderr == f"{path}: its recorder never closed it; it was read to its end.\n"
    samples, _ = read_recordings([path], 600)
    assert len(samples) == recording("ls367_enrollment").size


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_header_stops_the_reader(tmp_path, written):
    """Any four bytes of a header replaced by any size: read or refused, with no file left open."""
    random = np.random.default_rng(7)
    before = open_files()
    for form in ("WAV", "RF64", "W64", "AIFF", "CAF", "AU"):
        whole = written(form)[:3_000]
        for _ in range(60):
            content = bytearray(whole)
            struct.pack_into(
                "<I", content, int(random.integers(0, 120)), int(random.choice([0, 1, 7, 2**31, 2**32 - 1]))
            )
            path = tmp_path / "odd.wav"
            path.write_bytes(content)
            descriptor = os.open(path, os.O_RDONLY)
            found = chunks.repaired(descriptor)
            chunks.beside_samples(descriptor)
            os.close(descriptor)
            if found is not None:
                assert len(found.read()) >= 24
                found.close()
    assert open_files() == before


@pytest.mark.parametrize(("closed", "note"), [(True, "shorter than it says"), (False, "never closed")])
def test_of_flac_that_breaks_off_all_is_read_that_is_there(written, read, speech, closed, note):
    content = written("FLAC")
    if not closed:  # the number of samples, in 36 bits
        content[21] &= 0xF0
        zeros(content, (22, 4))
    samples, notes = read(content[: len(content) * 2 // 3])
    assert 16_000 < len(samples) < 24_000
    assert agrees(samples, speech[: len(samples)])
    assert len(notes) == 1 and note in notes[0]


def test_what_taggers_put_behind_flac_is_no_damage(written, read, speech):
    samples, notes = read(written("FLAC") + b"TAG" + bytes(125))
    assert agrees(samples, speech) and notes == []


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_ogg_that_breaks_off_is_told_and_what_is_chained_is_not_lost(written, read, speech, coding):
    content = written("OGG", coding)
    samples, notes = read(content)
    assert len(samples) == len(speech) and notes == []
    samples, notes = read(content[: len(content) * 2 // 3])
    assert len(samples) < len(speech)
    assert len(notes) == 1 and "cut off or damaged" in notes[0]
    samples, notes = read(content + content)
    if shutil.which("ffmpeg") is None:
        assert len(notes) == 1 and "something of it is missing" in notes[0]
    else:
        assert len(samples) >= 1.98 * len(speech) and notes == []


def test_an_mp3_that_breaks_off_is_told(written, read, speech):
    content = written("MP3", "MPEG_LAYER_III")
    samples, notes = read(content)
    assert len(samples) == len(speech) and notes == []
    samples, notes = read(content[: len(content) * 2 // 3])
    assert 16_000 < len(samples) < 24_000
    assert len(notes) == 1 and "shorter than it says" in notes[0]


def test_a_voice_that_breaks_off_is_told_where_it_is_enrolled_and_named(run, fixtures, tmp_path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, soundfile.read(fixtures / "ls367_enrollment.opus")[0], 16_000)
    path.write_bytes(path.read_bytes()[:-20_000])
    for arguments in (("enroll", "anna", "--from", path), ("who", path)):
        result = run(*arguments)
        assert result.exit_code == 0
        assert result.stderr.count(f"{path}: it is shorter than it says") == 1


@pytest.mark.parametrize("form", ["WAV", "RF64", "AIFF"])
@pytest.mark.parametrize("missing", [0, 10, 90_000])
def test_a_foreign_chunk_behind_the_samples_is_no_sound_though_it_is_cut_off(
    written, read, speech, form, missing
):
    size = struct.pack(">I" if form == "AIFF" else "<I", 96_000)
    foreign = b"DGDA" + size + np.random.default_rng(7).bytes(96_000)
    samples, notes = read(written(form) + foreign[: len(foreign) - missing])
    assert agrees(samples, speech)
    assert notes == []


@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_samples_behind_an_old_size_are_taken_for_no_chunk(written, read, speech, coding):
    content = written("WAV", coding)
    data = content.find(b"data") + 4
    whole, _ = read(content)
    for claimed in range(1_200, 40_000, 1_200):
        struct.pack_into("<I", content, data, claimed)
        assert read(content)[0].size == whole.size == speech.size
