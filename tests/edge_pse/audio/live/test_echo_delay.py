"""The delay of the echo in simulated rooms, and the far end kept shortly before it."""

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer
from edge_pse.audio.live.echo_delay import FarEndAligner
from edge_pse.audio.live.engine import Engine
from edge_pse.audio.live.far_end import FarEnd
from edge_pse.audio.pcm import to_float, to_pcm
from tests.edge_pse.audio.rooms import (
    FAR_VOICES,
    NEAR_VOICES,
    RATE_HZ,
    at_ratio,
    delayed,
    room_response,
    voices,
)  # fmt: skip
from tests.edge_pse.graphs import adaptive_filter_model

HOP = 160
DIRECT_S = 0.0044
FOUND_WITHIN_S = 4.5
FOLLOWED_WITHIN_S = 3.0


@pytest.fixture(scope="module")
def far(recording):
    return voices(recording, FAR_VOICES, 20)


@pytest.fixture(scope="module")
def echo(far):
    return np.convolve(far, room_response(0.4))[: far.size].astype(np.float32)


class Watched:
    """An aligner fed hop by hop, and what it said in each."""

    def __init__(self, microphone, far):
        aligner = FarEndAligner(RATE_HZ)
        delays, held, out = [], [], []
        for start in range(0, far.size - HOP + 1, HOP):
            hop = slice(start, start + HOP)
            out.append(aligner.process(microphone[hop], far[hop]))
            delays.append(np.nan if aligner.echo.delay_s is None else aligner.echo.delay_s)
            held.append(aligner.applied_delay_s)
        self.delay_s, self.applied_delay_s, self.far_end = (
            np.array(delays),
            np.array(held),
            np.concatenate(out),
        )

    def after(self, seconds):
        return slice(round(seconds * RATE_HZ / HOP), None)

    def ahead_s(self, true_delay_s):
        """How long the far end that is given comes before its echo."""
        return true_delay_s + DIRECT_S - self.applied_delay_s


@pytest.mark.parametrize("delay_s", [0.0, 0.04, 0.2, 0.5, 0.8, 1.5])
def test_the_delay_is_found_and_most_of_it_taken_away(far, echo, delay_s):
    watched = Watched(delayed(echo, delay_s), far)
    found = watched.after(FOUND_WITHIN_S)
    np.testing.assert_allclose(watched.delay_s[found], delay_s + DIRECT_S, atol=0.002)
    ahead_s = watched.ahead_s(delay_s)
    assert (ahead_s[found] <= FarEndAligner.MOST_S).all()
    assert (ahead_s >= min(delay_s, FarEndAligner.LEAST_S)).all(), "never behind its echo, not even at first"
    assert len(set(watched.applied_delay_s)) <= 2, "one change is enough"


def test_what_is_given_is_the_far_end_held_back_that_long(far, echo):
    watched = Watched(delayed(echo, 0.5), far)
    applied_delay_s = watched.applied_delay_s[-1]
    assert applied_delay_s == pytest.approx(0.45, abs=0.01)
    settled = slice(round(5 * RATE_HZ), watched.far_end.size)
    np.testing.assert_array_equal(watched.far_end[settled], delayed(far, applied_delay_s)[settled])
    steps = np.abs(np.diff(watched.far_end)).max()
    assert steps <= 1.5 * np.abs(np.diff(far)).max(), "no click where it changes"


@pytest.mark.parametrize("echo_over_db", [0, -10])
@pytest.mark.parametrize("other", ["noise", "talker"])
def test_noise_and_double_talk_do_not_hide_it(far, echo, recording, other, echo_over_db):
    sound = recording("helicopter") if other == "noise" else voices(recording, NEAR_VOICES, 20)
    echo = delayed(echo, 0.3)
    watched = Watched(echo + at_ratio(echo, sound, echo_over_db), far)
    np.testing.assert_allclose(watched.delay_s[watched.after(FOUND_WITHIN_S)], 0.3 + DIRECT_S, atol=0.002)


def test_a_loudspeaker_that_distorts_in_a_room_that_rings(far, recording):
    loud = np.tanh(4 * far / np.abs(far).max()).astype(np.float32)
    echo = delayed(np.convolve(loud, room_response(0.8))[: far.size].astype(np.float32), 0.25)
    echo += at_ratio(echo, recording("helicopter"), 5)
    watched = Watched(echo, far)
    np.testing.assert_allclose(watched.delay_s[watched.after(FOUND_WITHIN_S)], 0.25 + DIRECT_S, atol=0.003)


@pytest.mark.parametrize(("before_s", "after_s"), [(0.2, 0.6), (0.6, 0.1), (0.1, 1.2)])
def test_a_jump_is_followed(far, echo, before_s, after_s):
    jump = 10 * RATE_HZ
    microphone = np.concatenate([delayed(echo, before_s)[:jump], delayed(echo, after_s)[jump:]])
    watched = Watched(microphone, far)
    after = watched.after(10 + FOLLOWED_WITHIN_S)
    np.testing.assert_allclose(watched.delay_s[after], after_s + DIRECT_S, atol=0.002)
    ahead_s = watched.ahead_s(after_s)[after]
    assert ((ahead_s >= FarEndAligner.LEAST_S) & (ahead_s <= FarEndAligner.MOST_S)).all()


@pytest.mark.parametrize("skew_ppm", [300, -300])
def test_clocks_that_differ_are_followed(recording, skew_ppm):
    far = voices(recording, FAR_VOICES, 60)
    echo = delayed(np.convolve(far, room_response(0.4))[: far.size].astype(np.float32), 0.3)
    skewed = soxr.resample(echo, RATE_HZ, RATE_HZ * (1 + skew_ppm * 1e-6))
    size = min(skewed.size, far.size)
    watched = Watched(skewed[:size], far[:size])
    true_s = 0.3 + np.arange(watched.applied_delay_s.size) * HOP / RATE_HZ * skew_ppm * 1e-6
    found = watched.after(FOUND_WITHIN_S)
    np.testing.assert_allclose(watched.delay_s[found], true_s[found] + DIRECT_S, atol=0.004)
    assert (watched.ahead_s(true_s)[found] > 0.01).all()


def test_without_an_echo_nothing_is_believed_and_nothing_held_back(recording):
    far = voices(recording, FAR_VOICES, 60)
    watched = Watched(voices(recording, NEAR_VOICES, 60), far)
    assert np.isnan(watched.delay_s).all()
    assert not watched.applied_delay_s.any()


def test_while_the_far_end_is_silent_the_delay_stays(far, echo, recording):
    pause = slice(8 * RATE_HZ, 16 * RATE_HZ)
    far, microphone = far.copy(), delayed(echo, 0.4)
    far[pause] = 0
    microphone[pause] = voices(recording, NEAR_VOICES, 8)
    watched = Watched(microphone, far)
    np.testing.assert_allclose(watched.delay_s[watched.after(FOUND_WITHIN_S)], 0.4 + DIRECT_S, atol=0.002)


def test_an_echo_before_the_far_end_is_seen_and_nothing_held_back(far, echo):
    watched = Watched(delayed(echo, -0.1), far)
    np.testing.assert_allclose(watched.delay_s[watched.after(FOUND_WITHIN_S)], -0.1 + DIRECT_S, atol=0.002)
    assert not watched.applied_delay_s.any()


@pytest.mark.parametrize(
    ("rate_hz", "channels", "microphone_hz", "skew"),
    [(16_000, 1, 16_000, 200e-6), (44_100, 2, 48_000, -200e-6)],
)
def test_a_device_with_a_clock_of_its_own_stays_in_step(recording, rate_hz, channels, microphone_hz, skew):
    """The far end in bursts from a card that is too fast or too slow, the microphone hop by hop, without waiting."""
    seconds = 60
    far = voices(recording, FAR_VOICES, seconds)
    microphone = delayed(np.convolve(far, room_response(0.4))[: far.size].astype(np.float32), 0.3)
    card = to_pcm(soxr.resample(far, RATE_HZ, rate_hz * (1 + skew)))
    microphone = soxr.resample(microphone, RATE_HZ, microphone_hz)
    far_end = FarEnd(rate_hz, microphone_hz)
    burst, hop = rate_hz // 25, microphone_hz // 100
    given, taken = [], 0
    for index in range(100 * seconds):
        now = index / 100
        while taken + burst <= min(now * rate_hz * (1 + skew), card.size):
            far_end.blocks.put(np.repeat(card[taken : taken + burst, None], channels, axis=1))
            taken += burst
        given.append(far_end.next_hop(microphone[index * hop : (index + 1) * hop]))
        far_end.control_delay(now)
    given, microphone = (
        soxr.resample(sound, microphone_hz, RATE_HZ) for sound in (np.concatenate(given), microphone)
    )
    # Piece by piece: how long before its echo does the far end come?
    for begin in range(10 * RATE_HZ, given.size - 2 * RATE_HZ, 5 * RATE_HZ):
        ahead_s = lag_s(given[begin : begin + 2 * RATE_HZ], microphone[begin : begin + 2 * RATE_HZ])
        assert 0 < ahead_s < 0.2, begin / RATE_HZ
    assert far_end.power > 1e-5


@pytest.mark.parametrize(("microphone_hz", "far_hz"), [(48_000, 44_100), (16_000, 48_000)])
def test_the_echo_goes_at_whatever_rates_microphone_and_far_end_are(tmp_path, far, microphone_hz, far_hz):
    """With a classical canceller, for which all must be in time."""
    seconds = 12
    echo = delayed(0.5 * np.convolve(far, room_response(0.2))[: far.size].astype(np.float32), 0.3)
    heard, played = (
        to_pcm(soxr.resample(sound[: seconds * RATE_HZ], RATE_HZ, rate_hz))[:, None].reshape(
            100 * seconds, -1, 1
        )
        for sound, rate_hz in ((echo, microphone_hz), (far, far_hz))
    )
    out = []
    enhancer = Enhancer(adaptive_filter_model(tmp_path / "adaptive.onnx", step=0.3))
    engine = Engine(enhancer, microphone_hz, 48_000, on_output=lambda hop, _: out.append(hop))
    engine.far_end = FarEnd(far_hz, microphone_hz)
    for block, far_block in zip(heard, played, strict=True):
        engine.far_end.blocks.put(far_block)
        engine.process(block)
    half = seconds // 2
    left = np.mean(np.concatenate(out)[half * 48_000 :] ** 2)
    assert 10 * np.log10(np.mean(to_float(heard).ravel()[half * microphone_hz :] ** 2) / left) > 10


@pytest.mark.parametrize("known", [False, True])
def test_what_waits_is_given_back_unless_the_echo_is_known_to_come_late_enough(far, echo, known):
    """Dropping hops would cost the network the place of the echo for nothing."""
    microphone = delayed(echo, 0.4) if known else np.zeros_like(far)
    far_end, given, pcm = FarEnd(RATE_HZ, RATE_HZ), [], to_pcm(far)[:, None]
    backlog = 0
    for start in range(0, far.size - 20 * HOP, HOP):
        if start == 8 * RATE_HZ:
            backlog = 10 * HOP
            far_end.blocks.put(pcm[start : start + backlog])
        far_end.blocks.put(pcm[start + backlog : start + backlog + HOP])
        given.append(far_end.next_hop(microphone[start : start + HOP]))
        far_end.control_delay(start / RATE_HZ)
    last = slice(16 * RATE_HZ, 18 * RATE_HZ)
    behind_s = lag_s(far[last], np.concatenate(given)[last])
    if known:
        assert far_end.echo_delay_s == pytest.approx(0.4, abs=0.03)
        assert 0 < behind_s - far_end.applied_delay_s < 0.03, "still as late as before"
    else:
        assert far_end.echo_delay_s is None
        assert -0.1 <= behind_s < -0.05, "all that came early is given early"


def lag_s(early, late):
    """By how much ``late`` is later."""
    size = 2 * early.size
    cross = np.fft.rfft(late, size) * np.conj(np.fft.rfft(early, size))
    place = int(np.argmax(np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12))))
    return (place if place < early.size else place - size) / RATE_HZ
