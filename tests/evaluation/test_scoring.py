"""Which numbers an output gets, set by set."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.metrics import perceptual
from evaluation.metrics.perceptual import Unscorable
from evaluation.metrics.signal import CEILING_DB
from evaluation.metrics.upper_band import above
from evaluation.scoring import score
from evaluation.sets import FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_OTHERS, FULL_BAND_TALKERS
from evaluation.sets.build import target_late
from evaluation.sets.render import render

ROOM = "rir/dev/room/web-kitchen-true-stereo.flac"


@pytest.fixture(scope="module")
def late(build, data):
    """A clip in which the target comes in at 5 s of 10."""
    builder = build("target-late")
    target_late(builder)
    return render(builder.scenes[0], data)


@pytest.fixture
def two_talkers(few_scenes, data):
    return render(few_scenes[0], data)


def _echo_clip(build, data, talk_type):
    builder = build("echo")
    scene = builder.scene({"talk": talk_type}, ("none",), seconds=6.0)
    if talk_type == "dt":
        scene = builder.balance(replace(scene, target=builder.voice(builder.talkers[0], 4.0, 2.0)))
    return render(builder.with_echo(scene, builder.talkers[-1], talk_type, ROOM), data)


def test_a_late_target_is_scored_apart_from_what_comes_before(late):
    ideal = score(late, late.reference, "full").metrics
    assert ideal["suppression_before_db"] == CEILING_DB
    assert ideal["si_sdr"] == CEILING_DB
    assert ideal["tsos_onset"] == 0.0

    slow = late.reference.copy()
    slow[:112_000] = 0.0  # of the target the first second, and its pauses, are lost
    assert score(late, slow, "full").metrics["tsos_onset"] == 1.0
    assert score(late, slow, "full").metrics["tsos_active"] < 0.5

    untouched = score(late, late.mixture, "full").metrics
    assert untouched["suppression_before_db"] == untouched["si_sdr_gain"] == 0.0


def test_depth_decides_about_dear_scores(two_talkers):
    output = 0.7 * two_talkers.reference + 0.3 * two_talkers.mixture
    assert "pesq" not in score(two_talkers, output, "signal").metrics
    assert "pdnsmos_ovrl" not in score(two_talkers, output, "pesq").metrics
    full = score(two_talkers, output, "full").metrics
    assert 1.0 < full["pesq"] < 4.65 and 0.5 < full["stoi"] <= 1.0
    assert all(1.0 < full[f"pdnsmos_{name}"] < 5.0 for name in ("sig", "bak", "ovrl"))


def test_perceptual_scores_rank_clean_over_noisy(two_talkers):
    clean, noisy = two_talkers.reference, two_talkers.mixture
    assert perceptual.pesq_wb(clean, clean) > 4.6 > perceptual.pesq_wb(clean, noisy)
    assert perceptual.stoi(clean, clean) > perceptual.stoi(clean, noisy)
    assert perceptual.dnsmos(clean)["ovrl"] > perceptual.dnsmos(noisy)["ovrl"]


def test_what_a_perceptual_score_cannot_judge_is_said(recording):
    speech, silence = recording("ls367_speech"), np.zeros(1000, np.float32)
    with pytest.raises(Unscorable, match="PESQ"):
        perceptual.pesq_wb(speech[:1000], silence)
    with pytest.raises(Unscorable, match="STOI"):
        perceptual.stoi(speech[:1000], silence)


def test_far_end_single_talk_is_about_echo_alone(build, data):
    clip = _echo_clip(build, data, "st")
    untouched = score(clip, clip.mixture, "full").metrics
    assert untouched["erle_db"] == 0.0
    cancelled = score(clip, 0.01 * clip.mixture, "full").metrics
    assert cancelled["erle_db"] == pytest.approx(40.0)
    assert cancelled["aecmos_echo"] > untouched["aecmos_echo"]
    assert "aecmos_degradation" not in cancelled
    silent = score(clip, np.zeros_like(clip.mixture), "full")
    assert silent.metrics == {"erle_db": CEILING_DB} and "AECMOS" in silent.reasons[0]


def test_double_talk_is_about_echo_and_the_near_end(build, data):
    clip = _echo_clip(build, data, "dt")
    ideal = score(clip, clip.reference, "full").metrics
    untouched = score(clip, clip.mixture, "full").metrics
    assert "erle_db" not in ideal
    assert ideal["si_sdr"] == CEILING_DB > untouched["si_sdr"]
    assert ideal["pesq"] > 4.6
    assert ideal["aecmos_echo"] > untouched["aecmos_echo"]
    assert ideal["aecmos_degradation"] > 3.0


def test_nothing_can_be_gained_over_a_clean_input(two_talkers):
    clean = replace(two_talkers, mixture=two_talkers.reference, interference=None)
    metrics = score(clean, 0.9 * clean.mixture, "signal").metrics
    assert "si_sdr_gain" not in metrics
    assert metrics["level_change_db"] == pytest.approx(-0.9, abs=0.05)


@pytest.fixture
def full_band_clip(full_band_scenes, data):
    """``full_band_clip(set_name)`` -> the first clip of it."""
    return lambda set_name: render(full_band_scenes[set_name][0], data)


def test_full_band_clips_are_scored_below_8_khz_as_others_are_and_above_by_themselves(full_band_clip):
    clip = full_band_clip(FULL_BAND_TALKERS)
    ideal = score(clip, clip.reference, "pesq").metrics
    assert ideal["si_sdr"] > 90.0 and ideal["pesq"] > 4.6 and ideal["wrong_talker"] == 0.0
    assert ideal["si_sdr_above"] == CEILING_DB
    assert ideal["lsd_above_db"] == ideal["level_change_above_db"] == 0.0
    untouched = score(clip, clip.mixture, "signal").metrics
    assert untouched["si_sdr_gain"] == untouched["si_sdr_gain_above"] == 0.0

    band_limited = (clip.reference - above(clip.reference, 48_000)).astype(np.float32)
    limited = score(clip, band_limited, "signal").metrics
    assert "si_sdr_above" not in limited and "si_sdr_gain_above" not in limited
    assert (
        limited["si_sdr"] > 20.0
        and limited["lsd_above_db"] > 10.0
        and limited["level_change_above_db"] < -60.0
    )


def test_sound_of_others_is_taken_away_below_and_above_8_khz(full_band_clip):
    clip = full_band_clip(FULL_BAND_OTHERS)
    output = 0.01 * clip.mixture + 0.09 * above(clip.mixture, 48_000)
    metrics = score(clip, output.astype(np.float32), "signal").metrics
    assert metrics["suppression_above_db"] == pytest.approx(20.0, abs=0.1)
    assert metrics["suppression_db"] == pytest.approx(40.0, abs=3.0)  # up to the slope at 8 kHz
    shortfall = metrics["suppression_db"] - metrics["suppression_above_db"]
    assert metrics["suppression_shortfall_db"] == pytest.approx(shortfall)


def test_noise_is_measured_before_the_voice_begins(full_band_clip):
    clip = full_band_clip(FULL_BAND_NOISE)
    start = round(clip.scene.target.at * 48_000)
    output = clip.mixture.copy()
    output[:start] *= 0.1
    metrics = score(clip, output, "signal").metrics
    assert metrics["suppression_above_db"] == pytest.approx(20.0, abs=0.1)
    assert metrics["suppression_shortfall_db"] == pytest.approx(0.0, abs=0.3)
    assert metrics["level_change_above_db"] > -1.0


def test_nothing_is_said_above_8_khz_of_recordings_that_have_nothing_there(full_band_clip):
    clip = full_band_clip(FULL_BAND_CLEAN)
    narrow = (clip.reference - above(clip.reference, 48_000)).astype(np.float32)
    metrics = score(replace(clip, mixture=narrow, reference=narrow), narrow, "signal").metrics
    assert metrics["si_sdr"] == CEILING_DB and not any("above" in name for name in metrics)
