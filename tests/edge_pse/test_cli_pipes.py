"""``edge-pse`` between other programs, in the lines that people type; what it does when one of them ends or fails."""

import os
import pty
import signal
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from edge_pse import ProfileStore, enhance_file


@pytest.fixture
def noisy(tmp_path, recording, mix):
    """``noisy.wav``, 16 kHz."""
    mixture = mix(recording("ls367_speech")[:48_000], recording("helicopter"), 5)
    soundfile.write(tmp_path / "noisy.wav", mixture, 16_000, "PCM_16")
    return tmp_path / "noisy.wav"


@pytest.mark.parametrize(
    "coding",
    [
        "-f wav",
        "-f flac -ar 44100",
        "-f wav -rf64 always -af 'pan=stereo|c0=c0|c1=c0' -c:a pcm_s24le",
    ],
)
def test_between_two_ffmpegs(shell, ffmpeg, noisy, tmp_path, model, female_profile, coding):
    ProfileStore().save(female_profile)
    line = (
        f"ffmpeg -v error -i noisy.wav {coding} - | edge-pse enhance - -o - --profile ls367 "
        "| ffmpeg -v error -i - -ar 16000 -ac 1 -c:a pcm_s16le piped.wav"
    )
    assert shell(line) == ([0, 0, 0], "")
    enhance_file(noisy, tmp_path / "file.wav", model, female_profile)
    piped, expected = (
        soundfile.read(tmp_path / name, dtype="float32")[0] for name in ("piped.wav", "file.wav")
    )
    assert abs(piped.size - expected.size) <= 1
    inner = slice(200, expected.size - 200)
    error = np.mean((piped[inner] - expected[inner]) ** 2) / np.mean(expected[inner] ** 2)
    assert error < (1e-4 if "44100" not in coding else 1e-2)


def test_what_is_written_is_named_by_the_source_or_by_an_option(shell, noisy, tmp_path):
    soundfile.write(tmp_path / "noisy.flac", *soundfile.read(noisy))
    for line, magic in (
        ("edge-pse enhance - -o - < noisy.flac > out", b"fLaC"),
        ("edge-pse enhance noisy.flac -o - --pipe-format wav > out", b"RIFF\xff\xff\xff\xffWAVE"),
    ):
        assert shell(line) == ([0], "")
        assert (tmp_path / "out").read_bytes().startswith(magic)


def test_from_a_pipe_to_a_file(shell, noisy, tmp_path):
    statuses, said = shell("cat noisy.wav | edge-pse enhance - -o out.flac > words")
    assert (statuses, said) == ([0, 0], "")
    assert (tmp_path / "words").read_text().startswith("Wrote out.flac: 3.0 s in ")
    assert soundfile.info(tmp_path / "out.flac").frames == 48_000


def test_of_a_pipe_it_is_said_by_what_the_channels_were_chosen(shell, tmp_path, recording):
    speech = recording("ls367_speech")[:48_000]
    soundfile.write(tmp_path / "two.wav", np.stack([0.001 * speech[::-1], speech], axis=1), 16_000)
    _, said = shell("edge-pse enhance - -o - < two.wav > out.wav")
    assert said.startswith(
        "Took channel 2 of 2, where most speech is in the first 10 s; the rest does not agree"
    )


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        (
            "echo hello, is this WAV | edge-pse enhance - -o out.wav",
            1,
            "The input is neither WAV nor FLAC: put `ffmpeg",
        ),
        (
            "true | edge-pse enhance - -o -",
            1,
            "The input is empty: see what the program before this one said.",
        ),
        ("true | edge-pse enhance - -o - <&-", 1, "Standard input is closed: pipe sound into it."),
        (
            "true | edge-pse enhance noisy.wav -o - > /dev/full",
            1,
            "(No space left on device): what was written before",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(shell, noisy, tmp_path, line, status, message):
    statuses, said = shell(line)
    assert statuses[-1] == status
    assert message in said and said.startswith("Error: ") and len(said.splitlines()) == 1
    assert not (tmp_path / "out.wav").exists()


def test_the_format_of_a_pipe_is_for_a_pipe(refused):
    said = refused("enhance", "noisy.wav", "-o", "out.wav", "--pipe-format", "flac", status=2)
    assert "--pipe-format is for -o -" in said


def test_a_terminal_is_refused(filter_process, noisy):
    ours, terminal = pty.openpty()
    for arguments, streams in (
        (("-", "-o", "out.wav"), {"stdin": terminal}),
        ((noisy, "-o", "-"), {"stdout": terminal}),
    ):
        process = filter_process("enhance", *arguments, **streams)
        assert b"terminal" in (said := process.communicate(timeout=60)[1]) or b"Nothing is piped" in said
        assert process.returncode == 2
    os.close(ours)
    os.close(terminal)


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_where_nobody_reads_any_more_it_ends_as_every_filter(shell, noisy, form):
    statuses, said = shell(f"edge-pse enhance noisy.wav -o - --pipe-format {form} | head -c 100 > start")
    assert statuses == [128 + signal.SIGPIPE, 0]
    assert said == ""


def test_a_signal_ends_it_without_a_word(filter_process, noisy):
    number = signal.SIGHUP
    process = filter_process("enhance", "-", "-o", "-")
    process.stdin.write(noisy.read_bytes())
    assert process.stdout.read(100)
    process.send_signal(number)
    assert process.wait(10) == -number
    assert process.stderr.read() == b""


def test_sound_leaves_while_it_comes(filter_process, noisy):
    process = filter_process("enhance", "-", "-o", "-")
    content = noisy.read_bytes()
    process.stdin.write(content[:32_044])
    out, until = b"", time.monotonic() + 30
    # Of the first second all but a block, the network's delay and what a change of rate would need.
    while len(out) < 2 * 16_000 * 0.8 and time.monotonic() < until:
        out += process.stdout.read(4_096)
    assert process.poll() is None
    process.stdin.write(content[32_044:])
    process.stdin.close()
    while more := process.stdout.read(4_096):
        out += more
    assert process.wait(10) == 0 and len(out) == len(content)


@pytest.mark.skipif(sys.platform != "linux", reason="pipes that do not wait")
def test_pipes_that_do_not_wait_are_waited_for(filter_process, noisy):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    output, into = os.pipe()
    os.set_blocking(into, False)
    process = filter_process("enhance", "-", "-o", "-", stdin=reading, stdout=into)
    os.close(reading), os.close(into)
    content = noisy.read_bytes()

    def feed():
        with os.fdopen(writing, "wb") as pipe:
            for part in (content[:60_000], content[60_000:]):
                time.sleep(0.5)
                pipe.write(part)
                pipe.flush()

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(output, "rb") as pipe:
        time.sleep(1.5)  # nobody reads, and the pipe is full
        assert len(pipe.read()) == len(content)
    feeder.join()
    assert (process.wait(10), process.stderr.read()) == (0, b"")
