"""Models with a far end: how they are chosen, what they are given, and who refuses one."""

import numpy as np
import pytest
import soxr

from edge_pse import Enhancer, Model, Profile
from edge_pse import model as model_module
from edge_pse.enrollment import embed
from edge_pse.errors import AudioError, ModelError, ProfileError
from edge_pse.model import far_end_variant
from edge_pse.profiles import Recording
from tests.edge_pse.graphs import copy_model, far_end_model

HOP = 160


@pytest.fixture
def canceller(tmp_path):
    """Takes the far end away just as it is."""
    return Model.load(far_end_model(tmp_path / "canceller.onnx", 1, -1))


@pytest.fixture
def speech(recording):
    return recording("ls367_speech")


@pytest.fixture
def far(recording, speech):
    return np.resize(recording("ls2033_speech"), speech.size)


def test_the_far_end_reaches_the_same_frame(canceller, speech, far):
    cancelled = Enhancer(canceller).enhance(speech + far, 16_000, far)
    assert np.abs(cancelled - Enhancer(canceller).enhance(speech, 16_000)).max() < 1e-5
    assert np.abs(Enhancer(canceller).enhance(far, 16_000, far)).max() < 1e-5
    late = Enhancer(canceller).enhance(far, 16_000, np.roll(far, HOP))
    assert np.std(late) > 0.5 * np.std(far), "a hop too late must not go unseen"


def test_sound_that_comes_from_the_far_end_alone_is_no_fault(tmp_path, far):
    enhancer = Enhancer(Model.load(far_end_model(tmp_path / "passing.onnx", 0, 1)))
    out = enhancer.process(np.zeros_like(far), far)
    assert not enhancer.fault
    np.testing.assert_allclose(out[HOP:], far[: out.size - HOP], atol=0.02)


def test_no_far_end_is_silence(canceller, speech):
    enhancer = Enhancer(canceller)
    silence = np.zeros_like(speech)
    np.testing.assert_array_equal(enhancer.enhance(speech, 16_000), enhancer.enhance(speech, 16_000, silence))


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_a_far_end_of_another_rate_and_with_channels_is_taken_away_as_well(canceller, speech, far, rate):
    near, echo = (soxr.resample(sound, 16_000, rate) for sound in (speech, far))
    stereo = np.stack([1.5 * echo, 0.5 * echo], axis=1)
    enhancer = Enhancer(canceller, full_band=False)  # what is above has gains only
    np.testing.assert_allclose(
        enhancer.enhance(near + echo, rate, stereo), enhancer.enhance(near, rate), atol=1e-5
    )
    with pytest.raises(AudioError, match="give as many of both"):
        Enhancer(canceller).enhance(near, rate, far[:-1])


def test_the_size_of_the_blocks_changes_nothing_for_the_far_end(canceller, speech, far):
    whole = Enhancer(canceller).enhance(speech, 16_000, far)
    enhancer = Enhancer(canceller)
    ends = np.cumsum(np.random.default_rng(1).integers(0, 700, 400))
    ends = ends[ends < speech.size]
    blocks = zip(np.split(speech, ends), np.split(far, ends), strict=True)
    out = np.concatenate([*(enhancer.process(*block) for block in blocks), enhancer.flush()])
    np.testing.assert_array_equal(out[enhancer.delay_samples :], whole)


def test_the_far_end_may_come_and_go(canceller, speech, far):
    enhancer = Enhancer(canceller)
    blocks = [far[start : start + 250] for start in range(0, far.size, 250)]
    out = np.concatenate(
        [enhancer.process(block, block if i % 2 else None) for i, block in enumerate(blocks)]
    )
    at_times = np.concatenate([np.full(block.size, 1 - i % 2) for i, block in enumerate(blocks)])
    expected = Enhancer(canceller).enhance(far * at_times.astype(np.float32), 16_000)
    inside = out.size - enhancer.delay_samples
    np.testing.assert_allclose(out[enhancer.delay_samples :], expected[:inside], atol=1e-5)


def test_reset_forgets_the_far_end(canceller, speech, far):
    enhancer = Enhancer(canceller)
    enhancer.process(speech[:1_000], far[:1_000])
    enhancer.reset()
    np.testing.assert_array_equal(
        enhancer.enhance(speech, 16_000), Enhancer(canceller).enhance(speech, 16_000)
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda far: far[1:], "far end has 93999 samples and .* give as many of both"),
        (lambda far: far[:, None], "one channel"),
        (lambda far: far * np.nan, "NaN"),
        (lambda far: (far * 32768).astype(np.int16), "not int16"),
    ],
)
def test_a_far_end_that_does_not_fit_is_refused_and_leaves_the_stream_as_it_was(
    canceller, speech, far, spoil, message
):
    enhancer = Enhancer(canceller)
    first = enhancer.process(speech[:1_000], far[:1_000])
    with pytest.raises(AudioError, match=message):
        enhancer.process(speech, spoil(far))
    rest = enhancer.process(speech[1_000:], far[1_000:])
    out = np.concatenate([first, rest, enhancer.flush()])[enhancer.delay_samples :]
    np.testing.assert_array_equal(out, Enhancer(canceller).enhance(speech, 16_000, far))


def test_a_model_without_a_far_end_refuses_one(model, speech, far):
    with pytest.raises(ModelError, match=r"pvqe-s.int8.tflite cancels no echo: give it no far end"):
        Enhancer(model).process(speech, far)


def test_a_voice_is_heard_without_a_far_end(canceller, speech):
    assert embed(speech, canceller).shape == (canceller.contract.embedding_size,)


def test_the_variant_with_a_far_end_is_chosen_where_there_is_one(tmp_path, monkeypatch, model):
    assert far_end_variant("pvqe-s") == "pvqe-s-far"
    assert far_end_variant("pvqe-s.int8") == "pvqe-s-far.int8"
    assert far_end_variant("pvqe-s-far") == "pvqe-s-far"
    alone = copy_model(model.path, tmp_path)
    monkeypatch.setattr(model_module, "MODELS_DIR", tmp_path)
    assert not Model.load("pvqe-s", far_end=True).contract.far_end
    installed = far_end_model(tmp_path / "pvqe-s-far.fp32.onnx", 1, -1)
    assert Model.load("pvqe-s", far_end=True).path == installed
    assert Model.load("pvqe-s-far").path == installed
    assert not Model.load("pvqe-s").contract.far_end
    assert not Model.load(alone, far_end=True).contract.far_end, "a path is meant"


def test_a_variant_takes_the_profiles_of_the_model_beside_it(tmp_path):
    profile_network = far_end_model(tmp_path / "one.onnx", 1, -1, model_id="one-0")
    path = far_end_model(tmp_path / "one-far.onnx", 1, -1, model_id="one-far-0", profiles_of="one-0")
    variant = Model.load(path)
    lighter = far_end_model(tmp_path / "light.onnx", 1, -1, model_id="light-0", profiles_of="one-0")
    assert variant.profile_network().path == Model.load(lighter).profile_network().path == profile_network
    assert Model.load(profile_network).profile_network().path == profile_network
    recording = Recording(np.ones(4), np.ones(4), 9.0, 30.0)
    mine, foreign = (Profile("me", model_id, (recording,)) for model_id in ("one-0", "one-far-0"))
    assert Enhancer(variant, mine).profiles == (mine,)
    with pytest.raises(ProfileError, match="not with one-0"):
        Enhancer(variant, foreign)
    far_end_model(profile_network, 1, -1, model_id="one-1")
    with pytest.raises(ModelError, match="from one release"):
        variant.profile_network()
    profile_network.unlink()
    with pytest.raises(ModelError, match="no model file"):
        variant.profile_network()


def test_what_makes_no_profiles_can_not_enroll_as_it_runs(tmp_path, refused):
    path = far_end_model(tmp_path / "one-far.onnx", 1, -1, profiles_of="one-0")
    sentence = refused("run", "--model", path, "--auto-enroll", "me", status=2)
    assert "test-far makes no profiles: enroll first" in sentence
