"""Several profiles at once: whoever of them speaks is kept, each with the network and the states of its own."""

import dataclasses

import numpy as np
import pytest
import soundfile

from edge_pse import EdgePseWarning, Enhancer, Model, ProfileError, ProfileStore, enroll
from edge_pse.kept_voices import combined
from tests.edge_pse.learnt import weights_of, with_personal

HOP = 160
RATE = 16_000


@pytest.fixture
def both(female_profile, male_profile):
    """Of ``ls367`` and ``ls2033``."""
    return [female_profile, male_profile]


@pytest.fixture
def noisy(recording, mix):
    return mix(recording("ls367_speech")[:40_000], recording("helicopter"), 5)


def level_db(one, other):
    return 20 * np.log10(np.std(one) / np.std(other))


def test_whoever_of_them_speaks_is_kept(model, recording, both):
    heard = np.concatenate([recording(f"{voice}_speech")[: 3 * RATE] for voice in ("ls367", "ls2033")])
    turns = slice(RATE, 3 * RATE), slice(4 * RATE, 6 * RATE)
    kept = Enhancer(model, both).enhance(heard, RATE)
    assert all(level_db(kept[turn], heard[turn]) > -1 for turn in turns)
    of_the_second = Enhancer(model, both[1]).enhance(heard, RATE)
    assert level_db(of_the_second[turns[0]], heard[turns[0]]) < -10


def test_voices_may_come_one_by_one(model, recording, both):
    speech = recording("ls367_speech")[:RATE]
    one_by_one = Enhancer(model, (profile for profile in both))
    assert list(one_by_one.profiles) == both
    np.testing.assert_array_equal(
        one_by_one.enhance(speech, RATE), Enhancer(model, both).enhance(speech, RATE)
    )
    one_by_one.profiles = iter(())
    np.testing.assert_array_equal(one_by_one.enhance(speech, RATE), Enhancer(model).enhance(speech, RATE))
    heard = []
    one_by_one.identify(heard.append, (profile for profile in both))
    one_by_one.enhance(speech, RATE)
    assert heard and heard[0].profile is not None


def test_a_stranger_is_not(model, recording, male_profile):
    third = enroll(recording("ls3080_enrollment"), RATE, model=model)
    speech = recording("ls367_speech")
    assert level_db(Enhancer(model, [male_profile, third]).enhance(speech, RATE), speech) < -10


@pytest.mark.parametrize("number", [0, 1])
def test_a_voice_is_as_loud_as_with_its_profile_alone(model, recording, both, number):
    speech = recording(("ls367_speech", "ls2033_speech")[number])
    alone = Enhancer(model, both[number]).enhance(speech, RATE)
    assert abs(level_db(Enhancer(model, both).enhance(speech, RATE), alone)) < 0.3


def test_when_both_speak_both_are_heard(model, recording, both, si_sdr):
    one, other = (recording(f"{voice}_speech")[: 4 * RATE] for voice in ("ls367", "ls2033"))
    speech = one + other * np.float32(np.std(one) / np.std(other))
    kept = si_sdr(speech, Enhancer(model, both).enhance(speech, RATE))
    assert kept > 8
    assert all(kept > 4 + si_sdr(speech, Enhancer(model, profile).enhance(speech, RATE)) for profile in both)


def test_of_each_bin_the_voice_counts_that_keeps_most():
    one = np.array([[3.0, 1.0, 0.0], [0.0, 1.0, 0.1]], np.float32)[None, :, None]
    other = np.array([[0.0, 2.0, 0.0], [2.0, 0.0, 0.0]], np.float32)[None, :, None]
    np.testing.assert_array_equal(
        combined([one, other])[0, :, 0], np.array([[3, 2, 0], [0, 0, 0.1]], np.float32)
    )
    np.testing.assert_array_equal(combined([other, one]), combined([one, other]))
    assert combined([one]) is one


def test_one_in_a_list_is_one(model, noisy, male_profile):
    enhancer = Enhancer(model, [male_profile])
    assert enhancer.profiles == (male_profile,)
    np.testing.assert_array_equal(enhancer.process(noisy), Enhancer(model, male_profile).process(noisy))
    enhancer.profiles = []
    enhancer.reset()
    np.testing.assert_array_equal(enhancer.process(noisy), Enhancer(model).process(noisy))


@pytest.mark.parametrize("name", ["pvqe-s.fp32", "pvqe-xs"])
@pytest.mark.parametrize("runtime", ["litert", "onnx"])
def test_what_the_network_knows_of_a_voice_stays_when_others_come_and_go(name, runtime, noisy, both):
    model, (mine, yours) = Model.load(name, runtime), both
    steady = Enhancer(model, mine).process(noisy)
    enhancer, out = Enhancer(model, mine), []
    places = [[mine], [yours, mine], [mine, mine, yours], [mine]]
    for profiles, block in zip(places, np.split(noisy, 4), strict=True):
        enhancer.profiles = profiles
        out.append(enhancer.process(block))
    np.testing.assert_array_equal(out[0], steady[: out[0].size])
    assert not np.array_equal(out[1], steady[out[0].size :][: out[1].size])
    np.testing.assert_array_equal(out[3][2 * HOP :], steady[-out[3].size + 2 * HOP :])


def test_each_runs_with_weights_of_its_own(noisy, both):
    model, (mine, yours) = Model.load("pvqe-s.fp32"), both
    learnt = with_personal(mine, model, weights_of(model, 0.1))
    enhancer = Enhancer(model, [yours, learnt])
    assert enhancer.personal == (learnt,)
    first, rest = noisy[:20_000], noisy[20_000:]
    assert not np.array_equal(enhancer.process(first), Enhancer(model, both).process(first))
    enhancer.profiles = learnt
    alone = Enhancer(model, learnt).process(noisy)
    np.testing.assert_array_equal(enhancer.process(rest)[2 * HOP :], alone[20_000 + 2 * HOP :])


def test_listening_hears_the_same_whoever_is_kept(model, noisy, both):
    heard = {}
    for count in (0, 1, 2):
        enhancer = Enhancer(model, both[:count])
        enhancer.observe(heard.setdefault(count, []).append)
        enhancer.process(noisy)
    for count in (1, 2):
        np.testing.assert_array_equal(
            [hop.embedding for hop in heard[count]], [hop.embedding for hop in heard[0]]
        )


def test_a_faint_stream_is_raised_for_all_of_them(model, recording, both):
    faint = recording("ls2033_speech") * np.float32(10 ** (-30 / 20))
    rest = slice(2 * RATE, None)
    kept = Enhancer(model, both).enhance(faint, RATE)
    assert level_db(kept[rest], faint[rest]) > -2


def test_weights_that_are_no_sound_are_named_and_the_input_passes(noisy, both):
    model, (mine, yours) = Model.load("pvqe-s.fp32"), both
    numbers = np.nan * np.frombuffer(weights_of(model), "<f4")
    broken = with_personal(yours, model, numbers.astype("<f4").tobytes())
    enhancer = Enhancer(model, [mine, broken])
    with pytest.warns(EdgePseWarning, match="with profile 'ls2033' is no sound"):
        out = enhancer.process(noisy)
    np.testing.assert_array_equal(out[HOP:], noisy[:-HOP])
    enhancer.profiles = both
    enhancer.process(noisy)
    assert not enhancer.fault


def test_if_one_is_of_another_model_nothing_changes(model, both):
    enhancer = Enhancer(model, both)
    stranger = dataclasses.replace(both[0], model_id="pvqe-xs-0123456789ab")
    with pytest.raises(ProfileError, match="pvqe-xs-0123456789ab"):
        enhancer.profiles = [both[1], stranger]
    assert enhancer.profiles == tuple(both)


def test_they_are_kept_beside_an_echo(recording, both):
    model = Model.load("pvqe-s-far")
    far_end = recording("ls1688_speech")[: 3 * RATE]
    near = recording("ls367_speech")[: 3 * RATE]
    echo = 0.5 * np.concatenate([np.zeros(800, np.float32), far_end[:-800]])
    kept = Enhancer(model, both).enhance(near + echo, RATE, far_end)
    left = Enhancer(model, both).enhance(echo, RATE, far_end)
    assert level_db(kept, near) > -2 and level_db(left, echo) < -10


def test_the_command_takes_the_option_again_for_each(run, refused, home, model, recording, both, tmp_path):
    for profile in both:
        ProfileStore().save(profile)
    source, out = tmp_path / "turns.wav", tmp_path / "out.wav"
    turns = np.concatenate([recording(f"{voice}_speech")[:RATE] for voice in ("ls367", "ls2033")])
    soundfile.write(source, turns, RATE, "FLOAT")
    names = ("--profile", "ls367", "--profile", "ls2033", "--profile", "ls367")
    assert run("enhance", source, "-o", out, *names).exit_code == 0
    expected = Enhancer(model, both).enhance(turns, RATE)
    np.testing.assert_array_equal(soundfile.read(out, dtype="float32")[0], expected)
    out.unlink()
    assert "nobody" in refused("enhance", source, "-o", out, "--profile", "ls367", "--profile", "nobody")
    assert not out.exists()


def test_a_voice_that_joins_is_heard_at_once(model, recording, female_profile):
    speech = recording("ls1688_speech")
    joining = enroll(recording("ls1688_enrollment"), RATE, model=model)
    enhancer = Enhancer(model, female_profile)
    enhancer.process(speech[: 4 * RATE])
    enhancer.profiles = [female_profile, joining]
    second = enhancer.process(speech[: RATE + HOP])[HOP:]
    assert level_db(second, speech[:RATE]) > -3
