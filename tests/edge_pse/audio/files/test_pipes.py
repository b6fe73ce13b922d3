"""WAV and FLAC through pipes: of unknown length, of wrong length, damaged, and enhanced as they come."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import Enhancer, enhance_file
from edge_pse.audio.files import AudioReader
from edge_pse.audio.pcm import SampleFormat
from edge_pse.errors import AudioError

LIST = struct.pack("<4sI4s4sI6s", b"LIST", 18, b"INFO", b"INAM", 6, b"a name")


class Pipe(io.RawIOBase):
    """Gives a few bytes at a time and can't be sought; what is written is kept."""

    def __init__(self, content=b"", most=1_000):
        self._left, self._most, self.written = io.BytesIO(content), most, b""

    def readable(self):
        return True

    def read(self, size=-1):
        return self._left.read(min(size, self._most))

    def write(self, content):
        self.written += bytes(content)
        return len(content)


def wave(
    samples, rate=16_000, coding="s16le", riff=0xFFFF_FFFF, data=0xFFFF_FFFF, before=b"", behind=b"", tag=1
):
    """A WAV whose sizes are what is asked for."""
    form = SampleFormat.named(coding)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    frame = channels * form.width_bytes
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", riff, b"WAVE", b"fmt ", 16, tag, channels, rate, rate * frame, frame,
        8 * form.width_bytes,
    )  # fmt: skip
    return head + before + struct.pack("<4sI", b"data", data) + form.encode(samples.ravel()) + behind


def written(samples, form, coding, rate=16_000):
    whole = io.BytesIO()
    soundfile.write(whole, samples, rate, coding, format=form)
    return whole.getvalue()


def read(content, most=1_000):
    with AudioReader(Pipe(content, most)) as reader:
        return np.concatenate(list(reader.blocks())), reader


@pytest.fixture(scope="module")
def speech(recording):
    return recording("ls367_speech")[16_000:64_000]


@pytest.mark.parametrize("data", [0, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 96_000])
@pytest.mark.parametrize("most", [1, 1_000, 1 << 20])
def test_a_wav_is_read_to_its_end_if_its_size_is_open_or_right(speech, data, most):
    samples, reader = read(wave(speech[:48_000], data=data, before=LIST), most)
    np.testing.assert_allclose(samples[:, 0], speech, atol=2.0**-16)
    assert reader.notes == [] and reader.riff_chunks == [LIST]
    assert reader.frames == (48_000 if data == 96_000 else None)


@pytest.mark.parametrize("coding", ["u8", "s16le", "s24le", "s32le", "f32le", "f64le", "mulaw", "alaw"])
def test_codings_of_a_wav(speech, coding):
    tag = {"f32le": 3, "f64le": 3, "alaw": 6, "mulaw": 7}.get(coding, 1)
    stereo = np.stack([speech, -speech], axis=1)
    samples, _ = read(wave(stereo, 44_100, coding, tag=tag))
    form = SampleFormat.named(coding)
    np.testing.assert_array_equal(samples.ravel(), form.decode(form.encode(stereo.ravel())))


@pytest.mark.parametrize(
    ("form", "coding"),
    [("WAV", "PCM_24"), ("WAVEX", "FLOAT"), ("RF64", "PCM_16"), ("W64", "PCM_32"), ("FLAC", "PCM_24")],
)
def test_what_libsndfile_writes_is_read_as_by_libsndfile(speech, form, coding):
    content = written(speech, form, coding)
    samples, reader = read(content)
    np.testing.assert_array_equal(samples[:, 0], soundfile.read(io.BytesIO(content), dtype="float32")[0])
    assert (reader.frames, reader.coding[1], reader.notes) == (speech.size, coding, [])


def test_chunks_behind_the_samples_are_not_heard_and_the_program_before_is_read_to_its_end(speech):
    odd = speech[:1_001]
    pipe = Pipe(wave(odd, coding="u8", data=1_001, behind=b"\0" + LIST * 20_000))
    with AudioReader(pipe) as reader:
        assert sum(map(len, reader.blocks())) == 1_001
    assert reader.notes == [] and pipe.read(1) == b""


def test_a_size_that_is_too_small_or_too_large_is_told(speech):
    samples, reader = read(wave(speech, data=8_000))
    assert len(samples) == speech.size and "never closed" in reader.notes[0]
    samples, reader = read(wave(speech, data=200_000))
    assert len(samples) == speech.size and "shorter than it says" in reader.notes[0]
    content = written(speech, "FLAC", "PCM_16")
    samples, reader = read(content[: len(content) // 2])
    assert 10_000 < len(samples) < speech.size and "shorter than it says" in reader.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The input is empty"),
        (b"not a sound " * 99, "neither WAV nor FLAC: put `ffmpeg "),
        (b"RIFF", "begins as WAV, but its header is damaged"),
        (b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff" + bytes(99), "header is damaged"),
        (b"RIFF\xff\xff\xff\xffWAVEbext\xff\xff\xff\x7f" + bytes(99), "header is damaged"),
        (b"riff" + b"\xff" * 99, "begins as W64, but its header is damaged"),
        (b"fLaC" + bytes(999), "begins as FLAC, but its header is damaged"),
        (wave(np.zeros(999), tag=0x11), r"a coding \(0x0011, 16 bits\)"),
        (wave(np.zeros(999), tag=3), r"a coding \(0x0003, 16 bits\)"),
        (wave(np.zeros((9, 2_000))), "header is damaged"),
        (wave(np.zeros(999), rate=100), "The input claims 100 samples a second"),
        (wave(np.zeros(0)), "The input holds no sound"),
        (wave(np.full(9_999, np.nan), coding="f32le", tag=3), "The input can't be used.*NaN"),
    ],
)
def test_what_is_no_sound_is_refused_in_a_sentence(content, message):
    with pytest.raises(AudioError, match=message):
        read(content)


@pytest.mark.parametrize("failing", [OSError(5, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_what_fails_while_it_is_read_is_not_taken_for_its_end(speech, form, failing):
    class Failing(Pipe):
        def read(self, size=-1):
            if content := super().read(size):
                return content
            raise failing

    content = written(speech, form, "PCM_16")
    expected = (
        (AudioError, "Can't read the input: Input/output error")
        if isinstance(failing, OSError)
        else (KeyboardInterrupt, "")
    )
    with (
        AudioReader(Failing(content[:30_000])) as reader,
        pytest.raises(expected[0], match=expected[1] or None),
    ):
        list(reader.blocks())


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_what_comes_out_of_a_pipe_is_what_an_array_gives(speech, model, female_profile, rate, form):
    content = written(soxr.resample(speech, 16_000, rate), form, "PCM_24", rate)
    samples = soundfile.read(io.BytesIO(content), dtype="float32")[0]
    target = Pipe()
    done = enhance_file(Pipe(content), target, model, female_profile)
    assert (done.frames, done.channels, done.sample_rate_hz) == (samples.size, 1, rate)
    assert target.written[:4] == {"WAV": b"RIFF", "FLAC": b"fLaC"}[form]
    out, reader = read(target.written)
    assert (reader.coding[1], reader.frames) == ("PCM_24", None)
    expected = Enhancer(model, female_profile).enhance(samples, rate)
    np.testing.assert_allclose(out[:, 0], expected, atol=1e-4)


def test_a_wav_to_a_pipe_has_open_sizes_and_the_texts_before_the_samples(speech, model, tmp_path):
    target = Pipe()
    enhance_file(Pipe(wave(speech, before=LIST)), target, model, strength=0)
    assert target.written == wave(speech, before=LIST)
    with soundfile.SoundFile(tmp_path / "in.ogg", "w", 16_000, 1) as file:
        file.title, file.artist = "a title", "odd"
        file.write(speech)
    enhance_file(tmp_path / "in.ogg", target := Pipe(), model)
    expected = b"LIST" + struct.pack("<I", 32) + b"INFOINAM\x08\0\0\0a title\0IART\x04\0\0\0odd\0"
    assert target.written[36:76] == expected
    enhance_file(tmp_path / "in.ogg", target := Pipe(), model, pipe_format="FLAC")
    assert soundfile.SoundFile(io.BytesIO(target.written)).title == "a title"


def test_files_and_pipes_go_together(speech, model, tmp_path):
    enhance_file(Pipe(wave(speech)), tmp_path / "from_pipe.flac", model)
    soundfile.write(tmp_path / "in.wav", speech, 16_000)
    enhance_file(tmp_path / "in.wav", tmp_path / "from_file.flac", model)
    enhance_file(tmp_path / "in.wav", target := Pipe(), model)
    expected = soundfile.read(tmp_path / "from_file.flac")[0]
    np.testing.assert_array_equal(soundfile.read(tmp_path / "from_pipe.flac")[0], expected)
    np.testing.assert_allclose(read(target.written)[0][:, 0], expected, atol=1e-4)


def test_channels_are_chosen_by_the_first_ten_seconds(speech, model):
    """The first has all of the speech, of which the choice hears nothing: it comes later."""
    noise = np.random.default_rng(0).normal(0, 0.001, (13 * 16_000, 2)).astype(np.float32)
    noise[16_000:64_000, 1] += speech
    late = noise.copy()
    late[10 * 16_000 :, 0] += 3 * speech
    done = [enhance_file(Pipe(wave(samples), 1 << 16), Pipe(), model) for samples in (noise, late)]
    assert [one.selection.channels for one in done] == [(1,), (1,)]
    noise = noise[:32_000]
    named = enhance_file(Pipe(wave(noise)), Pipe(), model, channel=1)
    assert named.selection.channels == (0,)
    both = enhance_file(Pipe(wave(noise)), target := Pipe(), model, keep_channels=True)
    assert both.channels == 2 and read(target.written)[0].shape == noise.shape
    with pytest.raises(AudioError, match="no channel 3"):
        enhance_file(Pipe(wave(noise)), Pipe(), model, channel=3)


def test_memory_does_not_grow_with_the_length_and_sound_leaves_while_it_comes(speech, model):
    class Endless(Pipe):
        """40 seconds, of which it is known at any time how much came out."""

        given, late, used = 0, [], []

        def read(self, size=-1):
            content = super().read(size)
            self.given += len(content)
            self.late.append(self.given - target.length)
            self.used.append(tracemalloc.get_traced_memory()[0])
            return content

    class Counted(Pipe):
        length = 0

        def write(self, content):
            self.length += len(content)
            return len(content)

    target = Counted()
    tracemalloc.start()
    try:
        enhance_file(Endless(wave(np.resize(speech, 20 * 16_000)), 3_200), target, model)
    finally:
        tracemalloc.stop()
    quarter = len(Endless.used) // 4
    assert abs(Endless.used[3 * quarter] - Endless.used[quarter]) < 50_000
    # A tenth of a second, what is read at once, and the delay of the network.
    assert max(Endless.late) < 2 * 16_000 * 0.3


def test_before_a_fault_all_that_came_is_written(speech, model):
    whole, broken = wave(speech, coding="f32le", tag=3), wave(speech[:20_800], coding="f32le", tag=3)
    enhance_file(Pipe(whole), expected := Pipe(), model)
    for form in ("WAV", "FLAC"):
        target = Pipe()
        with pytest.raises(AudioError, match="NaN"):
            enhance_file(Pipe(broken + b"\0\0\xc0\x7f" * 1_600), target, model, pipe_format=form)
        out, _ = read(target.written)
        assert len(out) == 20_800
        np.testing.assert_allclose(out[:20_000], read(expected.written)[0][:20_000], atol=1e-4)


def test_a_disk_that_is_full_is_said_and_a_reader_that_is_gone_is_no_error_of_the_sound(speech, model):
    class Full(Pipe):
        number = 28, "No space left on device"

        def write(self, content):
            if len(self.written) > 10_000:
                raise OSError(*self.number)
            return super().write(content)

    class Gone(Full):
        number = 32, "Broken pipe"

    for form in ("WAV", "FLAC"):
        with pytest.raises(AudioError, match=r"Can't write the output \(No space left on device\)"):
            enhance_file(Pipe(wave(speech)), Full(), model, pipe_format=form)
        with pytest.raises(BrokenPipeError):
            enhance_file(Pipe(wave(speech)), Gone(), model, pipe_format=form)


def test_what_taggers_put_behind_flac_is_not_heard_and_before_damage_all_is_read(speech):
    content = written(speech, "FLAC", "PCM_16")
    out, reader = read(content + b"TAG" + bytes(125))
    assert len(out) == len(speech) and reader.notes == []
    damaged = content[: len(content) // 2] + bytes(len(content) // 2)
    out, reader = read(damaged)
    assert 0.4 * len(speech) < len(out) < len(speech) and "shorter than it says" in reader.notes[0]
