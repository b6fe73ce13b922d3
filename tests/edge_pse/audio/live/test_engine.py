"""The parts between the devices: rates, buffers, splices, overload, with real speech and the shipped model."""

import dataclasses
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer
from edge_pse.audio.live.engine import Engine, Overload
from edge_pse.audio.live.far_end import FarEnd
from edge_pse.audio.live.jitter_buffer import DelayController, DelayPolicy, JitterBuffer
from edge_pse.audio.pcm import FULL_SCALE, to_float, to_pcm
from edge_pse.levels import dbfs
from tests.edge_pse.audio.running import aligned
from tests.edge_pse.graphs import far_end_model
from tests.edge_pse.treble import TREBLE_HZ, treble_db, with_treble

HOP = 160
RATES = [(48_000, 48_000), (44_100, 48_000), (16_000, 48_000), (8_000, 48_000), (48_000, 16_000)]


@pytest.fixture
def speech(speech_pcm):
    return to_float(speech_pcm)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_jitter_buffer_gives_back_what_it_got_in_any_blocks(speech_pcm, dtype):
    samples = speech_pcm if dtype == np.int16 else to_float(speech_pcm)
    buffer = JitterBuffer(1_000, HOP, dtype)
    read = []
    position = 0
    for size in np.random.default_rng(0).integers(1, 300, 400):
        buffer.write(samples[position : position + size])
        position += size
        while buffer.level > 2 * HOP + 130:
            out = np.empty(130, dtype)
            buffer.read_into(out)
            read.append(out)
    out = np.concatenate(read)
    faded = 80
    np.testing.assert_array_equal(out[faded:], samples[faded : out.size])
    assert buffer.underruns == buffer.dropped == 0


def test_running_dry_is_counted_once_and_fades(speech_pcm):
    loud = np.full(400, 10_000, np.int16)
    buffer = JitterBuffer(1_000, HOP, np.int16)
    buffer.write(loud)
    out = np.empty(HOP, np.int16)
    pieces = []
    for _ in range(6):
        buffer.read_into(out)
        pieces.append(out.copy())
    assert buffer.underruns == 1
    # Over 80 samples, up and down.
    assert np.abs(np.diff(np.concatenate(pieces).astype(int))).max() <= 10_000 / 79 + 1


def test_running_dry_between_two_reads_fades_from_the_last_sample():
    buffer = JitterBuffer(1_000, HOP, np.int16)
    buffer.write(np.full(3 * HOP, 10_000, np.int16))
    for _ in range(4):
        out = np.full(HOP, -30_000, np.int16)
        buffer.read_into(out)
    assert buffer.underruns == 1
    assert out[0] == 10_000 and (np.diff(out[:80].astype(int)) < 0).all() and not out[80:].any()


def test_underruns_are_counted_and_a_backlog_dropped_once_the_delay_was_found():
    buffer = JitterBuffer(8_000, HOP, np.int16)
    controller, out = DelayController(buffer, HOP), np.empty(HOP, np.int16)
    hop = np.ones(HOP, np.int16)
    buffer.write(np.tile(hop, 2))
    for now in (0.0, 1.0, 2.5):  # the first window, in which it runs dry to find the delay
        buffer.read_into(out)
        wanted = controller.update(now)
    assert (wanted, controller.underruns) == (0, 0)
    buffer.write(np.tile(hop, 3))
    for now in (3.0, 3.5, 4.0, 4.1, 5.0):
        buffer.read_into(out)
        wanted = controller.update(now)
    assert (wanted, controller.underruns) == (0, 1)
    buffer.write(np.tile(hop, 12))
    for now in (5.1, 7.5):
        buffer.read_into(out)
        wanted = controller.update(now)
    # Ten hops are left at the least; one and a half is the most, and one more since it ran dry.
    assert (wanted, controller.underruns) == (-8, 1)
    assert controller.waiting == pytest.approx(10.5 * HOP)


@pytest.mark.parametrize("size", [100, 160, 250])
def test_the_far_end_comes_through_in_blocks_of_any_size(speech_pcm, size):
    far_end = FarEnd(16_000, 16_000)
    said = speech_pcm[:16_000]
    out, given = [], 0
    for count in range(1, 90):
        while given < count * HOP + 2 * size:
            far_end.blocks.put(said[given : given + size, None])
            given += size
        out.append(far_end.next_hop(np.zeros(HOP, np.float32)))
    joined = to_pcm(np.concatenate(out))
    start = 80  # the fade at its beginning
    np.testing.assert_array_equal(joined[start : 85 * HOP], said[start : 85 * HOP])
    powers = np.mean(np.square(np.stack(out)), axis=1)
    weights = 0.05 * 0.95 ** np.arange(len(powers))[::-1]
    assert far_end.power == pytest.approx(weights @ powers, rel=1e-3)


def test_a_buffer_that_nobody_reads_drops_and_goes_on_with_the_present(speech_pcm):
    buffer = JitterBuffer(1_000, HOP, np.int16)
    out = np.empty(HOP, np.int16)
    buffer.write(speech_pcm[: 2 * HOP])
    buffer.read_into(out)
    for start in range(2 * HOP, 16_000, HOP):
        buffer.write(speech_pcm[start : start + HOP])
    assert buffer.level == 1_000
    assert buffer.dropped == 16_000 - HOP - 1_000
    buffer.read_into(out)
    assert buffer.level == HOP


def test_the_delay_is_given_back_after_calm():
    policy = DelayPolicy()
    assert policy.decide(0.0, ran_dry=True) == 0
    assert policy.decide(2.0, ran_dry=False) == 0, "one hop of reserve after an underrun"
    for _ in range(DelayPolicy.CALM_WINDOWS):
        wanted = policy.decide(2.0, ran_dry=False)
    assert wanted == -1
    assert policy.decide(30.0, ran_dry=False) <= -28, "a backlog is dropped at once"
    assert policy.decide(0.1, ran_dry=False) == 1


def test_the_far_end_comes_and_goes_while_the_engine_runs(tmp_path, speech_pcm):
    """With a model that gives out the far end: silence, then speech, then silence."""
    played = []
    engine = Engine(
        Enhancer(far_end_model(tmp_path / "passing.onnx", 0, 1)),
        16_000,
        16_000,
        on_output=lambda hop, rate_hz: played.append(hop),
    )
    far_end = FarEnd(16_000, 16_000)
    silence = np.zeros((HOP, 1), np.int16)
    for index, start in enumerate(range(0, 300 * HOP, HOP)):
        if 100 <= index < 200:
            far_end.blocks.put(speech_pcm[start : start + HOP, None])
        engine.far_end = far_end if 100 <= index < 200 else None
        engine.process(silence)
    out = np.concatenate(played)
    assert not out[: 100 * HOP].any()
    assert not out[202 * HOP :].any()
    said = speech_pcm[100 * HOP : 190 * HOP].astype(np.float32)
    assert np.corrcoef(said[1_000:], aligned(said[1_000:], out))[0, 1] > 0.99


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_a_block_as_long_as_a_hop_brings_one_out_at_once(model, rate):
    """Else a hop of each block would wait for the next one."""
    engine = Engine(Enhancer(model), rate, 16_000)
    engine.bypass = True
    for count in range(1, 30):
        engine.process(np.zeros((rate // 100, 1), np.int16))
        assert engine.counters.hops == count


def through_engine(model, speech, rate_hz, output_rate_hz, profile=None, past_network=False):
    """Speech at 16 kHz, given at one rate and with what is above 8 kHz -> what is given, and what is played."""
    played = []
    engine = Engine(
        Enhancer(model, profile), rate_hz, output_rate_hz, on_output=lambda *hop: played.append(hop)
    )
    engine.bypass = past_network
    given = to_pcm(with_treble(speech, rate_hz))
    for start in range(0, given.size, rate_hz // 100):
        engine.process(given[start : start + rate_hz // 100, None])
    assert {rate for _, rate in played} == {output_rate_hz}
    return to_float(given), np.concatenate([hop for hop, _ in played])


@pytest.mark.parametrize(("rate", "output_rate"), RATES)
def test_past_the_network_all_that_both_rates_carry_comes_out_one_hop_later(
    model, speech, si_sdr, rate, output_rate
):
    given, out = through_engine(model, speech[:32_000], rate, output_rate, past_network=True)
    hop = output_rate // 100
    assert out.size == 2 * output_rate
    if rate == output_rate:
        np.testing.assert_array_equal(out[hop:], given[:-hop])
        return
    expected = soxr.resample(given, rate, output_rate, quality="VHQ")
    # Where a band ends, each filter has its own slope.
    end_hz = 0.45 * min(rate, output_rate)
    assert si_sdr(*(below(end_hz, sound, output_rate) for sound in (expected[:-hop], out[hop:]))) > 60


def below(frequency_hz, samples, rate_hz):
    spectrum = np.fft.rfft(samples)
    spectrum[round(frequency_hz * samples.size / rate_hz) :] = 0
    return np.fft.irfft(spectrum, samples.size)


@pytest.mark.parametrize(("rate", "output_rate"), RATES)
def test_a_voice_that_is_kept_keeps_its_treble_and_others_lose_theirs(
    model, recording, female_profile, rate, output_rate
):
    own, other = (recording(name)[: 5 * 16_000] for name in ("ls367_speech", "ls2033_speech"))
    # The last of five seconds, in which the network has found out who speaks.
    kept, taken = (
        (given[-rate:], out[-output_rate:])
        for given, out in (
            through_engine(model, voice, rate, output_rate, female_profile) for voice in (own, other)
        )
    )

    def change_db(given, out):
        return 10 * np.log10(np.mean(out**2) / np.mean(given**2))

    def treble_change_db(given, out):
        return treble_db(out, output_rate) - treble_db(given, rate)

    assert change_db(*kept) > -2
    if rate >= 16_000:  # it takes longer where half of the band is missing
        assert change_db(*taken) < -20
    if min(rate, output_rate) > 2 * TREBLE_HZ[1]:
        assert treble_change_db(*kept) > -3
        assert treble_change_db(*taken) < -20


def test_the_latency_is_what_lies_between_block_and_playback(model):
    engine = Engine(Enhancer(model), 48_000, 44_100)
    assert engine.latency_s == pytest.approx(0.01)
    engine.playback.write(np.zeros(3 * 441, np.int16))
    assert engine.latency_s == pytest.approx(0.04)


def test_nobody_who_plays_costs_half_a_second_of_memory_and_a_machine_at_ease_no_overload(model):
    engine = Engine(Enhancer(model), 48_000, 48_000)
    engine.bypass = True
    for _ in range(100):
        engine._work_off(np.zeros((480, 1), np.int16))
    engine.bypass = False
    engine._work_off(np.zeros((480, 1), np.int16))
    assert engine.playback.level == 24_000
    assert engine.counters.overloads == 0 and not engine.overloaded


def test_the_far_end_is_kept_in_step_by_the_engine(model):
    engine, seen = Engine(Enhancer(model), 16_000, 16_000), []
    engine.control_delay(1.0)
    engine.far_end = SimpleNamespace(control_delay=seen.append)
    engine.control_delay(2.0)
    assert seen == [2.0]


def test_levels_in_decibels():
    assert [dbfs(power) for power in (1.0, 0.01, 0.0)] == pytest.approx([0, -20, -120])


def overload_s(overload, now):
    """Too much at ``now`` -> how long that is believed, to a tenth of a second."""
    overload.begin(now, 0)
    assert overload.check(now + 0.3, 1) and overload.active
    for tenths in range(400):
        overload.begin(now + 0.3 + tenths / 10, 1)
        if not overload.active:
            return tenths / 10
    raise AssertionError("it never ends")


def test_each_overload_is_believed_twice_as_long_until_it_was_calm_for_half_a_minute():
    overload, now, seconds = Overload(), 100.0, []
    for _ in range(7):
        seconds.append(overload_s(overload, now))
        now += seconds[-1] + 1
    assert seconds == pytest.approx([1, 2, 4, 8, 16, 30, 30], abs=0.11)
    assert overload_s(overload, now + 25) == pytest.approx(30, abs=0.11)
    assert overload_s(overload, now + 25 + 30 + 35) == pytest.approx(1, abs=0.11)


def test_a_burst_or_a_busy_machine_that_keeps_up_is_no_overload():
    overload = Overload()
    overload.begin(100.0, underruns=3)
    assert not overload.check(100.1, underruns=4), "a burst of a device"
    assert not overload.check(109.0, underruns=3), "busy, and nothing ran dry"
    overload.begin(109.0, underruns=4)
    assert not overload.check(109.3, underruns=4), "it ran dry before"
    assert not overload.active


class SlowMachine:
    """A backend that does each step so often that it takes ``seconds``: the same model on a slower machine."""

    def __init__(self, backend):
        self._backend = backend
        self.seconds = 0.0

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def step(self, spectrum, profile, states, far=None):
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            time.sleep(0.001)
        return self._backend.step(spectrum, profile, states, far)


def test_an_overloaded_machine_passes_the_sound_as_it_is_and_recovers(model, speech_pcm):
    machine = SlowMachine(model.backend)
    engine = Engine(Enhancer(dataclasses.replace(model, backend=machine)), 16_000, 16_000)
    out = np.empty(HOP, np.int16)
    played = []

    def live(seconds):
        begin = time.monotonic()
        for index in range(round(100 * seconds)):
            time.sleep(max(0.0, begin + index / 100 - time.monotonic()))
            start = len(played) * HOP % (speech_pcm.size - HOP)
            engine.blocks.put(speech_pcm[start : start + HOP, None])
            engine.playback.read_into(out)
            played.append(out.copy())

    engine.start()
    try:
        live(0.3)
        machine.seconds = 0.03
        live(1)
        assert engine.counters.overloads >= 1
        assert np.abs(np.concatenate(played).astype(int)).max() <= 1.5 * np.abs(speech_pcm.astype(int)).max()
        machine.seconds = 0.0
        live(2.5)
        assert not engine.overloaded
        assert engine.failure is None
    finally:
        engine.close()
    assert engine.blocks.qsize() < 20
    assert engine.playback.level < 8_000


def test_every_16_bit_sample_survives_the_way_to_floats_and_back():
    every = np.arange(-FULL_SCALE, FULL_SCALE, dtype=np.int64).astype(np.int16)
    np.testing.assert_array_equal(to_pcm(to_float(every)), every)
    np.testing.assert_array_equal(to_pcm(np.array([-2, 2], np.float32)), [-32768, 32767])


def test_drift_and_bursts_leave_no_trace_in_the_delay(model, speech_pcm):
    """Two devices whose clocks differ by one part in 2000 and that take samples in bursts, without waiting."""
    engine = Engine(Enhancer(model, strength=0), 16_000, 16_000)
    engine.bypass = True
    simulated_s = 300
    out = np.empty(HOP, np.int16)
    levels = []
    owed = 0.0
    for index in range(100 * simulated_s):
        start = index * HOP % (speech_pcm.size - HOP)
        engine.process(speech_pcm[start : start + HOP, None])
        owed += 1.0005
        while owed >= 1:
            owed -= 1
            engine.playback.read_into(out)
        engine.control_delay(index / 100)
        levels.append(engine.playback.level)
    late = np.array(levels[len(levels) // 2 :])
    assert late.max() < 5 * HOP
    assert engine.counters.underruns <= 2
