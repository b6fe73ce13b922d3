"""The committed set lists, and building and rendering sets from recordings."""

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soxr

from evaluation.data import DataError
from evaluation.metrics.signal import active_rms, si_sdr, suppression_db
from evaluation.sets import FULL_BAND_NOISE, FULL_BAND_OTHERS, FULL_BAND_TALKERS, SETS_FOLDER
from evaluation.sets.build import SETS, quick
from evaluation.sets.builder import SetBuilder
from evaluation.sets.corpus import read_noises, read_talkers
from evaluation.sets.pairs import pair_scenes
from evaluation.sets.render import NARROW_BAND, render, render_enrollment
from evaluation.sets.scene import Echo, Scene, Segment, Synthetic, SyntheticKind, read_scenes
from evaluation.sets.synthetic import synthetic_noise

COMMITTED = {name: read_scenes(SETS_FOLDER / f"{name}.jsonl") for name in SETS}


def _voices(scene):
    return [voice for voice in (scene.target, *scene.interferers) if voice]


def test_every_set_is_committed_with_unique_names():
    names = [scene.name for scenes in COMMITTED.values() for scene in scenes]
    assert len(names) == len(set(names))
    assert {path.stem for path in SETS_FOLDER.glob("*.jsonl")} == set(SETS)


@pytest.mark.parametrize("name", list(SETS))
def test_scenes_survive_their_file(name):
    for scene in COMMITTED[name]:
        assert Scene.from_json(scene.to_json()) == scene


def test_a_field_of_a_newer_version_is_refused():
    with pytest.raises(ValueError, match="newer"):
        Scene.from_json('{"name": "a", "set": "noise", "seconds": 1.0, "tags": {}, "mood": "gay"}')


@pytest.mark.parametrize("name", list(SETS))
def test_only_dev_recordings_are_used(name):
    text = (SETS_FOLDER / f"{name}.jsonl").read_text()
    assert "/train/" not in text
    assert '"/' not in text  # paths are relative to the data root


def test_enrollment_recordings_are_never_in_mixtures():
    mixed, enrolled = set(), set()
    for name, scenes in COMMITTED.items():
        if name in ("voicebank", "full-band"):  # few recordings: there, only those of the clip are kept out
            continue
        for scene in scenes:
            mixed |= {segment.path for voice in _voices(scene) for segment in voice.segments}
            enrolled |= {s.path for e in (scene.right, scene.wrong) if e for s in e.segments}
    assert mixed and enrolled and not mixed & enrolled


def test_voicebank_profiles_never_hold_the_clip_itself():
    for scene in COMMITTED["voicebank"]:
        assert scene.reference.path not in {segment.path for segment in scene.right.segments}


def test_full_band_profiles_never_hold_a_recording_of_the_clip():
    for scene in COMMITTED["full-band"]:
        mixed = {segment.path for voice in _voices(scene) for segment in voice.segments}
        assert mixed and not mixed & {segment.path for segment in scene.right.segments}
        assert scene.rate_hz == 48_000 and scene.right.speaker != "noise"


def test_tags_of_sexes_are_true():
    for scene in COMMITTED["two-talkers"] + COMMITTED["three-talkers"]:
        same = {voice.sex == scene.target.sex for voice in scene.interferers}
        assert same == {scene.tags["sexes"] == "same"}


def test_conditions_are_balanced():
    cells = defaultdict(int)
    for scene in COMMITTED["two-talkers"]:
        cells[tuple(scene.tags.values())] += 1
    assert len(cells) == 4 * 2 * 2 * 2
    assert set(cells.values()) == {3}


def test_the_right_profile_is_the_targets_and_the_wrong_one_the_other_talkers():
    for scene in COMMITTED["two-talkers"]:
        assert scene.right.speaker == scene.target.speaker
        assert scene.wrong.speaker == scene.interferers[0].speaker != scene.target.speaker


def test_half_of_the_band_is_heard_or_enrolled_as_the_tags_say():
    for scene in COMMITTED["narrow-band"]:
        heard, enrolled = scene.tags["band"].split(" after ")
        assert (scene.device == NARROW_BAND) == (heard == "half")
        assert (scene.right.device == NARROW_BAND) == (enrolled == "half")
        assert scene.wrong.device is None
        assert bool(scene.interferers) == (scene.tags["situation"] == "two talkers")


def test_narrow_band_sound_is_what_eight_kilohertz_carry(few_scenes, data):
    whole = render(few_scenes[0], data)
    half = render(replace(few_scenes[0], device=NARROW_BAND), data)
    for part in ("mixture", "reference", "interference"):
        before, after = (np.abs(np.fft.rfft(getattr(clip, part))) for clip in (whole, half))
        middle = len(after) // 2  # 4 kHz
        kept = slice(0, round(0.9 * middle))
        assert np.linalg.norm(after[kept] - before[kept]) < 0.02 * np.linalg.norm(before[kept])
        assert np.linalg.norm(after[round(1.05 * middle) :]) < 1e-3 * np.linalg.norm(after)


def test_full_band_sound_is_that_of_16_khz_and_more(full_band_scenes, data):
    for scenes in full_band_scenes.values():
        whole, below = render(scenes[0], data), render(replace(scenes[0], rate_hz=16_000), data)
        resampled = soxr.resample(whole.mixture, 48_000, 16_000)
        assert len(resampled) == len(below.mixture)
        assert si_sdr(below.mixture, resampled) > 20.0  # but for the slopes of the two resamplers at 8 kHz
        upper = np.abs(np.fft.rfft(whole.mixture))[len(whole.mixture) // 6 :]
        assert np.linalg.norm(upper) > 0.1 * np.linalg.norm(np.fft.rfft(whole.mixture))


def test_full_band_ratios_are_those_of_the_band_below_8_khz(full_band_scenes, data):
    for scene in full_band_scenes[FULL_BAND_TALKERS]:
        clip = render(replace(scene, rate_hz=16_000), data)
        ratio = 20 * np.log10(active_rms(clip.reference) / active_rms(clip.interference))
        assert scene.tags["sir"] == f"{round(ratio)} dB" and ratio == pytest.approx(round(ratio), abs=0.1)
    for scene in full_band_scenes[FULL_BAND_NOISE]:
        assert not render(scene, data).reference[: round(1.4 * 48_000)].any()  # the noise alone
    absent = {
        (scene.right.speaker, scene.interferers[0].speaker) for scene in full_band_scenes[FULL_BAND_OTHERS]
    }
    assert all(enrolled != heard for enrolled, heard in absent)


@pytest.mark.parametrize("kind", get_args(SyntheticKind))
def test_computed_noise_is_the_same_everywhere_and_has_all_of_the_band(kind):
    noise = Synthetic(kind, 7, 4.0)
    samples = synthetic_noise(noise, 48_000)
    assert samples.dtype == np.float32 and len(samples) == 192_000
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=1e-4)
    assert np.array_equal(samples, synthetic_noise(noise, 48_000))
    assert not np.array_equal(samples, synthetic_noise(replace(noise, seed=8), 48_000))
    powers = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 48_000)
    octaves = [
        10 * np.log10(powers[(hertz >= low) & (hertz < 2 * low)].mean()) for low in (500, 1_000, 8_000)
    ]
    steps = np.diff(octaves)
    # Power a hertz, in dB: even; 3 an octave down; 6 an octave up, to 4 kHz.
    wanted = {"white": (0.0, 0.0), "pink": (-3.0, -9.0), "hiss": (6.0, 8.4)}
    if kind in wanted:
        np.testing.assert_allclose(steps, wanted[kind], atol=0.7)
    assert np.max(np.abs(samples)) < (4.0 if kind == "keyboard" else 0.6)
    below = synthetic_noise(noise, 16_000)
    assert len(below) == 64_000


def test_the_same_seed_draws_the_same_scenes(build, quick_scenes):
    again = build("quick")
    quick(again)
    assert again.scenes == quick_scenes


def test_levels_are_as_the_tags_say(quick_scenes, data):
    for scene in quick_scenes:
        if scene.set == "two-talkers":
            clip = render(scene, data)
            ratio = 20 * np.log10(active_rms(clip.reference) / active_rms(clip.interference))
            assert ratio == pytest.approx(0.0, abs=0.1)
            assert np.abs(clip.mixture).max() <= 0.951
        if scene.set == "noise":
            clip = render(scene, data)
            noise = clip.mixture - clip.reference
            snr = 20 * np.log10(active_rms(clip.reference) / np.sqrt(np.mean(noise**2)))
            assert snr == pytest.approx(5.0, abs=0.1)


def test_parts_add_up_to_the_mixture(few_scenes, data):
    scene = replace(few_scenes[0], noise=None)
    clip = render(scene, data)
    np.testing.assert_allclose(clip.reference + clip.interference, clip.mixture, atol=1e-6)
    assert clip.mixture.dtype == clip.reference.dtype == np.float32
    assert len(clip.mixture) == round(scene.seconds * 16_000)


def test_rendering_twice_gives_the_same_samples(few_scenes, data):
    for scene in few_scenes:
        assert np.array_equal(render(scene, data).mixture, render(scene, data).mixture)


def test_a_room_reverberates_the_mixture_and_keeps_the_early_part_in_the_reference(few_scenes, data):
    dry = replace(few_scenes[0], noise=None, interferers=())
    wet = replace(dry, room="rir/dev/room/web-kitchen-true-stereo.flac")
    reference, mixture = render(wet, data).reference, render(wet, data).mixture
    assert 3.0 < si_sdr(reference, mixture) < 30.0
    assert si_sdr(render(dry, data).mixture, mixture) < si_sdr(reference, mixture)


def test_noise_and_device_change_an_enrollment(build, data):
    builder = build("noise")
    plain = builder.enrollment(builder.talkers[0])
    speech = render_enrollment(data, plain)
    assert 20 * np.log10(active_rms(speech)) == pytest.approx(-26.0, abs=0.1)
    noisy = render_enrollment(data, builder.noisy_enrollment(plain, 10.0))
    noise = noisy - speech
    assert 20 * np.log10(active_rms(speech) / np.sqrt(np.mean(noise**2))) == pytest.approx(10.0, abs=0.3)
    telephone = np.abs(np.fft.rfft(render_enrollment(data, replace(plain, device="telephone"))))
    original = np.abs(np.fft.rfft(speech))
    hertz = np.fft.rfftfreq(len(speech), 1 / 16_000)
    low, middle = (hertz > 20) & (hertz < 100), (hertz > 800) & (hertz < 1500)
    assert telephone[low].sum() < 0.2 * original[low].sum()
    assert telephone[middle].sum() > 0.8 * original[middle].sum()


def test_synthetic_echo_comes_late_and_weaker(build, data):
    builder = build("echo")
    scene = builder.scene({"talk": "far-end single talk"}, ("none",), seconds=4.0)
    scene = builder.with_echo(scene, builder.talkers[0], "st", "rir/dev/room/web-kitchen-true-stereo.flac")
    clip = render(scene, data)
    assert 0.0 <= suppression_db(clip.far_end, clip.mixture) < 12.0
    late = round(scene.echo.delay_seconds * 16_000)
    assert not clip.mixture[: late - 1].any()


def test_a_missing_recording_is_named(few_scenes, data):
    noise = replace(few_scenes[0].noise, segment=Segment("noise/dev/gone.opus", 0.0, 1.0))
    with pytest.raises(DataError, match=r"gone\.opus"):
        render(replace(few_scenes[0], noise=noise), data)


def test_a_real_echo_recording_brings_its_own_far_end(data):
    speech = "speech/dev/librispeech/ls367/000.opus"
    loopback = Echo((Segment(speech, 0.0, 3.0),), talk_type="st")
    scene = Scene("e", "echo", 3.0, {}, echo=loopback, recording=Segment(speech, 1.0, 3.0))
    clip = render(scene, data)
    assert clip.reference is None
    assert len(clip.far_end) == len(clip.mixture) == 48_000


def test_pairs_are_matched_by_name(pair_folders):
    scenes = pair_scenes(*pair_folders)
    assert [scene.name for scene in scenes] == ["pairs_ls1688", "pairs_ls367"]
    clip = render(scenes[0], Path())
    assert si_sdr(clip.reference, clip.mixture) == pytest.approx(5.0, abs=1.0)


def test_pairs_are_matched_by_the_file_numbers_of_the_dns_challenge(pair_folders):
    clean, noisy = pair_folders
    (clean / "ls367.wav").rename(clean / "clean_fileid_7.wav")
    (noisy / "ls367.wav").rename(noisy / "clnsp3_helicopter_snr5_fileid_7.wav")
    names = [scene.name for scene in pair_scenes(clean, noisy)]
    assert names == ["pairs_clnsp3_helicopter_snr5_fileid_7", "pairs_ls1688"]


def test_folders_without_a_common_name_are_refused(pair_folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="2 audio files"):
        pair_scenes(pair_folders[0], tmp_path / "empty")


@pytest.mark.skipif("EDGE_PSE_DATA" not in os.environ, reason="needs the dev data: set EDGE_PSE_DATA")
@pytest.mark.parametrize("name", ["clean", "interferer-only", "voicebank", "full-band"])
def test_the_committed_lists_are_what_the_command_builds(name):
    root = Path(os.environ["EDGE_PSE_DATA"])
    builder = SetBuilder(name, root, read_talkers(root), read_noises(root))
    SETS[name](builder)
    assert builder.scenes == COMMITTED[name]
