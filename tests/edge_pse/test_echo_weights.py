"""The shipped network with a far end, on recordings: its echo goes, whoever is near stays, one enrollment serves it."""

import numpy as np
import pytest

from edge_pse import Enhancer, Model, enroll
from evaluation.metrics.signal import erle_db, si_sdr
from tests.edge_pse.audio.rooms import room_response

RATE_HZ = 16_000
DELAYS_MS = (0, 40, 120, 300)
FILES = ("pvqe-s-far.fp32", "pvqe-s-far.int8")


@pytest.fixture(scope="module", params=FILES)
def canceller(request):
    return Model.load(request.param)


@pytest.fixture(scope="module")
def far(recording):
    """Six seconds of somebody else in a call, at the level of a loopback."""
    return recording("ls2033_speech")[: 6 * RATE_HZ]


def echo_of(far, delay_ms):
    """What a microphone hears of it, in a room."""
    late = np.r_[np.zeros(delay_ms * RATE_HZ // 1000, np.float32), far]
    return 0.5 * np.convolve(late, room_response(0.2))[: far.size].astype(np.float32)


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_an_echo_goes_whatever_its_delay(canceller, far, delay_ms):
    heard = echo_of(far, delay_ms)
    assert erle_db(heard, Enhancer(canceller).enhance(heard, 16_000, far)) > 20


def test_without_its_reference_the_same_voice_stays(canceller, far):
    heard = echo_of(far, 40)
    assert erle_db(heard, Enhancer(canceller).enhance(heard, 16_000)) < 2


def test_who_is_near_stays_while_both_talk(canceller, far, recording):
    near = np.resize(recording("ls367_speech"), far.size)
    heard = near + echo_of(far, 40)
    enhanced = Enhancer(canceller).enhance(heard, 16_000, far)
    assert si_sdr(near, enhanced) > si_sdr(near, heard) + 2
    alone = Enhancer(canceller).enhance(near, 16_000, np.zeros_like(near))
    assert si_sdr(near, alone) > 8


def test_a_profile_of_the_plain_network_serves(canceller, far, recording):
    profile = enroll(recording("ls367_enrollment"), 16_000, model=Model.load("pvqe-s"), name="me")
    assert enroll(recording("ls367_enrollment"), 16_000, model=canceller).model_id == profile.model_id
    near, other = (np.resize(recording(name), far.size) for name in ("ls367_speech", "ls3080_speech"))
    heard = near + other + echo_of(far, 40)
    enhanced = Enhancer(canceller, profile).enhance(heard, 16_000, far)
    assert si_sdr(near, enhanced) > si_sdr(near, Enhancer(canceller).enhance(heard, 16_000, far)) + 1
