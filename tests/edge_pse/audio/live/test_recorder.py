"""The file beside a live stream: whole, continued after a restart, never over another, and no danger to the stream."""

import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from edge_pse.audio.files import AudioReader
from edge_pse.audio.live import recorder as recorder_module
from edge_pse.audio.live.recorder import Recorder
from edge_pse.audio.pcm import to_float
from edge_pse.errors import AudioError


def record(path, samples, say, append=False):
    recorder = Recorder(path, say, append)
    for start in range(0, samples.size, 160):
        recorder.add(to_float(samples[start : start + 160]), 16_000)
    recorder.close()
    return recorder.path


def test_what_was_played_is_in_the_file_bit_by_bit(tmp_path, speech_pcm):
    said = []
    record(tmp_path / "out.wav", speech_pcm[:32_000], said.append)
    record(tmp_path / "out.wav", speech_pcm[32_000:], said.append, append=True)
    recorded, rate = soundfile.read(tmp_path / "out.wav", dtype="int16")
    np.testing.assert_array_equal(recorded, speech_pcm)
    assert (rate, said) == (16_000, [])


@pytest.mark.parametrize("name", ["talk.wav", "talk.flac"])
def test_sound_of_another_rate_goes_on_in_another_file(tmp_path, speech_pcm, name):
    said = []
    recorder = Recorder(tmp_path / name, said.append)
    rates = (44_100, 16_000, 48_000)
    for rate in rates:
        for start in range(0, 100 * rate // 100, rate // 100):
            recorder.add(to_float(speech_pcm[start : start + rate // 100]), rate)
    recorder.close()
    assert recorder.path.stem == "talk-3" and len(said) == 2
    for number, rate in zip(("", "-2", "-3"), rates, strict=True):
        recorded, its_rate = soundfile.read((tmp_path / name).with_stem(f"talk{number}"), dtype="int16")
        assert its_rate == rate
        np.testing.assert_array_equal(recorded, speech_pcm[:rate])


@pytest.mark.parametrize(("name", "rate"), [("talk.opus", 44_100), ("talk.mp3", 96_000), ("talk.xi", 48_000)])
def test_what_its_format_has_no_rate_for_is_recorded_all_the_same(tmp_path, speech_pcm, name, rate):
    said = []
    with Recorder(tmp_path / name, said.append) as recorder:
        for rate_hz in (rate, 16_000):
            recorder.add(to_float(speech_pcm[:4_000]), rate_hz)
    assert f"{name} can't have {rate} samples a second: this is recorded to {tmp_path}/talk.wav." in said[0]
    for file, rate_hz in (("talk.wav", rate), ("talk-2.wav", 16_000)):
        recorded, its_rate = soundfile.read(tmp_path / file, dtype="int16")
        assert its_rate == rate_hz
        np.testing.assert_array_equal(recorded, speech_pcm[:4_000])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_recording_that_goes_on_at_another_rate_keeps_what_was_there(tmp_path, speech_pcm):
    first = record(tmp_path / "talk.wav", speech_pcm[:16_000], print)
    recorder = Recorder(first, print, append=True)
    recorder.add(to_float(speech_pcm[:480]), 48_000)
    recorder.close()
    assert recorder.path != first and soundfile.info(recorder.path).samplerate == 48_000
    np.testing.assert_array_equal(soundfile.read(first, dtype="int16")[0], speech_pcm[:16_000])


def test_a_full_disk_ends_the_recording_with_a_sentence(small_disk, fill, speech_pcm):
    said = []
    recorder = Recorder(small_disk / "out.wav", said.append)
    fill(small_disk)
    for _ in range(20):
        recorder.add(to_float(speech_pcm[:16_000]), 16_000)
    recorder.close()
    assert len(said) == 1
    assert "has ended early" in said[0]
    recorded, _ = soundfile.read(small_disk / "out.wav", dtype="int16")
    np.testing.assert_array_equal(recorded, speech_pcm[: recorded.size])


def test_an_earlier_recording_stays_and_the_new_name_is_said(tmp_path, speech_pcm):
    said = []
    first, second, third = (
        record(tmp_path / "talk.wav", speech_pcm[:n], said.append) for n in (16_000, 8_000, 800)
    )
    assert [path.name for path in (first, second, third)] == ["talk.wav", "talk-2.wav", "talk-3.wav"]
    assert [soundfile.info(path).frames for path in (first, second, third)] == [16_000, 8_000, 800]
    assert said == [
        f"{first} is there already and stays: this is recorded to {second}.",
        f"{first} is there already and stays: this is recorded to {third}.",
    ]
    record(second, speech_pcm[:1_600], said.append, append=True)
    assert (soundfile.info(second).frames, len(said)) == (9_600, 2)


@pytest.mark.parametrize("name", ["talk.flac", "talk.ogg"])
def test_what_can_not_be_continued_goes_on_beside_it(tmp_path, speech_pcm, name):
    said = []
    first = record(tmp_path / name, speech_pcm[:16_000], said.append)
    second = record(first, speech_pcm[16_000:24_000], said.append, append=True)
    assert second != first
    assert [soundfile.info(path).frames for path in (first, second)] == [16_000, 8_000]
    assert str(second) in said[0]


def test_only_its_owner_may_read_it(tmp_path, speech_pcm):
    before = os.umask(0)
    try:
        path = record(tmp_path / "out.wav", speech_pcm[:1_600], print)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        record(path, speech_pcm[:1_600], print, append=True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_stream_without_a_sample_leaves_no_file(tmp_path):
    Recorder(tmp_path / "out.wav", print).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_nothing_but_a_file_is_recorded_to(tmp_path, make):
    make(tmp_path / "out.wav")
    with pytest.raises(AudioError, match=r"Can't record to .*it is not a file"):
        Recorder(tmp_path / "out.wav", print)
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


KILLED = """
import sys, time, numpy, pathlib
from edge_pse.audio.live import recorder as recorder_module
from edge_pse.audio.files import AudioReader
from edge_pse.audio.live.recorder import Recorder
recorder = Recorder(pathlib.Path(sys.argv[1]), print)
for _ in range(500):
    recorder.add(numpy.full(160, 0.5, numpy.float32), 16_000)
while recorder._hops.qsize():
    time.sleep(0.01)
print("written", flush=True)
time.sleep(60)
"""


def test_after_a_kill_other_programs_read_all_but_the_last_seconds(tmp_path):
    path = tmp_path / "out.wav"
    process = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert int.from_bytes(path.read_bytes()[40:44], "little") >= 2 * 3 * 16_000
    with AudioReader(path) as reader:
        assert sum(len(block) for block in reader.blocks()) >= 79_840


def test_what_a_slow_disk_loses_is_silence_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "_QUEUE_HOPS", 10)
    said = []
    recorder = Recorder(tmp_path / "out.wav", said.append)
    write, slow = recorder._write_hop, [0.3]
    monkeypatch.setattr(
        recorder, "_write_hop", lambda hop: (time.sleep(slow.pop() if slow else 0), write(hop))
    )
    for _ in range(30):
        recorder.add(np.full(160, 0.5, np.float32), 16_000)
    time.sleep(0.5)
    recorder.add(np.full(160, 0.5, np.float32), 16_000)
    recorder.close()
    recorded, _ = soundfile.read(tmp_path / "out.wav")
    assert recorded.size == 31 * 160
    silent = np.sum(recorded == 0) / 16_000
    assert silent > 0.1
    assert said == [
        f"The disk was too slow: {silent:.1f} s of the recording to {tmp_path}/out.wav are silence."
    ]


def test_what_is_too_long_for_one_file_goes_on_in_another(tmp_path, monkeypatch, speech_pcm):
    monkeypatch.setattr(recorder_module, "_MOST_FRAMES", 16_000)
    said = []
    record(tmp_path / "out.wav", speech_pcm[:40_000], said.append)
    parts = [
        soundfile.read(tmp_path / name, dtype="int16")[0] for name in ("out.wav", "out-2.wav", "out-3.wav")
    ]
    np.testing.assert_array_equal(np.concatenate(parts), speech_pcm[:40_000])


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "nowhere/out.wav",
            r"out\.wav \(No such file or directory\): name a file in a folder that can be written\.$",
        ),
        ("out", r"end the name in \.wav or \.flac\.$"),
        ("out.txt", r"end the name in \.wav or \.flac\.$"),
    ],
)
def test_a_file_that_cannot_be_begun_is_refused(tmp_path, name, advice):
    with pytest.raises(AudioError, match=f"Can't record to .*{advice}"):
        Recorder(tmp_path / name, print)
