"""``edge-pse run`` between simulated ALSA cards that play and record files, in real time."""

import itertools
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_pse import Enhancer
from edge_pse.audio.pcm import to_float, to_pcm
from tests.edge_pse.audio.running import again_if_busy, aligned, share_found
from tests.edge_pse.graphs import far_end_model
from tests.edge_pse.treble import treble_db, with_treble

SECONDS = 4


@pytest.fixture(scope="module")
def said(speech_pcm):
    return speech_pcm[: SECONDS * 16_000]


@pytest.fixture(scope="module")
def listen(cards, tmp_path_factory, start_command, said):
    """``listen((speaker, microphone, option...), ...)``: where the files of these runs are, each with cards of its own
    and all at a time; the numbers that they end with, by speaker; and what they say.
    """
    directory = tmp_path_factory.mktemp("runs")
    said.tofile(directory / "mic16.raw")
    for rate in (44_100, 48_000):
        to_pcm(with_treble(to_float(said), rate)).tofile(directory / f"mic{rate // 1000}.raw")
    env = cards(
        directory,
        mic16=f'infile "{directory}/mic16.raw" rate 16000 channels 1',
        mic48=f'infile "{directory}/mic48.raw" rate 48000 channels 2 wired 1',
        plain=f'outfile "{directory}/plain.raw" rate 16000 channels 1',
        enhanced=f'outfile "{directory}/enhanced.raw" rate 16000 channels 1',
        mic44=f'infile "{directory}/mic44.raw" rate 44100 channels 1',
        stereo=f'outfile "{directory}/stereo.raw" rate 48000 channels 2',
        full=f'outfile "{directory}/full.raw" rate 48000 channels 1',
        narrow=f'outfile "{directory}/narrow.raw" rate 48000 channels 1',
        passed=f'outfile "{directory}/passed.raw" rate 16000 channels 1',
    )

    def runs(*wanted):
        started = {}
        for speaker, microphone, *more in wanted:
            arguments = ("--input", microphone, "--output", speaker, "--latency", "200", *more)
            started[speaker] = start_command("run", *arguments, env=env)
        for command in started.values():
            command.wait_for("Running")
        time.sleep(SECONDS + 1)
        signals = itertools.cycle((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        numbers = {
            name: run.stop(number) for (name, run), number in zip(started.items(), signals, strict=False)
        }
        return directory, numbers, {name: run.lines for name, run in started.items()}

    return runs


@pytest.fixture(scope="module")
def runs(listen, tmp_path_factory):
    """Four at a time. What is asked of them, a hop that a pause of this machine has cost does not spoil."""
    absurd = far_end_model(tmp_path_factory.mktemp("model") / "absurd.onnx", 1e6, 0)
    record = tmp_path_factory.mktemp("record") / "record.wav"
    return *listen(
        ("plain", "mic16", "--strength", "0"),
        ("enhanced", "mic16", "--record", str(record)),
        ("stereo", "mic48", "--strength", "0"),
        ("passed", "mic16", "--model", str(absurd)),
    ), record  # fmt: skip


def played(directory, speaker):
    return np.fromfile(directory / f"{speaker}.raw", np.int16)


def test_strength_zero_passes_every_bit(runs, said):
    directory, numbers, _, _ = runs
    assert share_found(said, played(directory, "plain")) > 0.9, numbers
    assert numbers["plain"]["hops"] > 100 * (SECONDS + 0.5)


def test_a_network_that_gives_back_no_sound_is_said_once_and_the_sound_passes(runs, said):
    directory, _, said_by, _ = runs
    lines = [line for line in said_by["passed"] if "is no sound, so the input passes" in line]
    assert len(lines) == 1, said_by["passed"]
    assert share_found(said, played(directory, "passed")) > 0.9


def test_the_output_is_that_of_enhance(runs, said, model):
    directory, numbers, _, record = runs
    if numbers["enhanced"]["overloads"]:
        pytest.skip("this machine was too busy to run the network in real time")
    expected = to_pcm(Enhancer(model).enhance(to_float(said), 16_000))
    assert share_found(expected, played(directory, "enhanced")) > 0.9
    recorded, rate = soundfile.read(record, dtype="int16")
    assert rate == 16_000
    assert share_found(expected, recorded) > 0.9


def test_a_stereo_card_at_48_khz_passes_every_bit_of_its_only_wired_channel(runs):
    directory, *_ = runs
    stereo = played(directory, "stereo").reshape(-1, 2)
    np.testing.assert_array_equal(stereo[:, 0], stereo[:, 1])
    given = np.fromfile(directory / "mic48.raw", np.int16)
    assert share_found(given[48_000:], np.ascontiguousarray(stereo[:, 0]), 480) > 0.9


def test_between_44_and_48_khz_the_whole_band_comes_out_unless_half_of_it_is_asked_for(
    listen, said, tmp_path
):
    """And is in the recording beside it."""
    given = with_treble(to_float(said), 48_000)[2 * 48_000 : 3 * 48_000]

    def measure():
        record = Path(tempfile.mkdtemp(dir=tmp_path)) / "full.wav"
        directory, numbers, _ = listen(
            ("full", "mic44", "--record", str(record)), ("narrow", "mic44", "--band", "8")
        )
        if numbers["full"]["overloads"] or numbers["narrow"]["overloads"]:
            pytest.skip("this machine was too busy to run the network in real time")
        recorded, rate = soundfile.read(record, dtype="int16")
        assert rate == 48_000
        sounds = [recorded, played(directory, "full"), played(directory, "narrow")]
        full, at_card, narrow = (aligned(given, to_float(sound)) for sound in sounds)
        for whole in (full, at_card):
            assert treble_db(whole, 48_000) > treble_db(given, 48_000) - 3
        assert treble_db(narrow, 48_000) < treble_db(given, 48_000) - 40
        for sound in (full, at_card, narrow):
            assert np.corrcoef(sound, given)[0, 1] > 0.9

    # On a busy machine the card has been seen to play one hop more, which no counter of the run told of; what comes
    # after it is not where it was given.
    again_if_busy(measure)
