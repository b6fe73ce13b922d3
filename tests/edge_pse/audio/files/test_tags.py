"""Title, artist, date and so on, which are the recording's and not the sound's."""

import numpy as np
import pytest
import soundfile

TAGS = {
    "title": "Gespräch Ж",
    "artist": "日本の人",
    "date": "2024-01-02",
    "comment": "im Büro",
    "album": "Mai",
    "genre": "Speech",
}
KINDS = [
    ("a.wav", "PCM_16", "WAV"),
    ("a.flac", "PCM_16", "FLAC"),
    ("a.ogg", "VORBIS", "OGG"),
    ("a.opus", "OPUS", "OGG"),
    ("a.mp3", "MPEG_LAYER_III", "MP3"),
]


@pytest.fixture
def tagged(tmp_path, recording):
    """``tagged("a.wav", "PCM_16", "WAV")`` -> a file of speech with the tags above."""

    def write(name, coding, form):
        path = tmp_path / name
        with soundfile.SoundFile(path, "w", 16_000, 1, coding, format=form) as file:
            for key, text in TAGS.items():
                setattr(file, key, text)
            file.write(recording("ls3080_speech")[:32_000])
        return path

    return write


def tags_of(path):
    with soundfile.SoundFile(path) as file:
        return {key: text for key, text in file.copy_metadata().items() if key in TAGS}


@pytest.mark.parametrize(("name", "coding", "form"), KINDS)
def test_they_stay_when_a_file_takes_its_own_place(run, tagged, name, coding, form):
    path = tagged(name, coding, form)
    before = tags_of(path)
    assert len(before) == len(TAGS)
    result = run("enhance", path, "-o", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert tags_of(path) == before


@pytest.mark.parametrize("name", [name for name, _, _ in KINDS])
def test_they_go_into_every_other_kind(run, tagged, tmp_path, name):
    source = tagged("source.flac", "PCM_16", "FLAC")
    result = run("enhance", source, "-o", tmp_path / name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert tags_of(tmp_path / name) == TAGS


def test_what_has_no_place_is_named(run, tagged, tmp_path):
    result = run("enhance", tagged("a.flac", "PCM_16", "FLAC"), "-o", tmp_path / "out.au")
    assert result.exit_code == 0
    for key in TAGS:
        assert key in result.stderr


def test_what_broadcasters_and_windows_write_into_wav_files_stays_byte_by_byte(run, tmp_path, recording):
    path = tmp_path / "a.wav"
    soundfile.write(path, recording("ls3080_speech")[:32_000], 16_000)
    chunks = {
        b"bext": bytes(320) + b"2024-01-0212:34:56" + bytes(265),
        b"LIST": b"INFOINAM\x04\0\0\0B\xfcro",
        b"iXML": b"<SCENE>1</SCENE>",
        b"cue ": b"\x01\0\0\0" + b"\x01\0\0\0" + b"\x10\0\0\0data" + bytes(12),
    }
    content = path.read_bytes() + b"".join(
        name + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2) for name, body in chunks.items()
    )
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    result = run("enhance", path, "-o", path)
    assert (result.exit_code, result.stderr) == (0, "")
    after = path.read_bytes()
    assert int.from_bytes(after[4:8], "little") == len(after) - 8
    for name, body in chunks.items():
        assert name + len(body).to_bytes(4, "little") + body in after
    assert soundfile.info(path).frames == 32_000


def test_the_cover_of_an_mp3_stays(run, tmp_path, tagged):
    path = tagged("a.mp3", "MPEG_LAYER_III", "MP3")
    cover = b"ID3\x03\0\0\0\0\x02\x0aAPIC\0\0\x01\0\0\0" + bytes(range(256))
    path.write_bytes(cover + path.read_bytes())
    assert run("enhance", path, "-o", path).exit_code == 0
    assert path.read_bytes().startswith(cover)
    samples, _ = soundfile.read(path)
    assert np.abs(samples).max() > 0.01
