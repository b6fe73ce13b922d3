"""``edge-pse stream``: raw samples between the programs that people put around it, in time and to the last byte."""

import fcntl
import os
import select
import shutil
import signal
import termios
import time
from pathlib import Path

import numpy as np
import pytest

from edge_pse import Enhancer, Model, PcmStream, ProfileStore
from edge_pse.audio.pcm import SampleFormat

ALSA = Path("/usr/share/alsa/alsa.conf")


@pytest.fixture
def noisy(recording, mix):
    return mix(recording("ls367_speech")[:48_000], recording("helicopter"), 5)


@pytest.fixture
def raw(tmp_path, noisy):
    """``raw("s16le")`` -> the bytes of that in a format, which are the file ``mic.raw``, too."""

    def write(form="s16le"):
        content = SampleFormat.named(form).encode(noisy)
        (tmp_path / "mic.raw").write_bytes(content)
        return content

    return write


@pytest.fixture
def alsa(tmp_path):
    """An environment in which the microphone ``filemic`` hears mic.raw and the loudspeaker ``filespeaker`` writes."""
    if shutil.which("arecord") is None or not ALSA.exists():
        pytest.skip("needs ALSA's tools: apt-get install alsa-utils")
    (tmp_path / "asoundrc").write_text(
        f'pcm.filemic {{ type file slave.pcm {{ type null }} file /dev/null infile "{tmp_path}/mic.raw" format raw }}\n'
        f'pcm.filespeaker {{ type file slave.pcm {{ type null }} file "{tmp_path}/speaker.raw" format raw }}\n'
    )
    return {"ALSA_CONFIG_PATH": f"{ALSA}:{tmp_path}/asoundrc"}


@pytest.fixture
def sox():
    if shutil.which("sox") is None:
        pytest.skip("needs sox: apt-get install sox")


def enhanced(content, *profiles, **settings):
    """What the library makes of it."""
    stream = PcmStream(Enhancer(Model.load(), profiles), **{"sample_rate_hz": 16_000, **settings})
    return stream.process(content) + stream.flush()


def read(process, count, seconds=20):
    """What comes out, up to that many bytes, or as many as there are when the time is over."""
    out, until = b"", time.monotonic() + seconds
    while len(out) < count and time.monotonic() < until:
        if select.select([process.stdout], [], [], 0.05)[0]:
            out += os.read(process.stdout.fileno(), count - len(out))
    return out


def test_a_file_of_samples_becomes_one_of_the_same_length(shell, raw, female_profile, tmp_path):
    ProfileStore().save(female_profile)
    content = raw()
    assert shell("edge-pse stream --profile ls367 < mic.raw > out.raw") == ([0], "")
    assert (tmp_path / "out.raw").read_bytes() == enhanced(content, female_profile)


@pytest.mark.parametrize(("rate", "latency_ms"), [(16_000, 20), (48_000, 20), (22_050, 23)])
def test_each_hop_leaves_as_soon_as_it_is_done(filter_process, rate, latency_ms):
    """Bytes in against bytes out, hop by hop: nothing more goes in before all that can be done has come out."""
    process = filter_process("stream", "--rate", rate, "--channels", 2, "--channel", 1)
    frames_in = bytes_out = 0
    for _ in range(60):
        process.stdin.write(bytes(4 * (rate // 100)))
        frames_in += rate // 100
        due = 2 * (frames_in - rate * latency_ms // 1_000)
        out = read(process, due - bytes_out) if due > bytes_out else b""
        bytes_out += len(out)
        assert bytes_out >= due, "a hop was kept back"
    process.stdin.close()
    rest = process.stdout.read()
    assert bytes_out + len(rest) == 2 * frames_in
    assert (process.wait(10), process.stderr.read()) == (0, b"")


def test_pieces_of_any_size_and_a_last_sample_that_is_cut(filter_process, raw, tmp_path):
    content = raw("s24le")
    process = filter_process("stream", "--format", "S24_3LE")
    sizes = np.random.default_rng(0).integers(1, 8_000, 1_000)
    at, out = 0, b""
    for size in sizes:
        process.stdin.write(content[at : at + size])
        out += read(process, 1 << 16, 0.01)
        at += size
        if at >= len(content):
            break
    process.stdin.write(b"\0\1")
    process.stdin.close()
    out += process.stdout.read()
    assert process.wait(10) == 0
    assert process.stderr.read() == b"The input ends within a frame of 3 bytes: its last 2 are left out.\n"
    assert out == enhanced(content, sample_format="s24le")


def test_from_arecord_to_aplay(shell, raw, alsa, tmp_path, female_profile):
    ProfileStore().save(female_profile)
    content = raw()
    line = (
        "arecord -q -D filemic -t raw -f S16_LE -r 16000 -d 3 | edge-pse stream --format S16_LE --profile ls367 "
        "| aplay -q -D filespeaker -t raw -f S16_LE -r 16000"
    )
    assert shell(line, **alsa) == ([0, 0, 0], "")
    played = (tmp_path / "speaker.raw").read_bytes()
    expected = enhanced(content, female_profile)
    assert len(expected) == 96_000 and expected in played  # the card plays silence before and after


def test_from_arecord_with_two_channels_and_a_header(shell, raw, alsa, tmp_path):
    """ALSA's file plugin takes the same bytes for the format that it is asked for."""
    content = raw()
    line = "arecord -q -D filemic -t raw -f S16_LE -c 2 -r 48000 -s 24000 | edge-pse stream --rate 48000 --channels 2 "
    assert shell(line + "--channel 2 --output-rate 16000 --output-format f32le > out.raw", **alsa) == (
        [0, 0],
        "",
    )
    settings = {
        "sample_rate_hz": 48_000,
        "channels": 2,
        "channel": 2,
        "output_rate_hz": 16_000,
        "output_format": "f32le",
    }
    assert (tmp_path / "out.raw").read_bytes() == enhanced(content, **settings)
    # Where it does not know how long it will record, arecord writes a size that is no size.
    line = (
        "arecord -q -D filemic -t wav -f S16_LE -r 16000 | edge-pse enhance - -o - | head -c 50044 > out.wav"
    )
    statuses, said = shell(line, **alsa)
    assert statuses[1:] == [128 + signal.SIGPIPE, 0] and "Error" not in said
    assert (tmp_path / "out.wav").stat().st_size == 50_044


def test_between_two_soxes(shell, raw, sox, tmp_path, noisy):
    raw()
    line = (
        "sox -t raw -r 16000 -e signed -b 16 -c 1 mic.raw -t raw -r 44100 -e signed -b 24 -B - "
        "| edge-pse stream --rate 44100 --format s24be --strength 0 "
        "| sox -t raw -r 44100 -e signed -b 24 -B -c 1 - -t raw -r 16000 -e signed -b 16 -L -D out.raw"
    )
    assert shell(line) == ([0, 0, 0], "")
    out = SampleFormat.named("s16le").decode((tmp_path / "out.raw").read_bytes())
    assert abs(out.size - noisy.size) <= 1
    inner = slice(1_000, -1_000)
    assert np.mean((out - noisy[: out.size])[inner] ** 2) < 1e-2 * np.mean(noisy[inner] ** 2)
    line = "sox -r 16000 -e signed -b 16 -c 1 -t raw mic.raw -t wav - | edge-pse enhance - -o - | sox -t wav - out.wav"
    statuses, _ = shell(line)  # sox warns of the length that nobody knows
    assert statuses == [0, 0, 0]


def test_a_channel_with_the_far_end_needs_a_model_that_takes_it(filter_process, recording):
    far = recording("ls2033_speech")[:32_000]
    echo = np.float32(0.3) * np.concatenate([np.zeros(800, np.float32), far])[: far.size]
    content = SampleFormat.named("f32le").encode(np.stack([echo, far], axis=1).ravel())
    settings = ("--format", "f32le", "--channels", 2, "--far-end-channel", 2)
    out, said = filter_process("stream", *settings).communicate(content)
    assert said == b"" and len(out) == 4 * far.size
    left = SampleFormat.named("f32le").decode(out)
    assert np.mean(left[16_000:] ** 2) < 0.1 * np.mean(echo[16_000:] ** 2)
    out, said = filter_process("stream", *settings, "--channel", 1, "--model", "pvqe-xs").communicate(content)
    assert b"Echo stays" in said and len(out) == 4 * far.size


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        (
            "true | edge-pse stream --format s17le",
            1,
            "There is no format 's17le' of samples: give one of ffmpeg's",
        ),
        (
            "true | edge-pse stream --rate 100",
            1,
            "A stream has 4000 to 384000 whole samples a second, not 100.",
        ),
        ("true | edge-pse stream --channels 2 --channel 3", 1, "There is no channel 3"),
        ("true | edge-pse stream --profile nobody", 1, "There is no profile 'nobody'"),
        (
            "true | edge-pse stream < mic.raw > /dev/full",
            1,
            "Can't write the output (No space left on device)",
        ),
        ("true | edge-pse stream < mic.raw >&-", 1, "Can't write the output (Bad file descriptor)"),
        (
            "head -c 9999 /dev/zero | tr '\\0' '\\377' | edge-pse stream --format f32le",
            1,
            "NaN or infinite values",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(shell, raw, line, status, message):
    raw()
    statuses, said = shell(line)
    assert statuses[-1] == status
    assert said.startswith("Error: ") and message in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "s17le"), "There is no format 's17le' of samples: give one of ffmpeg's"),
        (("--rate", 100), "A stream has 4000 to 384000 whole samples a second, not 100."),
        (("--channels", 2, "--channel", 3), "There is no channel 3"),
        (("--profile", "nobody"), "There is no profile 'nobody'"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_read(refused, arguments, message):
    assert message in refused("stream", *arguments)


def test_what_came_while_it_started_may_be_left_out(filter_process, raw):
    content = raw()
    process = filter_process("stream", "--from-now")
    process.stdin.write(bytes(32_001))
    while fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)) != bytes(4):  # until it has taken that
        time.sleep(0.02)
    process.stdin.write(bytes(1))  # the rest of a sample, for which it waits
    assert process.stderr.readline() == b"Left out 1.00 s that came while this started.\n"
    out, said = process.communicate(content)
    assert said == b"" and out == enhanced(content)


def test_of_a_file_nothing_comes_and_nothing_is_left_out(filter_process, raw, tmp_path):
    content = raw()
    (tmp_path / "talk.raw").write_bytes(content)
    with (tmp_path / "talk.raw").open("rb") as file:
        process = filter_process("stream", "--from-now", stdin=file)
    out, said = process.communicate()
    assert said == b"Left out 0.00 s that came while this started.\n"
    assert out == enhanced(content)


def test_before_what_is_no_sound_everything_is_written(filter_process, raw):
    content = raw("f32le")
    process = filter_process("stream", "--format", "f32le")
    out, said = process.communicate(content + b"\0\0\xc0\x7f" * 99)
    assert process.returncode == 1 and b"It came 3.0 s from the start: are --rate" in said
    assert out == enhanced(content, sample_format="f32le")


def test_nothing_in_is_nothing_out_and_no_error(shell, tmp_path):
    assert shell("true | edge-pse stream > out.raw") == ([0, 0], "")
    assert (tmp_path / "out.raw").read_bytes() == b""


def test_where_nobody_reads_any_more_it_ends_as_every_filter(shell, raw):
    raw()
    assert shell("cat mic.raw mic.raw mic.raw | edge-pse stream | head -c 100 > /dev/null")[0][1:] == [
        128 + signal.SIGPIPE,
        0,
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_word(filter_process, raw, number):
    process = filter_process("stream")
    process.stdin.write(raw()[:32_000])
    assert len(read(process, 31_360)) == 31_360
    process.send_signal(number)
    assert process.wait(10) == -number
    assert process.stderr.read() == b""


def test_under_nohup_it_outlives_its_terminal(filter_process, raw):
    process = filter_process("stream", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    content = raw()
    process.stdin.write(content[:32_000])
    out = read(process, 31_360)
    process.send_signal(signal.SIGHUP)
    process.stdin.write(content[32_000:])
    process.stdin.close()
    assert out + process.stdout.read() == enhanced(content)
