"""Ratios and over-suppression against cases that can be computed by hand."""

import numpy as np
import pytest

from evaluation.metrics.signal import (
    CEILING_DB,
    active_rms,
    erle_db,
    is_wrong_talker,
    level_change_db,
    onset_loss,
    over_suppression,
    pooled_suppression_db,
    si_sdr,
    suppression_db,
)

SECOND = 16_000


@pytest.fixture
def speech(recording):
    return recording("ls367_speech")


def test_si_sdr_of_two_orthogonal_parts_is_their_energy_ratio():
    reference = np.array([3.0, 0.0, 0.0, 0.0])
    assert si_sdr(reference, np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(0.0)
    assert si_sdr(reference, np.array([10.0, 1.0, 0.0, 0.0])) == pytest.approx(20.0)
    # 4^2 of signal over 1 + 1 of distortion
    assert si_sdr(reference, np.array([4.0, 1.0, -1.0, 0.0])) == pytest.approx(10 * np.log10(8.0))


def test_si_sdr_ignores_scale_and_sign_and_has_a_ceiling(speech):
    noisy = speech + 0.01 * np.random.default_rng(0).standard_normal(len(speech))
    assert si_sdr(speech, -3.0 * noisy) == pytest.approx(si_sdr(speech, noisy))
    assert si_sdr(speech, speech) == CEILING_DB


def test_si_sdr_is_undefined_for_silence(speech):
    silence = np.zeros_like(speech)
    assert np.isnan(si_sdr(speech, silence))
    assert np.isnan(si_sdr(silence, speech))


def test_suppression_is_the_ratio_of_energies():
    assert suppression_db(np.array([2.0, 0.0]), np.array([0.0, 0.2])) == pytest.approx(20.0)
    assert suppression_db(np.array([1.0]), np.array([0.0])) == CEILING_DB
    assert np.isnan(suppression_db(np.array([0.0]), np.array([0.1])))


def test_pooled_suppression_weighs_clips_by_their_energy():
    # 100 -> 1 and 1 -> 1: 10 log10(101 / 2), not the mean of 20 and 0
    assert pooled_suppression_db([(100.0, 1.0), (1.0, 1.0)]) == pytest.approx(10 * np.log10(50.5))


def test_erle_leaves_out_the_convergence():
    microphone = np.ones(6 * SECOND)
    enhanced = np.concatenate([np.ones(2 * SECOND), np.full(4 * SECOND, 0.1)])
    assert erle_db(microphone, enhanced) == pytest.approx(20.0)
    assert erle_db(microphone, enhanced, skip_seconds=0.0) < 5.0


def test_active_level_ignores_pauses():
    tone = 0.1 * np.ones(SECOND)
    assert active_rms(np.concatenate([tone, np.zeros(3 * SECOND)])) == pytest.approx(0.1)
    assert active_rms(np.zeros(SECOND)) == 0.0


def test_level_change_is_measured_where_the_target_speaks():
    reference = np.concatenate([np.full(SECOND, 0.1), np.zeros(SECOND)])
    estimate = np.concatenate([np.full(SECOND, 0.05), np.full(SECOND, 0.9)])
    assert level_change_db(reference, estimate) == pytest.approx(-6.02, abs=0.01)


def test_nothing_is_over_suppressed_in_the_reference_itself(speech):
    assert over_suppression(speech, speech) == (0.0, 0.0, 0.0)
    assert over_suppression(speech, 2.0 * speech).share == 0.0


def test_silence_loses_every_active_frame(speech):
    lost = over_suppression(speech, np.zeros_like(speech))
    assert lost.active_share == 1.0
    assert lost.longest_ms > 500.0


def test_over_suppression_starts_at_about_eleven_decibels():
    """White noise at -26 dBFS: (1 - g^0.3)^2 sum |S|^0.6 against 0.1 sum |S|^0.3, about equal sums."""
    noise = 0.05 * np.random.default_rng(0).standard_normal(2 * SECOND)
    assert over_suppression(noise, noise * 10 ** (-8 / 20)).share == 0.0
    assert over_suppression(noise, noise * 10 ** (-16 / 20)).share > 0.9


def test_over_suppression_does_not_depend_on_the_level_of_the_recording(speech):
    damaged = speech.copy()
    damaged[SECOND : 2 * SECOND] *= 0.05
    loud = over_suppression(speech, damaged)
    quiet = over_suppression(0.03 * speech, 0.03 * damaged)
    assert loud == pytest.approx(quiet)
    assert 0.1 < loud.share < 0.4
    assert 300.0 < loud.longest_ms <= 1050.0


def test_over_suppression_is_undefined_without_a_target(speech):
    assert np.isnan(over_suppression(np.zeros_like(speech), speech).share)


def test_the_first_second_of_a_voice_begins_with_the_voice(speech):
    """Two seconds of the room of a recording come before it: they are no voice, and may go."""
    room = 0.02 * np.std(speech) * np.random.default_rng(0).standard_normal(2 * SECOND)
    reference = np.concatenate([room, speech])
    without_room = np.concatenate([np.zeros_like(room), speech])
    assert onset_loss(reference, without_room) == 0.0
    late = reference.copy()
    late[: 4 * SECOND] = 0.0  # a second, and its pauses
    assert onset_loss(reference, late) == 1.0
    assert onset_loss(0.03 * reference, 0.03 * late) == onset_loss(reference, late)
    assert np.isnan(onset_loss(np.zeros_like(speech), speech))


def test_wrong_talker_is_the_nearer_one(recording):
    target, other = recording("ls367_speech")[:80_000], recording("ls2033_speech")[:80_000]
    assert is_wrong_talker(target, other, target + 0.2 * other) == 0.0
    assert is_wrong_talker(target, other, 0.2 * target + other) == 1.0
    assert np.isnan(is_wrong_talker(target, other, np.zeros_like(target)))
