"""Who speaks: seconds and turns of real speech, and what is told of them and what is not."""

import dataclasses
import json
import time

import numpy as np
import pytest
import soundfile
import soxr

from edge_pse import Enhancer, Model, ModelError, Profile, ProfileError, ProfileStore, enroll
from edge_pse.audio.live.bypass import BypassSwitch
from edge_pse.cli.who import Speaking
from edge_pse.profiles import Recording
from edge_pse.speakers import ERRORS, WEIGHTS, Heard, SpeakerTracker, together, turns
from edge_pse.voice_space import VoiceSpace
from studies.several import who

RATE = 16_000
VOICES = ("ls367", "ls2033", "ls1688", "ls3080")


@pytest.fixture(scope="module")
def profiles(model, recording):
    return {v: enroll(recording(f"{v}_enrollment"), RATE, model=model, name=v) for v in VOICES}


@pytest.fixture(scope="module")
def conversation(recording):
    """Four seconds of ls367, two of silence, four of ls3080, and five of ls367 again."""
    one, other = recording("ls367_speech"), recording("ls3080_speech")
    return np.concatenate(
        [one[: 4 * RATE], np.zeros(2 * RATE, np.float32), other[: 4 * RATE], one[-5 * RATE :]]
    )


def hear(model, samples, among, kept=None):
    heard = []
    enhancer = Enhancer(model, kept)
    enhancer.identify(heard.append, among)
    enhancer.process(samples)
    enhancer.flush()
    return heard


def name_of(heard):
    return None if heard.profile is None else heard.profile.name


def test_seconds_have_the_name_of_whoever_speaks_and_a_stranger_has_none(model, profiles, conversation):
    heard = hear(model, conversation, [profiles["ls367"], profiles["ls2033"]])
    assert [round(second.start_s, 2) for second in heard] == list(range(15))
    assert {second.seconds for second in heard} == {1.0}
    assert heard[5].speech_seconds == 0 and heard[5].nearest is None and heard[5].probability == 0
    right = ["ls367"] * 4 + [None] * 6 + ["ls367"] * 5
    names = [name_of(second) for second in heard]
    assert sum(name == wanted for name, wanted in zip(names, right, strict=True)) >= 12
    found = turns(heard)
    assert [name_of(turn) for turn in found] == ["ls367", None, "ls367"]
    assert [turn.start_s for turn in found] == pytest.approx([0, 6, 10], abs=1.01)
    assert sum(turn.seconds for turn in found) == pytest.approx(13, abs=1.01)


def test_of_several_voices_the_nearest_one_is_mostly_right(model, profiles, recording):
    among = list(profiles.values())
    wholes = {voice: together(hear(model, recording(f"{voice}_speech"), among)) for voice in VOICES}
    assert sum(whole.nearest.name == voice for voice, whole in wholes.items()) >= 3


def second(start_s, embedding, among, speech_seconds=0.8):
    """One that was heard, with an embedding of two numbers."""
    tracker = SpeakerTracker(VoiceSpace(), 2, 0.01)
    for _ in range(round(speech_seconds / 0.01)):
        tracker.add(np.array(embedding, np.float32), 1.0, 1.0, among)
    heard = tracker.rest(among)
    return dataclasses.replace(heard, start_s=float(start_s), seconds=1.0)


@pytest.fixture
def two():
    """Profiles of two voices that nothing connects."""
    return tuple(
        Profile(name, "pvqe-s-0123456789ab", (Recording(np.array(e), np.array(e), 9.0, 30.0),))
        for name, e in (("me", [1.0, 0.0]), ("you", [0.0, 1.0]))
    )


def test_turns_hold_short_pauses_and_end_where_another_begins(two):
    mine, yours, pause = [1.0, 0.1], [0.1, 1.0], [0.0, 0.0]
    said = [mine, mine, pause, mine, yours, yours, pause, pause, pause, yours]
    heard = [
        second(start, embedding, two, 0.8 if any(embedding) else 0.0) for start, embedding in enumerate(said)
    ]
    found = turns(heard)
    assert [(name_of(turn), turn.start_s, turn.seconds) for turn in found] == [
        ("me", 0, 4), ("you", 4, 2), ("you", 9, 1),
    ]  # fmt: skip
    assert found[0].speech_seconds == pytest.approx(2.4)
    assert turns([]) == [] == turns([second(0, pause, two, 0.0)])


def test_one_odd_second_is_no_turn(two):
    said = [[1.0, 0.1], [1.0, 0.1], [0.5, 0.6], [1.0, 0.1], [1.0, 0.1]]
    (turn,) = turns([second(start, embedding, two) for start, embedding in enumerate(said)])
    assert name_of(turn) == "me" and turn.seconds == 5


def test_several_seconds_are_judged_by_what_was_said_in_them(two):
    heard = [second(0, [1.0, 0.1], two, 0.8), second(1, [0.0, 1.0], two, 0.31), second(2, [9, 9], two, 0.0)]
    whole = together(heard)
    assert (name_of(whole), whole.start_s, whole.seconds) == ("me", 0, 3)
    np.testing.assert_allclose(whole.embedding, np.array([0.8, 0.08 + 0.31]) / 1.11, rtol=1e-5)
    with pytest.raises(ValueError, match="nothing was heard"):
        together([])


def test_a_stranger_is_nobody(model, profiles, recording):
    whole = together(hear(model, recording("ls367_speech"), [profiles["ls3080"], profiles["ls2033"]]))
    assert whole.profile is None and whole.nearest is not None


def test_noise_and_nobody_to_name_name_nobody(model, profiles, recording):
    for samples, among in (
        (recording("helicopter")[: 5 * RATE], [profiles["ls367"]]),
        (recording("ls367_speech"), []),
    ):
        assert all(second.profile is None for second in hear(model, samples, among))


def test_it_is_told_of_those_who_are_kept_and_the_stream_stays_as_it_is(model, profiles, conversation):
    kept, conversation = [profiles["ls367"], profiles["ls3080"]], conversation[: 5 * RATE]
    assert [s.embedding.tolist() for s in hear(model, conversation, None, kept)] == [
        s.embedding.tolist() for s in hear(model, conversation, kept)
    ]
    plain = Enhancer(model, kept).process(conversation)
    listening = Enhancer(model, kept)
    listening.identify(lambda second: None)
    np.testing.assert_array_equal(listening.process(conversation), plain)


def test_it_ends_when_it_is_told_to_and_begins_anew_with_the_stream(model, profiles, conversation):
    heard = []
    enhancer = Enhancer(model)
    enhancer.identify(heard.append, list(profiles.values()))
    enhancer.process(conversation[: 3 * RATE + 700])
    enhancer.reset()
    enhancer.process(conversation[: 2 * RATE])
    assert [second.start_s for second in heard] == [0, 1, 2, 0, 1]
    enhancer.identify(None)
    enhancer.process(conversation)
    assert len(heard) == 5


def test_the_rest_of_a_stream_is_told_at_its_end(model, profiles, recording):
    heard = hear(model, recording("ls367_speech")[: RATE // 2 + RATE], [profiles["ls367"]])
    assert [second.seconds for second in heard] == pytest.approx([1, 0.51])


def test_models_that_make_no_profiles_and_profiles_of_others_are_refused(model, profiles):
    with pytest.raises(ModelError, match="pvqe-xs can't tell who speaks: take pvqe-s"):
        Enhancer(Model.load("pvqe-xs")).identify(print)
    stranger = dataclasses.replace(profiles["ls367"], model_id="pvqe-xs-0123456789ab")
    with pytest.raises(ProfileError, match="enroll the voice again"):
        Enhancer(model).identify(print, [stranger])


def test_what_ships_is_what_was_measured():
    results = json.loads(who.RESULTS.read_text())
    assert tuple(results["weights"]) == WEIGHTS
    assert who.sentence(results) == ERRORS


def test_the_command_says_who_speaks_when(run, refused, home, profiles, conversation, tmp_path):
    path = tmp_path / "conversation.flac"
    soundfile.write(path, conversation, RATE)
    assert "No voice is enrolled" in refused("who", path)
    for name in ("ls367", "ls2033"):
        ProfileStore().save(profiles[name])
    said = run("who", path)
    rows = [line.split() for line in said.stdout.splitlines()[1:]]
    assert [row[2] for row in rows] == ["ls367", "somebody", "ls367"]
    assert rows[0][0] == "0:00" and rows[0][3].endswith("%")
    assert said.stderr == f"A guess. {ERRORS}\n"
    for rate in (48_000, 22_050):
        soundfile.write(tmp_path / "other.flac", soxr.resample(conversation, RATE, rate), rate)
        assert [line.split()[:3] for line in run("who", tmp_path / "other.flac").stdout.splitlines()[1:]] == [
            row[:3] for row in rows
        ]
    damaged = ProfileStore().root / "damaged.profile.json"
    damaged.write_text("{")
    others = run("who", path)
    assert others.stdout == said.stdout and "damaged is left out" in others.stderr
    assert "is damaged or not a voice profile" in refused("who", path, "--profile", "damaged")
    odd = [dataclasses.replace(one, embedding=one.embedding[:-1], half_band=one.half_band[:-1])
           for one in profiles["ls367"].recordings]  # fmt: skip
    ProfileStore().save(dataclasses.replace(profiles["ls367"], name="damaged", recordings=tuple(odd)))
    others = run("who", path)
    assert others.stdout == said.stdout
    assert "damaged is left out. Profile 'damaged' holds 255 numbers of a voice" in others.stderr
    assert (
        "holds 255 numbers" in run("enhance", path, "-o", tmp_path / "o.wav", "--profile", "damaged").stderr
    )
    damaged.unlink()
    only_other = run("who", path, "--profile", "ls2033").stdout
    assert "somebody else" in only_other and "ls367" not in only_other
    assert "nobody" in refused("who", path, "--profile", "nobody")
    soundfile.write(path, np.zeros(3 * RATE), RATE)
    assert run("who", path).stdout == "Nobody speaks.\n"


def test_heard_says_nothing_of_the_voice_when_it_is_printed(model, profiles, recording):
    (heard, *_) = hear(model, recording("ls367_speech")[:RATE], [profiles["ls367"]])
    assert isinstance(heard, Heard) and "array" not in repr(heard)


def test_who_spoke_before_the_network_was_passed_by_is_not_said_to_speak(model, profiles, recording):
    enhancer = Enhancer(model, profiles["ls367"])
    speaking = Speaking(enhancer, None)
    assert speaking.text() == ""
    switch = BypassSwitch(enhancer)
    hops = recording("ls367_speech")[: 4 * RATE].reshape(-1, 160)
    for hop in hops:
        switch.process(hop, past_network=False)
    assert speaking.text().startswith("ls367, ")
    began = time.monotonic()
    for hop in hops:
        switch.process(hop, past_network=True)
        time.sleep(max(0.0, began - time.monotonic()))
        began += 0.01
    assert speaking.text() == ""
