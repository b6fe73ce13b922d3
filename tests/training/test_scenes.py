"""Scenes: what a target is, what an enrollment is, and that one never leaks into the other. On real speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import QUIET
from training.simulation.augmentation import automatic_gain, convolve, random_equaliser, telephone
from training.simulation.corpus import load_bank
from training.simulation.rooms import EARLY_SAMPLES, RESPONSE_SAMPLES, Rooms, load_rooms
from training.simulation.scenes import NO_PROFILE, SceneSettings, SceneSimulator


def test_a_pair_without_noise_is_the_sum_of_its_two_targets(simulator: SceneSimulator) -> None:
    batch = simulator.draw(QUIET)
    for mixture in range(QUIET.speakers):
        outputs = np.flatnonzero((batch.output_mixture == mixture) & (batch.output_profile >= 0))
        own = [i for i in outputs if batch.targets[i].any()]
        assert len(own) == 2
        assert torch.allclose(batch.targets[own].sum(0), batch.mixtures[mixture], atol=1e-4)


def test_one_talker_is_heard_without_noise_as_often_as_asked_for(simulator: SceneSimulator) -> None:
    clean = {}
    for share in (0.0, 0.5, 1.0):
        settings = replace(QUIET, single_mixtures=8, snr_db=(0.0, 0.0), clean_single_share=share)
        batch = simulator.draw(settings)
        single = np.flatnonzero((batch.output_mixture >= QUIET.speakers) & batch.targets.any(1).numpy())
        targets = batch.targets[single]
        rest = batch.mixtures[batch.output_mixture[single]] - targets
        clean[share] = float((rest.square().mean(1) < 1e-6 * targets.square().mean(1)).float().mean())
    assert clean[0.0] == 0 < clean[0.5] < 1 == clean[1.0]


def test_what_a_microphone_does_to_levels_it_does_to_targets_too(simulator: SceneSimulator) -> None:
    settings = replace(QUIET, step_share=1, gain_control_share=1, telephone_share=1)
    batch = simulator.draw(settings)
    for mixture in range(QUIET.speakers):
        outputs = np.flatnonzero((batch.output_mixture == mixture) & (batch.output_profile >= 0))
        own = [i for i in outputs if batch.targets[i].any()]
        error = batch.targets[own].sum(0) - batch.mixtures[mixture]
        # Eight logarithmic bits are 33 to 38 dB, whatever the level is.
        assert 25 < 10 * torch.log10(batch.mixtures[mixture].square().sum() / error.square().sum()) < 45


def test_a_talker_turns_away_or_comes_nearer_once(simulator: SceneSimulator) -> None:
    envelopes = simulator._steps(replace(QUIET, step_share=1), 50, 24_000)
    assert torch.equal(envelopes[:, :6000], torch.ones(50, 6000))
    ends_db = 20 * torch.log10(envelopes[:, -1])
    assert ends_db.min() < -8 and ends_db.max() > 5 and ends_db.abs().max() <= 15
    rising = (envelopes.diff(dim=1) * ends_db.sign()[:, None] >= -1e-6).all()
    assert rising
    assert torch.equal(simulator._steps(QUIET, 5, 800), torch.ones(5, 800))


def test_automatic_gain_evens_out_levels_within_its_limits() -> None:
    clip = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 32_000)).astype(np.float32))
    steps = torch.ones(3, 32_000)
    steps[1, 16_000:], steps[2, 16_000:] = 0.3, 0.001
    clips = clip * steps
    gain_db = 20 * torch.log10(automatic_gain(clips, torch.tensor([1.0, 1.0, 0.5])))
    assert gain_db[0].abs().max() < 1
    controlled = clips * 10 ** (gain_db / 20)
    before, after = (controlled[1, part].square().mean() for part in (slice(0, 16_000), slice(-8000, None)))
    assert abs(10 * torch.log10(before / after)) < 1
    assert gain_db.max() == pytest.approx(12, abs=0.01)
    assert torch.allclose(automatic_gain(clips, torch.zeros(3)), torch.ones(3, 32_000))
    assert torch.isfinite(automatic_gain(torch.zeros(1, 3200), torch.ones(1))).all()


def test_telephone_coding_has_255_values_and_adds_noise_in_proportion() -> None:
    tone = torch.sin(torch.arange(16_000) * 0.3)
    for level in (0.5, 0.01):
        coded = telephone(level * tone[None])[0]
        error_db = 10 * torch.log10((coded - level * tone).square().mean() / (level * tone).square().mean())
        assert -42 < error_db < -28
    everything = telephone(torch.linspace(-1.5, 1.5, 100_000)[None])
    assert len(everything.unique()) == 255 and everything.max() == pytest.approx(1)
    assert torch.allclose(telephone(everything), everything)


def test_with_no_profile_the_target_is_all_speech_and_with_a_strangers_it_is_silence(
    simulator: SceneSimulator,
) -> None:
    batch = simulator.draw(QUIET)
    (unprofiled,) = np.flatnonzero(batch.output_profile == NO_PROFILE)
    mixture = batch.output_mixture[unprofiled]
    if mixture < QUIET.speakers:
        assert torch.allclose(batch.targets[unprofiled], batch.mixtures[mixture], atol=1e-4)
    absent = np.flatnonzero(~batch.targets.any(1).numpy())
    assert len(absent) == 1
    present = batch.output_profile[(batch.output_mixture == batch.output_mixture[absent[0]])]
    assert (present == batch.output_profile[absent[0]]).sum() == 1


def test_an_enrollment_never_overlaps_what_is_mixed(simulator: SceneSimulator) -> None:
    track = simulator.speech.tracks[0]
    for _ in range(200):
        start, end, left = simulator._cut_enrollment(0, 24000, 24000)
        assert start + 24000 <= end
        assert end + left == start + track.length
        # Not the same utterance either: what is mixed begins where an utterance does.
        assert end % track.length in track.boundaries


def test_settings_are_met(simulator: SceneSimulator) -> None:
    settings = SceneSettings(
        speakers=4,
        clip_s=1.5,
        enrollment_clips=(1, 1),
        extra_voices=0,
        level_dbfs=(-30, -30),
        clipped_share=0,
    )
    batch = simulator.draw(settings)
    frames = round(1.5 * 100)
    assert batch.mixtures.shape == (5, frames * 160)
    assert (batch.enrollments.shape[1] + 160) // 160 == frames + 1
    assert torch.allclose(batch.mixtures.square().mean(1), torch.full((5,), 1e-3), rtol=0.02)
    assert batch.mixtures.abs().max() <= 1
    assert not batch.mixtures.isnan().any() and not batch.targets.isnan().any()


def test_the_same_seed_gives_the_same_scene(recordings: Path, tmp_path: Path) -> None:
    def draw(seed: int) -> torch.Tensor:
        banks = [load_bank(kind, [recordings / kind], tmp_path) for kind in ("speech", "noise")]
        simulator = SceneSimulator(*banks, load_rooms([], 2, tmp_path), np.random.default_rng(seed))
        return simulator.draw(SceneSettings(clip_s=1.5, enrollment_clips=(1, 1))).mixtures

    assert torch.equal(draw(5), draw(5))
    assert not torch.equal(draw(5), draw(6))


def test_resampled_voices_are_new_tracks_of_other_lengths(recordings: Path, tmp_path: Path) -> None:
    bank = load_bank("speech", [recordings / "speech"], tmp_path, (1.0, 1.18))
    names = [track.name for track in bank.tracks]
    assert len(names) == 8
    plain, fast = (next(t for t in bank.tracks if t.name == f"speech/speaker0@{f}") for f in (1.0, 1.18))
    assert plain.length / fast.length == pytest.approx(1.18, rel=1e-3)
    again = load_bank("speech", [recordings / "speech"], tmp_path, (1.0, 1.18))
    assert again.tracks == bank.tracks and torch.equal(again.samples, bank.samples)


def test_a_folder_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No audio in"):
        load_bank("speech", [tmp_path], tmp_path / "cache")


def test_rooms_begin_with_the_direct_sound(tmp_path: Path) -> None:
    rooms: Rooms = load_rooms([], 3, tmp_path)
    assert rooms.responses.shape == (3, 4, RESPONSE_SAMPLES)
    assert torch.allclose(rooms.responses[..., 0], torch.ones(3, 4))
    assert (rooms.responses.abs().amax(2) <= 1.001).all()
    early = rooms.responses[..., :EARLY_SAMPLES].square().sum(2)
    assert (early > rooms.responses[..., EARLY_SAMPLES:].square().sum(2)).float().mean() > 0.5


def test_a_flat_equaliser_is_the_identity_and_convolution_is_linear() -> None:
    clips = torch.randn(2, 4000)
    impulse = torch.zeros(2, 100)
    impulse[0, 0], impulse[1, 7] = 1, 0.5
    out = convolve(clips, impulse)
    assert torch.allclose(out[0], clips[0], atol=1e-5)
    assert torch.allclose(out[1, 7:], 0.5 * clips[1, :-7], atol=1e-5)
    response = random_equaliser(np.random.default_rng(0), 4, 8.0)
    assert response.shape == (4, 512)
    # Minimum phase: the energy is at the front.
    assert (response[:, :128].square().sum(1) > 0.9 * response.square().sum(1)).all()


def test_one_microphone_in_six_keeps_half_of_the_band_or_little_more() -> None:
    response = random_equaliser(np.random.default_rng(0), 400, 4.0)
    level_db = 20 * torch.log10(torch.fft.rfft(response, 1600).abs())  # a bin is 10 Hz
    narrow = level_db[:, 450:].amax(1) < level_db[:, 50:300].mean(1) - 40
    assert 0.12 < narrow.float().mean() < 0.25
    whole = level_db[:, 650:690].amin(1) > level_db[:, 50:300].mean(1) - 20
    assert whole.float().mean() > 0.5
