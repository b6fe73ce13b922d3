"""One stream and several threads: who may change what, and when it acts."""

import sys
import threading

import numpy as np
import pytest

from edge_pse import Enhancer
from edge_pse.errors import ThreadError

HOP = 160


@pytest.fixture
def noisy(recording, mix):
    return mix(recording("ls367_speech")[:40_000], recording("helicopter"), 5)


@pytest.fixture
def eager_threads():
    """Threads that take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_change_in_the_middle_of_a_hop_waits_for_the_next_one(model, noisy, female_profile, male_profile):
    """As another thread would at the worst moment: while the network runs."""
    expected = Enhancer(model, female_profile).process(noisy[: 20 * HOP])
    enhancer, heard, steps = Enhancer(model, female_profile), [], []
    enhancer.observe(heard.append)
    step = enhancer._step

    def change_meanwhile(*arguments):
        steps.append(arguments)
        if len(steps) == 58:  # three in each hop, so that this is the first one of the last
            enhancer.observe(None)
            enhancer.strength = 0.0
            enhancer.profiles = None
        return step(*arguments)

    enhancer._step = change_meanwhile
    np.testing.assert_array_equal(enhancer.process(noisy[: 20 * HOP]), expected)
    assert (len(heard), len(steps)) == (20, 60)
    enhancer.process(noisy[20 * HOP : 22 * HOP])
    assert (len(heard), len(steps)) == (20, 62)


def test_a_stream_whose_settings_are_hammered_goes_on(
    model, noisy, female_profile, male_profile, eager_threads
):
    enhancer, heard, failures, ended = Enhancer(model), [], [], threading.Event()

    def hammer():
        try:
            while not ended.is_set():
                for profile in (female_profile, male_profile, None):
                    enhancer.observe(heard.append)
                    enhancer.profiles = profile
                    enhancer.strength = 0.0 if enhancer.strength else 1.0
                    enhancer.observe(None)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        out = [enhancer.process(block) for block in np.split(noisy, 10)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert np.isfinite(np.concatenate(out)).all() and heard
    enhancer.profiles, enhancer.strength = male_profile, 1.0
    np.testing.assert_array_equal(
        enhancer.enhance(noisy, 16_000), Enhancer(model, male_profile).enhance(noisy, 16_000)
    )


def test_changes_of_two_threads_at_once_are_both_kept(model, female_profile, eager_threads):
    enhancer = Enhancer(model)

    def set_strengths():
        for step in range(2_000):
            enhancer.strength = step / 2_000

    thread = threading.Thread(target=set_strengths)
    thread.start()
    while thread.is_alive():
        enhancer.profiles = None
        enhancer.profiles = female_profile
        assert enhancer.profiles == (female_profile,)
    assert enhancer.strength == 1_999 / 2_000


def test_a_second_thread_in_the_same_stream_is_refused_and_changes_nothing(model, noisy):
    expected = Enhancer(model).process(noisy)
    enhancer, inside, go_on, out = Enhancer(model), threading.Event(), threading.Event(), []

    def wait_in_the_middle(heard):
        inside.set()
        assert go_on.wait(10)

    enhancer.observe(wait_in_the_middle)
    thread = threading.Thread(target=lambda: out.append(enhancer.process(noisy)))
    thread.start()
    try:
        assert inside.wait(10)
        for intrude in (
            lambda: enhancer.process(noisy),
            enhancer.flush,
            enhancer.reset,
            lambda: enhancer.enhance(noisy, 16_000),
        ):
            with pytest.raises(ThreadError, match="give each thread an Enhancer of its own"):
                intrude()
    finally:
        go_on.set()
        thread.join()
    np.testing.assert_array_equal(out[0], expected)


def test_a_listener_may_end_itself_and_one_that_fails_ends_only_the_call(model, noisy):
    enhancer, heard = Enhancer(model), []

    def once(hop):
        heard.append(hop)
        enhancer.observe(None)

    enhancer.observe(once)
    np.testing.assert_array_equal(enhancer.process(noisy), Enhancer(model).process(noisy))
    assert len(heard) == 1

    def fail(hop):
        raise RuntimeError("a listener")

    enhancer.observe(fail)
    with pytest.raises(RuntimeError, match="a listener"):
        enhancer.process(noisy)
    enhancer.observe(None)
    enhancer.reset()
    np.testing.assert_array_equal(enhancer.process(noisy), Enhancer(model).process(noisy))
