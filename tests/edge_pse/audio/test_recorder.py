"""The file beside a live stream: whole, continued after a restart, and no danger to the stream."""

import numpy as np
import pytest
import soundfile

from edge_pse.audio.playback import FULL_SCALE
from edge_pse.audio.recorder import Recorder
from edge_pse.errors import AudioError


def record(path, samples, say, append=False):
    recorder = Recorder(path, 16_000, say, append)
    for start in range(0, samples.size, 160):
        recorder.add(samples[start : start + 160].astype(np.float32) / FULL_SCALE)
    recorder.close()


def test_what_was_played_is_in_the_file_bit_by_bit(tmp_path, speech_pcm):
    said = []
    record(tmp_path / "out.wav", speech_pcm[:32_000], said.append)
    record(tmp_path / "out.wav", speech_pcm[32_000:], said.append, append=True)
    recorded, rate = soundfile.read(tmp_path / "out.wav", dtype="int16")
    np.testing.assert_array_equal(recorded, speech_pcm)
    assert (rate, said) == (16_000, [])


def test_a_full_disk_ends_the_recording_with_a_sentence(small_disk, fill, speech_pcm):
    said = []
    recorder = Recorder(small_disk / "out.wav", 16_000, said.append)
    fill(small_disk)
    for _ in range(20):
        recorder.add(speech_pcm[:16_000].astype(np.float32) / FULL_SCALE)
    recorder.close()
    assert len(said) == 1
    assert "has ended early" in said[0]


@pytest.mark.parametrize("name", ["nowhere/out.wav", "out", "out.txt"])
def test_a_file_that_cannot_be_begun_is_refused(tmp_path, name):
    with pytest.raises(AudioError, match="Can't record to"):
        Recorder(tmp_path / name, 16_000, print)
