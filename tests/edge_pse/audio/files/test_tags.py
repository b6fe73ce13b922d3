"""Title, artist, date and so on, which are the recording's and not the sound's."""

import base64
import subprocess

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


def block(kind, content):
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def texts(*entries):
    parts = [b"a program", len(entries).to_bytes(4, "little"), *(text.encode() for text in entries)]
    return b"".join(
        part if number == 1 else len(part).to_bytes(4, "little") + part for number, part in enumerate(parts)
    )


@pytest.fixture
def flac(tmp_path, recording):
    """``flac("album.flac", b"...")`` -> a file of speech with these blocks behind the first one."""

    def write(name, *blocks, frames=32_000):
        path = tmp_path / name
        soundfile.write(path, recording("ls3080_speech")[:frames], 16_000)
        content = path.read_bytes()
        at = 4 + 4 + 34  # the first one says the format
        path.write_bytes(content[:at] + b"".join(blocks) + content[at:])
        return path

    return write


PICTURE = (
    b"\0\0\0\x03" + b"\0\0\0\x09image/png" + bytes(20) + (70_000).to_bytes(4, "big") + b"\x07\xd6" * 35_000
)
SPOKEN = ("TITLE=Gespräch Ж", "ALBUMARTIST=日本", "DESCRIPTION=im Büro", "COMPOSER=niemand")


def test_all_texts_and_pictures_of_flac_stay(run, flac, tmp_path):
    source = flac("a.flac", block(4, texts(*SPOKEN)), block(6, PICTURE), block(1, bytes(999)))
    plain = flac("plain.flac")
    for path in (source, plain):
        result = run("enhance", path, "-o", path)
        assert (result.exit_code, result.stderr) == (0, "")
    content = source.read_bytes()
    assert block(6, PICTURE) in content and block(4, texts(*SPOKEN)) in content
    samples, rate_hz = soundfile.read(source)
    np.testing.assert_array_equal(samples, soundfile.read(plain)[0])
    assert (rate_hz, samples.shape) == (16_000, (32_000,))


def test_texts_of_channels_that_are_gone_do_not_stay(run, flac):
    path = flac("a.flac", block(4, texts("TITLE=a", "waveformatextensible_channel_mask=0x0003")))
    assert run("enhance", path, "-o", path).exit_code == 0
    assert block(4, texts("TITLE=a")) in path.read_bytes()


@pytest.mark.parametrize(
    "damaged",
    [texts(*SPOKEN)[:-9], b"", b"\xff" * 8, texts("TITLE=a")[:13] + b"\xff\xff\xff\xff", bytes(99)],
)
def test_texts_that_are_damaged_do_not_keep_a_file_from_being_written(run, flac, damaged):
    path = flac("a.flac", block(4, damaged))
    assert run("enhance", path, "-o", path).exit_code == 0
    assert soundfile.info(path).frames == 32_000


@pytest.mark.parametrize(
    ("options", "name"), [((), "a.ogg"), (("-c:a", "libopus"), "a.opus"), ((), "a.flac")]
)
def test_the_comment_as_ffmpeg_writes_it_is_a_comment(run, ffmpeg, fixtures, tmp_path, options, name):
    source, speech = tmp_path / name, fixtures / "ls3080_speech.opus"
    named = ("-metadata", "comment=im Büro")
    subprocess.run(["ffmpeg", "-v", "error", "-i", speech, "-t", "1", *named, *options, source], check=True)
    for target in (tmp_path / "out.wav", tmp_path / "out.mp3", source):
        assert run("enhance", source, "-o", target).exit_code == 0
        assert target.read_bytes().count("im Büro".encode()) == 1


def test_what_taggers_write_into_aiff_stays(run, tmp_path, recording):
    path = tmp_path / "a.aiff"
    soundfile.write(path, recording("ls3080_speech")[:32_000], 16_000)
    body = b"ID3\x04\0\0\0\0\0\x0d" + b"TPE1\0\0\0\x03\0\0\x03Ed"
    chunk = b"ID3 " + len(body).to_bytes(4, "big") + body + b"\0" * (len(body) % 2)
    content = path.read_bytes() + chunk
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "big") + content[8:])
    assert run("enhance", path, "-o", tmp_path / "out.wav").exit_code == 0
    assert chunk not in (tmp_path / "out.wav").read_bytes()
    result = run("enhance", path, "-o", path)
    assert (result.exit_code, result.stderr) == (0, "")
    after = path.read_bytes()
    assert after.count(chunk) == 1 and int.from_bytes(after[4:8], "big") == len(after) - 8
    assert soundfile.info(path).frames == 32_000


OGG_PICTURE = "METADATA_BLOCK_PICTURE=" + base64.b64encode(PICTURE).decode()


def ogg_texts(path):
    """The second packet of an Ogg file, read page by page, with the numbers of all pages."""
    content, packets, numbers, at = path.read_bytes(), [b""], [], 0
    while at < len(content):
        numbers.append(int.from_bytes(content[at + 18 : at + 22], "little"))
        lacing = content[at + 27 : at + 27 + content[at + 26]]
        at += 27 + len(lacing)
        for size in lacing:
            if len(packets) < 3:
                packets[-1] += content[at : at + size]
                packets += [b""] * (size < 255)
            at += size
    return packets[1], numbers


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
def test_all_texts_and_pictures_go_into_ogg_and_stay_there(run, flac, tmp_path, name):
    source, plain = flac("a.flac", block(4, texts(*SPOKEN)), block(6, PICTURE)), flac("plain.flac")
    for path, target in ((source, tmp_path / name), (plain, tmp_path / f"plain-{name}")):
        result = run("enhance", path, "-o", target)
        assert (result.exit_code, result.stderr) == (0, "")
    target = tmp_path / name
    samples, _ = soundfile.read(target)
    np.testing.assert_array_equal(samples, soundfile.read(tmp_path / f"plain-{name}")[0])
    for _ in range(2):
        found, numbers = ogg_texts(target)
        for text in (*SPOKEN, OGG_PICTURE):
            assert found.count(len(text.encode()).to_bytes(4, "little") + text.encode()) == 1
        assert numbers == list(range(len(numbers)))
        result = run("enhance", target, "-o", target)
        assert (result.exit_code, result.stderr) == (0, "")
    assert soundfile.info(target).frames == 32_000
    assert run("enhance", target, "-o", tmp_path / "back.flac").exit_code == 0
    content = (tmp_path / "back.flac").read_bytes()
    assert block(6, PICTURE) in content and OGG_PICTURE.encode() not in content


def test_what_ffmpeg_and_taggers_read_of_ogg_is_right(run, ffmpeg, flac, tmp_path):
    target = tmp_path / "a.ogg"
    source = flac("a.flac", block(4, texts(*SPOKEN, "ARTIST=" + "a" * 255 * 255)), block(6, PICTURE))
    assert run("enhance", source, "-o", target).exit_code == 0
    read = subprocess.run(
        ["ffmpeg", "-v", "warning", "-i", target, "-map", "a", "-f", "null", "-"], capture_output=True
    )
    assert (read.returncode, b"CRC" in read.stderr) == (0, False)
    texts_of = ("-map_metadata", "0:s:0", "-f", "ffmetadata", "-")
    found = ("ffmpeg", "-v", "error", "-i", target, *texts_of)
    metadata = subprocess.run(found, capture_output=True, check=True).stdout.decode()
    assert "album_artist=日本" in metadata and "COMPOSER=niemand" in metadata


@pytest.mark.parametrize(("name", "cover"), [("a.wav", "flac"), ("a.au", "flac"), ("b.flac", "mp3")])
def test_of_texts_and_pictures_that_have_no_place_one_line_tells(run, flac, tagged, tmp_path, name, cover):
    source = flac("a.flac", block(4, texts(*SPOKEN, "ENCODER=x")), block(6, PICTURE))
    if cover == "mp3":
        source = tagged("a.mp3", "MPEG_LAYER_III", "MP3")
        source.write_bytes(b"ID3\x03\0\0\0\0\x02\x0aAPIC\0\0\x01\0\0\0" + bytes(256) + source.read_bytes())
    result = run("enhance", source, "-o", tmp_path / name)
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 0 and "picture" in line and "encoder" not in line
    assert cover == "mp3" or ("albumartist" in line and "composer" in line)
