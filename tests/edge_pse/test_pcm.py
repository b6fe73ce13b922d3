"""Samples as bytes: what other programs write is read, and what is written they read."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from edge_pse.audio.pcm import SampleFormat, to_float, to_pcm
from edge_pse.errors import AudioError

ALL = (
    "u8", "s8", "s16le", "s16be", "u16le", "u16be", "s24le", "s24be", "u24le", "u24be", "s24_le", "s24_be", "s32le",
    "s32be", "u32le", "u32be", "f32le", "f32be", "f64le", "f64be", "mulaw", "alaw",
)  # fmt: skip
LIBSNDFILE = {
    "u8": "PCM_U8", "s8": "PCM_S8", "s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT", "f64": "DOUBLE",
    "mulaw": "ULAW", "alaw": "ALAW",
}  # fmt: skip


@pytest.fixture
def speech(recording):
    """Loud: some of it is beyond full scale."""
    return 1.2 * recording("ls367_speech")[20_000:24_000] / np.abs(recording("ls367_speech")).max()


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_and_read_is_the_sound_to_the_precision_of_its_format(name, speech):
    form = SampleFormat.named(name)
    content = form.encode(speech)
    assert len(content) == speech.size * form.width_bytes
    read = form.decode(content)
    assert read.dtype == np.float32
    if form.kind == "f":
        np.testing.assert_array_equal(read, speech)
    else:
        full = np.clip(speech, -1, 1 - 2.0 ** (1 - form.bits))
        step = 2.0**-form.bits if form.kind in "su" else 0.02
        np.testing.assert_allclose(read, full, atol=step * (1 + 1e-6) + 2.0**-24)
    np.testing.assert_array_equal(form.decode(form.encode(read)), read)


@pytest.mark.parametrize(
    "name", [name for name in ALL if name.removesuffix("le").removesuffix("be") in LIBSNDFILE]
)
def test_libsndfile_reads_the_same(name, speech):
    content = SampleFormat.named(name).encode(speech)
    subtype = LIBSNDFILE[name.removesuffix("le").removesuffix("be")]
    endian = "BIG" if name.endswith("be") else "LITTLE"
    # Formats of one byte know no order.
    endian = endian if len(content) > speech.size else "FILE"
    read, _ = soundfile.read(
        io.BytesIO(content),
        samplerate=16_000,
        channels=1,
        format="RAW",
        subtype=subtype,
        endian=endian,
        dtype="float32",
    )
    np.testing.assert_array_equal(SampleFormat.named(name).decode(content), read)


@pytest.mark.parametrize("name", [name for name in ALL if "_" not in name])
def test_ffmpeg_means_the_same_by_the_name(name, speech):
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg: apt-get install ffmpeg")
    content = SampleFormat.named(name).encode(speech)
    command = ["ffmpeg", "-v", "error", "-ac", "1", "-f", name, "-i", "-", "-f", "f32le", "-"]
    read = np.frombuffer(
        subprocess.run(command, input=content, capture_output=True, check=True).stdout, "<f4"
    )
    np.testing.assert_allclose(SampleFormat.named(name).decode(content), read, atol=2.0**-24)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("S16_LE", "s16le"), ("S24_LE", "s24_le"), ("S24_3LE", "s24le"), ("S24_3BE", "s24be"), ("U8", "u8"),
        ("FLOAT_LE", "f32le"), ("FLOAT64_BE", "f64be"), ("MU_LAW", "mulaw"), ("A_LAW", "alaw"), ("S32_BE", "s32be"),
        ("s24", "s24le"), ("f32", "f32le"), ("ul", "mulaw"), ("al", "alaw"),
    ],
)  # fmt: skip
def test_names_of_arecord_and_sox(theirs, ours):
    assert SampleFormat.named(theirs) == SampleFormat.named(ours)


def test_24_bits_in_four_bytes_are_the_lowest_whatever_is_in_the_fourth():
    assert SampleFormat.named("S24_LE").decode(b"\x00\x00\x40\x7f")[0] == 0.5
    assert SampleFormat.named("S24_BE").decode(b"\x7f\xc0\x00\x00")[0] == -0.5
    assert SampleFormat.named("S24_LE").encode(np.float32([-0.5])) == b"\x00\x00\xc0\xff"


def test_16_bits_are_those_of_devices(speech):
    pcm = to_pcm(speech)
    form = SampleFormat.named("s16le")
    assert form.encode(speech) == pcm.astype("<i2").tobytes()
    np.testing.assert_array_equal(form.decode(pcm.astype("<i2").tobytes()), to_float(pcm))


def test_an_unknown_name_is_refused_with_names_that_are_known():
    with pytest.raises(AudioError, match=r"no format 's17le'.*s16le.*S16_LE"):
        SampleFormat.named("s17le")
