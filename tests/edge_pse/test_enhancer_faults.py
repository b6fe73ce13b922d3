"""A network that gives back no sound: it never reaches the output, is said once, and the input passes."""

import dataclasses
import warnings

import numpy as np
import pytest
import soundfile

from edge_pse import EdgePseWarning, Enhancer, enroll
from edge_pse.audio.live.engine import Engine
from edge_pse.audio.pcm import to_pcm
from edge_pse.enrollment import embed
from edge_pse.errors import ModelError
from tests.edge_pse.audio.live.test_joins import assert_no_step
from tests.edge_pse.graphs import far_end_model

HOP = 160
FAULTY_FROM = 50


class FaultyBackend:
    """The shipped network, whose output is spoiled from the step ``faulty_from`` on."""

    def __init__(self, backend, spoil, faulty_from=FAULTY_FROM):
        self._backend, self._spoil, self._faulty_from = backend, spoil, faulty_from
        self.steps = 0

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def step(self, *arguments):
        enhanced, embedding, states = self._backend.step(*arguments)
        self.steps += 1
        if self.steps > self._faulty_from:
            enhanced, embedding = self._spoil(enhanced.copy(), embedding.copy())
        return enhanced, embedding, states


def one_nan(enhanced, embedding):
    enhanced[0, 0, 0, 7] = np.nan
    return enhanced, embedding


SPOILED = {
    "one NaN": one_nan,
    "infinite": lambda enhanced, embedding: (enhanced * np.inf, embedding),
    "overflowing": lambda enhanced, embedding: (enhanced * 0 + np.float32(3e38), embedding),
    "much too loud": lambda enhanced, embedding: (enhanced * 0 + 100, embedding),
}


@pytest.fixture
def noisy(recording, mix):
    return mix(recording("ls367_speech")[: 200 * HOP], recording("helicopter"), 0)


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_from_the_fault_on_the_input_passes_without_a_step_and_it_is_said_once(
    model, noisy, male_profile, kind, strength
):
    backend = FaultyBackend(model.backend, SPOILED[kind])
    enhancer = Enhancer(dataclasses.replace(model, backend=backend), male_profile, strength)
    with pytest.warns(EdgePseWarning) as said:
        out = np.concatenate([enhancer.process(block) for block in np.split(noisy, 10)])
    assert [str(warning.message) for warning in said] == [enhancer.fault]
    assert said[0].filename == __file__, "it is shown where the stream is run"
    assert "with profile 'ls2033' is no sound, so the input passes as it is: enroll" in enhancer.fault
    dry = np.concatenate([np.zeros(HOP, np.float32), noisy[:-HOP]])
    wet = Enhancer(model, male_profile, strength).process(noisy)
    at = FAULTY_FROM * HOP
    np.testing.assert_array_equal(out[:at], wet[:at])
    np.testing.assert_array_equal(out[at + HOP :], dry[at + HOP :])
    # What of the last good hop overlaps the next one is what the network gave, or nearly.
    assert_no_step(out[: at + 2 * HOP], wet[: at + 2 * HOP], dry[: at + 2 * HOP], HOP)
    assert backend.steps == FAULTY_FROM + 1, "nobody asks a network that went wrong"


def test_an_absurd_embedding_reaches_no_listener(model, noisy, male_profile):
    for spoil in (
        lambda enhanced, embedding: (enhanced, embedding * np.nan),
        lambda enhanced, embedding: (enhanced, embedding * 0 + np.float32(3e38)),
    ):
        for profile in (None, male_profile):
            backend = FaultyBackend(model.backend, spoil, 20)
            enhancer, heard = Enhancer(dataclasses.replace(model, backend=backend), profile), []
            enhancer.observe(heard.append)
            with pytest.warns(EdgePseWarning, match="is no sound"):
                enhancer.process(noisy)
            steps_a_hop = 2 if profile is None else 3  # half of the band is listened to as well
            assert len(heard) == 20 // steps_a_hop
            assert all(np.isfinite(hop.embedding).all() for hop in heard)


def test_another_profile_or_a_new_stream_asks_the_network_again(model, noisy, female_profile, male_profile):
    backend = FaultyBackend(model.backend, one_nan, 0)
    enhancer = Enhancer(dataclasses.replace(model, backend=backend), male_profile)
    with pytest.warns(EdgePseWarning):
        enhancer.process(noisy[: 50 * HOP])
    backend._faulty_from = 10**9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enhancer.strength = 0.9
        enhancer.process(noisy[50 * HOP : 60 * HOP])
        assert enhancer.fault and backend.steps == 1
        enhancer.strength, enhancer.profiles = 1.0, female_profile
        out = enhancer.process(noisy[60 * HOP :])
        expected = Enhancer(model, female_profile).process(noisy[59 * HOP :])[HOP:]
        assert not enhancer.fault and np.corrcoef(out, expected)[0, 1] > 0.99
        backend._faulty_from = 0
        with pytest.warns(EdgePseWarning):
            enhancer.process(noisy[: 2 * HOP])
        backend._faulty_from = 10**9
        enhancer.reset()
        np.testing.assert_array_equal(enhancer.process(noisy), Enhancer(model, female_profile).process(noisy))


def test_no_sound_is_taken_for_a_fault(model, recording, female_profile):
    """Silence after the loudest, the faintest, clicks and full scale: what the network makes of it is sound."""
    generator = np.random.default_rng(0)
    speech = recording("ls2033_speech")[:16_000]
    clicks = np.zeros(16_000, np.float32)
    clicks[::3_000] = 100
    sounds = [speech, 0 * speech, 1e-6 * speech, clicks, 0 * speech, 100 * np.sign(speech), 1e-3 * speech]
    noise = generator.standard_normal(16_000) * np.repeat([1e-5, 1, 1e-3, 10], 4_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for profile in (None, female_profile):
            enhancer = Enhancer(model, profile)
            enhancer.observe(lambda heard: None)
            for sound in [*sounds, noise]:
                enhancer.process(sound)
            assert not enhancer.fault


def test_a_voice_is_not_enrolled_with_a_damaged_model(model, recording):
    damaged = dataclasses.replace(model, backend=FaultyBackend(model.backend, one_nan))
    with pytest.warns(EdgePseWarning), pytest.raises(ModelError, match="is no sound"):
        enroll(recording("ls367_enrollment"), 16_000, damaged)
    with pytest.warns(EdgePseWarning), pytest.raises(ModelError, match="is no sound"):
        embed(recording("ls367_enrollment"), damaged)


def test_a_live_stream_that_is_wrong_from_the_start_says_so_once(model, recording):
    damaged = dataclasses.replace(model, backend=FaultyBackend(model.backend, one_nan, 0))
    engine = Engine(Enhancer(damaged), 16_000, 16_000)
    said = to_pcm(recording("ls367_speech")[: 40 * HOP])
    with pytest.warns(EdgePseWarning) as warned:
        engine.start()
        try:
            engine.process(said[:, None])
        finally:
            engine.close()
    assert len(warned) == 1
    out = np.empty(30 * HOP, np.int16)
    engine.playback.read_into(out)
    np.testing.assert_array_equal(out[2 * HOP :], said[HOP : 29 * HOP])


def test_the_command_says_it_in_a_line_and_writes_the_input(run, tmp_path, noisy):
    model = far_end_model(tmp_path / "loud.onnx", 1e6, 0)
    soundfile.write(tmp_path / "in.wav", noisy, 16_000, "FLOAT")
    result = run("enhance", tmp_path / "in.wav", "-o", tmp_path / "out.wav", "--model", model)
    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if line)
    assert line.startswith("Warning: What loud.onnx gives back is no sound, so the input passes as it is: ")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out.wav", dtype="float32")[0], noisy)
