"""Files that only ffmpeg reads, from the container of a telephone to that of a meeting."""

import os
import shutil
import subprocess
import tempfile

import numpy as np
import pytest
import soundfile

from edge_pse.audio.files import AudioReader, read_recordings
from edge_pse.audio.files.ffmpeg import FfmpegFile
from edge_pse.errors import AudioError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture
def converted(tmp_path, fixtures):
    """``converted("talk.m4a", "-c:a", "aac")`` -> a file that ffmpeg made of real speech."""

    def make(name, *options, source=fixtures / "ls367_speech.opus"):
        path = tmp_path / name
        command = ["ffmpeg", "-v", "error", "-nostdin", "-i", source, *options, f"file:{path}"]
        subprocess.run(command, check=True)
        return path

    return make


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("talk.m4a", ()),
        (
            "-rf.mp4",
            ("-filter_complex", "color=size=64x64:rate=5:duration=6[seen]", "-map", "[seen]", "-map", "0:a"),
        ),
        ("talk: 1.mkv", ("-c:a", "ac3", "-ar", "48000")),
        ("talk.webm", ("-c:a", "libopus")),
    ],
)
def test_their_sound_is_read(converted, recording, name, options):
    with AudioReader(converted(name, "-map_metadata", "-1", *options)) as reader:
        samples = np.concatenate(list(reader.blocks()))[:: reader.sample_rate_hz // 16_000, 0]
    speech = recording("ls367_speech")
    lags = np.fft.irfft(np.fft.rfft(samples, 1 << 18) * np.conj(np.fft.rfft(speech, 1 << 18)))
    assert lags.max() > 0.9 * np.sqrt(np.sum(samples**2) * np.sum(speech**2))


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("talk.m4a", ("-movflags", "+faststart")),
        ("talk.mkv", ("-c:a", "libopus")),
        ("talk.webm", ("-c:a", "libopus")),
        ("talk.aac", ()),
    ],
)
def test_one_that_breaks_off_is_told(converted, name, options):
    path = converted(name, *options)
    content = path.read_bytes()
    lengths = []
    for part in (content, content[: len(content) // 2]):
        path.write_bytes(part)
        with AudioReader(path) as reader:
            lengths.append(sum(map(len, reader.blocks())))
            assert len(reader.notes) == (len(part) < len(content)), reader.notes
    assert 0 < lengths[1] < 0.7 * lengths[0] and "cut off or damaged" in reader.notes[0]


@needs_ffmpeg
def test_enhance_and_enroll_take_them(run, converted, fixtures, tmp_path):
    talk = converted("talk.m4a", "-metadata", "title=A=B; é", "-metadata", "track=3")
    result = run("enhance", talk, "-o", tmp_path / "out.flac")
    assert (result.exit_code, result.stderr) == (0, "")
    with soundfile.SoundFile(tmp_path / "out.flac") as written:
        tags = written.copy_metadata()
        assert abs(written.frames / written.samplerate - 5.9) < 0.1
    assert (tags["title"], tags["tracknumber"]) == ("A=B; é", "3")
    voice = converted("voice.m4a", source=fixtures / "ls367_enrollment.opus")
    assert run("enroll", "me", "--from", voice).exit_code == 0
    assert "end it in .wav or .flac" in run("enhance", talk, "-o", tmp_path / "out.m4a").stderr


@needs_ffmpeg
def test_channels_are_chosen_as_in_other_files(converted, tmp_path, recording):
    speech = recording("ls367_speech")
    soundfile.write(tmp_path / "two.wav", np.stack([np.zeros_like(speech), speech], axis=1), 16_000)
    talk = converted("two.m4a", source=tmp_path / "two.wav")
    samples, _ = read_recordings([talk, shutil.copy(talk, tmp_path / "again.m4a")], 600)
    assert np.std(samples) > 0.8 * np.std(speech)


@needs_ffmpeg
def test_a_file_that_is_not_read_to_its_end_leaves_no_process(converted):
    found = FfmpegFile(converted("talk.m4a"))
    process = found._process
    assert len(found.read(100, "float32", True)) == 100
    found.close()
    assert process.returncode is not None


@needs_ffmpeg
@pytest.mark.parametrize(
    "content", [b"Dear Sir or Madam", b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"]
)
def test_what_ffmpeg_does_not_read_or_would_fetch_is_refused(refused, tmp_path, content):
    path = tmp_path / "letter.m3u8"
    path.write_bytes(content)
    assert "is not audio that can be read here (" in refused("enhance", path, "-o", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


@needs_ffmpeg
def test_memory_does_not_grow_with_the_length(converted, fixtures, tmp_path):
    talk = converted("talk.mkv", "-ar", "48000", source=fixtures / "ls3080_enrollment.opus")
    with AudioReader(talk) as reader:
        assert all(block.size <= 65_536 for block in reader.blocks())


def test_without_ffmpeg_two_commands_are_named(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    path = tmp_path / "my talk.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    sentence = refused("enhance", path, "-o", tmp_path / "out.wav")
    assert "`sudo apt-get install ffmpeg`" in sentence
    assert f"`ffmpeg -i 'file:{path}' 'file:my talk.wav'`" in sentence


@needs_ffmpeg
def test_they_are_read_where_no_temporary_file_can_be_written(converted, tmp_path, monkeypatch):
    talk = converted("talk.m4a")
    (tmp_path / "none.m4a").write_bytes(b"no sound " * 999)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with AudioReader(talk) as reader:
        assert sum(map(len, reader.blocks())) > 5 * reader.sample_rate_hz
    with pytest.raises(
        AudioError, match=r"none\.m4a is not audio that can be read here \(ffmpeg ended with status"
    ):
        AudioReader(tmp_path / "none.m4a")
