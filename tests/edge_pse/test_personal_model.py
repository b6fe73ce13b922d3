"""Streams with personal weights: whose they are used for, what stays as it was, and no step where they change."""

import dataclasses
import threading
import warnings

import numpy as np
import pytest

from edge_pse import EdgePseWarning, Enhancer, Model, ProfileStore
from edge_pse.profiles import PersonalFile
from tests.edge_pse.learnt import weights_of, with_personal

HOP = 160
CHANGE = 0.05


@pytest.fixture(autouse=True)
def no_warning_is_overlooked():
    with warnings.catch_warnings():
        warnings.simplefilter("error", EdgePseWarning)
        yield


@pytest.fixture(scope="module")
def fp32():
    return Model.load("pvqe-s.fp32")


@pytest.fixture(scope="module")
def noisy(recording, mix):
    return mix(recording("ls367_speech")[: 200 * HOP], recording("ls2033_speech"), 0)


@pytest.fixture
def personal(fp32, female_profile):
    """The profile of the voice in ``noisy``, with weights that have learnt something."""
    return with_personal(female_profile, fp32, weights_of(fp32, CHANGE))


def click_db(samples, place, steady):
    """Energy above 3 kHz around the hop ``place``, over that of the louder of the steady streams there.

    The streams are of sound without anything there, which leaves a click alone.
    """

    def above(stream):
        around = stream[(place - 1) * HOP : (place + 2) * HOP] * np.hanning(3 * HOP)
        return np.sum(np.abs(np.fft.rfft(around)[9 * 10 :]) ** 2)

    return 10 * np.log10((above(samples) + 1e-6) / (max(map(above, steady)) + 1e-6))


@pytest.mark.parametrize(("name", "backend"), [("int8", "litert"), ("fp32", "litert"), ("int8", "onnx")])
def test_weights_of_the_same_numbers_give_the_same_sound_bit_by_bit(noisy, female_profile, name, backend):
    model = Model.load(f"pvqe-s.{name}", backend)
    enhancer = Enhancer(model, with_personal(female_profile, model, weights_of(model)))
    assert enhancer.personal
    np.testing.assert_array_equal(enhancer.process(noisy), Enhancer(model, female_profile).process(noisy))


def test_what_was_learnt_is_used_for_its_own_profile_alone(
    fp32, noisy, personal, female_profile, male_profile
):
    general = Enhancer(fp32, female_profile).process(noisy)
    enhancer = Enhancer(fp32, personal)
    out = enhancer.process(noisy)
    assert np.std(out - general) > 0.01 * np.std(general)
    np.testing.assert_array_equal(
        out, Enhancer(fp32.with_weights(weights_of(fp32, CHANGE)), female_profile).process(noisy)
    )
    without = Enhancer(fp32, personal.general())
    assert enhancer.personal and not without.personal
    np.testing.assert_array_equal(without.process(noisy), general)
    stolen = dataclasses.replace(male_profile, personal=personal.personal)
    with pytest.warns(
        EdgePseWarning, match=r"'ls2033' .* has changed since\. Run `edge-pse personalise ls2033`"
    ):
        thief = Enhancer(fp32, stolen)
    assert not thief.personal
    np.testing.assert_array_equal(thief.process(noisy), Enhancer(fp32, male_profile).process(noisy))


@pytest.mark.parametrize("way", ["faint", "strength", "reset", "whole"])
def test_a_stream_with_personal_weights_does_all_that_another_does(fp32, noisy, personal, way):
    own = Enhancer(fp32.with_weights(weights_of(fp32, CHANGE)), personal.general())
    streams = [Enhancer(fp32, personal), own]
    out = []
    for stream in streams:
        if way == "faint":  # it is shown another level, and what came before once more
            out.append(stream.process(np.float32(1e-3) * np.tile(noisy, 2)))
        elif way == "strength":
            stream.strength = 0.4
            out.append(stream.process(noisy))
        elif way == "reset":
            stream.process(noisy[:7_000])
            stream.reset()
            out.append(stream.process(noisy))
        else:
            out.append(stream.enhance(np.repeat(noisy, 3)[:, None], 48_000))
    np.testing.assert_array_equal(*out)


def test_what_enrollments_are_made_of_comes_from_the_general_weights(fp32, noisy, personal):
    heard = []
    for profile in (personal, personal.general(), None):
        features = []
        enhancer = Enhancer(fp32, profile)
        enhancer.observe(features.append)
        enhancer.process(noisy)
        heard.append(features)
    for one, other in zip(heard[0], heard[1], strict=True):
        assert one.kept_power == other.kept_power and one.in_speech_band == other.in_speech_band
        np.testing.assert_array_equal(one.embedding, other.embedding)
        np.testing.assert_array_equal(one.half_band, other.half_band)
    np.testing.assert_array_equal(heard[0][-1].embedding, heard[2][-1].embedding)


@pytest.mark.parametrize("backend", ["litert", "onnx"])
@pytest.mark.parametrize("way", ["taken", "left", "another voice"])
def test_weights_that_change_in_a_stream_leave_no_step(noisy, female_profile, male_profile, way, backend):
    model = Model.load("pvqe-s.fp32", backend)
    personal = with_personal(female_profile, model, weights_of(model, CHANGE))
    before, after = {
        "taken": (female_profile, personal),
        "left": (personal, female_profile),
        "another voice": (with_personal(male_profile, model, weights_of(model, CHANGE, 1)), personal),
    }[way]
    spectrum = np.fft.rfft(noisy)
    spectrum[spectrum.size // 4 :] = 0
    dull = np.fft.irfft(spectrum).astype(np.float32)
    steady = [Enhancer(model, profile).process(dull) for profile in (before, after)]
    clicks_db = []
    for place in (40, 80, 120, 150):
        enhancer = Enhancer(model, before)
        out = [enhancer.process(dull[: place * HOP])]
        enhancer.profiles = after
        out = np.concatenate([*out, enhancer.process(dull[place * HOP : (place + 40) * HOP])])
        np.testing.assert_array_equal(out[: place * HOP], steady[0][: place * HOP])
        clicks_db.append(click_db(out, place, steady))
        if way != "another voice":  # it knows what it has heard: soon it is as near as if it had always run
            rest = slice((place + 2) * HOP, out.size)
            assert np.std(out[rest] - steady[1][rest]) < 0.35 * np.std(steady[1][rest])
    assert max(clicks_db) < 1


def test_the_model_is_opened_once_and_by_whoever_sets_the_profile(fp32, noisy, personal, monkeypatch):
    opened, open_with = [], Model.with_weights
    monkeypatch.setattr(
        Model,
        "with_weights",
        lambda *given: (opened.append(threading.current_thread()), open_with(*given))[1],
    )
    enhancer, inside, go_on = Enhancer(fp32), threading.Event(), threading.Event()

    def wait_in_the_middle(heard):
        inside.set()
        assert go_on.wait(10)

    enhancer.observe(wait_in_the_middle)
    stream = threading.Thread(target=enhancer.process, args=(noisy[: 20 * HOP],))
    stream.start()
    assert inside.wait(10)
    enhancer.observe(None)
    enhancer.profiles = personal
    go_on.set()
    stream.join()
    Enhancer(fp32, personal).process(noisy[:800])
    assert enhancer.personal and opened == [threading.current_thread()]


def test_a_network_that_has_learnt_nothing_runs_as_it_is_and_says_nothing(noisy, personal):
    for name in ("pvqe-xs", "pvqe-s-far"):
        model = Model.load(name)
        enhancer = Enhancer(model, personal)
        assert not enhancer.personal
        np.testing.assert_array_equal(
            enhancer.process(noisy), Enhancer(model, personal.general()).process(noisy)
        )


def test_a_network_with_a_far_end_runs_with_what_it_has_learnt_itself(noisy, female_profile):
    model = Model.load("pvqe-s-far.fp32")
    profile = with_personal(female_profile, model, weights_of(model, CHANGE))
    enhancer, far_end = Enhancer(model, profile), np.roll(noisy, 3_000)
    assert enhancer.personal and not Enhancer(Model.load("pvqe-s"), profile).personal
    own = Enhancer(model.with_weights(weights_of(model, CHANGE)), female_profile)
    np.testing.assert_array_equal(enhancer.process(noisy, far_end), own.process(noisy, far_end))


@pytest.mark.parametrize(
    ("files", "weights", "message"),
    [
        (
            {"pvqe-s.fp32.tflite": PersonalFile(64 * "0", b"1")},
            b"1",
            "they are of an earlier pvqe-s.fp32.tflite",
        ),
        ({"pvqe-s.int8.tflite": PersonalFile(64 * "0", b"1")}, b"1", "they are not for pvqe-s.fp32.tflite"),
        ({"pvqe-s.fp32.onnx": PersonalFile(64 * "0", b"1")}, b"1", "they are for pvqe-s.fp32.onnx, whose"),
        (None, b"1234", "was given 4"),
    ],
)
def test_weights_for_another_file_are_not_used_and_that_is_said_once(
    fp32, noisy, female_profile, files, weights, message
):
    details = {} if files is None else {"files": files}
    profile = with_personal(female_profile, fp32, weights, **details)
    with pytest.warns(EdgePseWarning, match=message) as said:
        one, other = Enhancer(fp32, profile), Enhancer(fp32, profile)
    assert len(said) == 1 and "Run `edge-pse personalise ls367` again." in str(said[0].message)
    assert not one.personal and not other.personal
    np.testing.assert_array_equal(one.process(noisy), Enhancer(fp32, female_profile).process(noisy))


def test_weights_that_are_no_sound_let_the_input_pass_and_can_be_left(fp32, noisy, female_profile):
    numbers = np.frombuffer(weights_of(fp32), "<f4")
    profile = with_personal(female_profile, fp32, (np.nan * numbers).astype("<f4").tobytes())
    enhancer = Enhancer(fp32, profile)
    with pytest.warns(
        EdgePseWarning, match="is no sound, so the input passes as it is: learn its personal weights"
    ):
        out = enhancer.process(noisy)
    np.testing.assert_array_equal(out[HOP:], noisy[:-HOP])
    enhancer.profiles = profile.general()
    out = enhancer.process(noisy)
    assert not enhancer.fault and not enhancer.personal
    assert np.corrcoef(out, Enhancer(fp32, female_profile).process(noisy))[0, 1] > 0.99


def test_what_was_stored_is_what_runs(home, fp32, noisy, personal):
    store = ProfileStore()
    store.save(personal)
    np.testing.assert_array_equal(
        Enhancer(fp32, store.load(personal.name)).process(noisy), Enhancer(fp32, personal).process(noisy)
    )


def test_weights_of_the_other_runtime_alone_are_said_to_be_that_and_serve_with_it(
    female_profile, noisy, tmp_path
):
    """As after ``targets/install.sh --backend onnx --personal`` on the laptop, carried to a board with LiteRT."""
    learnt_in, there = Model.load("pvqe-s.int8", "onnx"), Model.load("pvqe-s.int8", "litert")
    profile = dataclasses.replace(female_profile, name="me")
    laptop, board = ProfileStore(tmp_path / "laptop"), ProfileStore(tmp_path / "board")
    laptop.save(with_personal(profile, learnt_in, weights_of(learnt_in)))
    laptop.export("me", tmp_path / "me.profile")
    carried = board.import_(tmp_path / "me.profile")
    said = (
        r"^Profile 'me' goes without its personal weights: they are for pvqe-s\.int8\.onnx, whose runtime alone was "
        r"installed where they were learnt, not for pvqe-s\.int8\.tflite: choose that runtime with --backend"
    )
    with pytest.warns(EdgePseWarning, match=said):
        enhancer = Enhancer(there, carried)
    assert not enhancer.personal
    np.testing.assert_array_equal(enhancer.process(noisy), Enhancer(there, profile).process(noisy))
    assert Enhancer(learnt_in, carried).personal
