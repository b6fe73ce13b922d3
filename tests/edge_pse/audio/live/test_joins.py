"""Where two sounds are joined, a user hears a fault first: no step, at the right place, and nothing else changed."""

import numpy as np
import pytest

from edge_pse import Enhancer
from edge_pse.audio.live.bypass import BypassSwitch
from edge_pse.audio.live.splicing import Splicer
from edge_pse.spectral import RateChange
from tests.edge_pse.treble import with_treble

HOP = 160
PATIENCE = 100


def assert_no_step(out, one, other, hop_samples):
    """``out`` goes from one sound to the other, both at its place, in a hop or more.

    Then no two samples in a row differ by more than they do in the steeper of the two sounds, and by a hop's
    share of what is between the sounds.
    """
    slope = np.maximum(np.abs(np.diff(one)), np.abs(np.diff(other)))
    apart = np.abs(one - other)
    bound = slope + np.maximum(apart[1:], apart[:-1]) / hop_samples + 1e-6
    assert (np.abs(np.diff(out)) <= bound).all()


def tone(hops, frequency_hz=150):
    """A hop is one and a half of its periods, so that a hop too few or too many turns it upside down."""
    time = np.arange(hops * HOP) / 16_000
    return (0.5 * np.cos(2 * np.pi * frequency_hz * time)).astype(np.float32)


def spliced(samples, request, at):
    """Through a splicer hop by hop -> the samples, and how many hops came out for each."""
    splicer = Splicer(HOP)
    out = []
    for index, hop in enumerate(samples.reshape(-1, HOP)):
        if index == at:
            splicer.request(request)
        out.append(splicer.process(hop))
    return np.concatenate([hop for hops in out for hop in hops]), [len(hops) for hops in out]


@pytest.mark.parametrize("request_hops", [1, 3, -1, -3])
def test_hops_are_added_or_dropped_without_a_step(request_hops):
    sound = tone(600)
    out, counts = spliced(sound, request_hops, 10)
    assert out.size == sound.size + request_hops * HOP and counts != [1] * 600
    # The same tone before and after, or upside down in between: a cross-fade is no steeper than both.
    steepest = np.abs(np.diff(sound)).max() + 2 * np.abs(sound).max() / HOP
    assert np.abs(np.diff(out)).max() <= steepest + 1e-6
    hops = out.reshape(-1, HOP)
    np.testing.assert_array_equal(hops[: 10 + PATIENCE], sound.reshape(-1, HOP)[: 10 + PATIENCE])
    np.testing.assert_array_equal(hops[-1], sound.reshape(-1, HOP)[-1])


@pytest.mark.parametrize(("request_hops", "at_the_cut"), [(1, [2, 1]), (-1, [0, 1]), (-3, [0, 0, 0, 1])])
def test_the_cut_waits_for_the_next_quiet_hop(request_hops, at_the_cut):
    noise = np.random.default_rng(0).normal(0, 0.1, (200, HOP)).astype(np.float32)
    noise[80:] *= np.float32(0.1)
    _, counts = spliced(noise.ravel(), request_hops, 60)
    assert counts == [1] * 80 + at_the_cut + [1] * (120 - len(at_the_cut))


def test_a_stream_that_has_just_begun_is_not_taken_for_quiet():
    noise = np.random.default_rng(0).normal(0, 0.01, 60 * HOP).astype(np.float32)
    _, counts = spliced(noise, 1, 20)
    assert counts == [1] * 60


def test_a_hop_added_right_after_one_was_dropped_has_no_step_either():
    sound = tone(600, 75)
    splicer, out = Splicer(HOP), []
    splicer.request(-1)
    for hop in sound.reshape(-1, HOP):
        before = len(out)
        out += splicer.process(hop)
        if len(out) == before:  # it is dropped; what comes next is loud, and then all of it quiet beside that
            splicer._usual_energy = 1e9
        elif len(out) == PATIENCE + 1:
            splicer.request(1)
    joined = np.concatenate(out)
    assert joined.size == sound.size
    assert (
        np.abs(np.diff(joined)).max() <= np.abs(np.diff(sound)).max() + 2 * np.abs(sound).max() / HOP + 1e-6
    )


def test_in_unbroken_noise_the_cut_waits_no_longer_than_its_patience_and_in_silence_not_at_all():
    noise = np.random.default_rng(0).normal(0, 0.1, 300 * HOP).astype(np.float32)
    _, counts = spliced(noise, 1, 60)
    assert counts.index(2) == 60 + PATIENCE
    _, counts = spliced(np.zeros_like(noise), 1, 60)
    assert counts.index(2) == 60


@pytest.mark.parametrize(("rate", "output_rate"), [(16_000, 16_000), (48_000, 48_000), (44_100, 48_000)])
def test_past_the_network_and_back_keeps_the_delay_and_has_no_step(model, recording, mix, rate, output_rate):
    noisy = mix(recording("ls367_speech")[: 200 * HOP], recording("helicopter"), 0)
    hops = with_treble(noisy, rate).reshape(200, -1)
    switch, network = (BypassSwitch(enhancer(model, rate, output_rate)), enhancer(model, rate, output_rate))
    past = range(50, 100)
    out = np.stack([switch.process(hop, index in past) for index, hop in enumerate(hops)])
    change = RateChange(rate, output_rate)
    dry = np.stack([change.process(hop) for hop in hops])
    if rate == output_rate:
        np.testing.assert_array_equal(dry[1:], hops[:-1])
    enhanced = dry.copy()
    for index, hop in enumerate(hops):
        if index not in past[1:]:
            enhanced[index] = network.process(hop)
    np.testing.assert_array_equal(out[:50], enhanced[:50])
    # Back at the network, its window still holds the sound of before for two hops.
    np.testing.assert_array_equal(out[51:102], dry[51:102])
    np.testing.assert_array_equal(out[103:], enhanced[103:])
    assert_no_step(out.ravel(), dry.ravel(), enhanced.ravel(), output_rate // 100)
    for fade, before, after in ((50, enhanced, dry), (102, dry, enhanced)):
        assert np.abs(before[fade] - after[fade]).max() > 0.01, "else a step would not be seen"


def enhancer(model, rate_hz, output_rate_hz):
    return Enhancer(model, rate_hz=rate_hz, output_rate_hz=output_rate_hz)
