"""What becomes of the profile in use when another program changes it."""

import dataclasses
import time

import pytest

from edge_pse import Enhancer, Model, Profile, ProfileStore
from edge_pse.cli.output import warnings_said
from edge_pse.cli.profile_watch import ProfileWatch
from tests.edge_pse.learnt import weights_of, with_personal

WITHIN_S = 1.0


@pytest.fixture
def stream(tmp_path, monkeypatch, model, female_profile):
    """``(enhancer, store, said)`` of a stream that keeps the voice ``me``, and is watched."""
    monkeypatch.setenv("EDGE_PSE_HOME", str(tmp_path))
    store = ProfileStore()
    mine = dataclasses.replace(female_profile, name="me")
    store.save(mine)
    enhancer, said = Enhancer(model, mine), []
    with ProfileWatch(enhancer, store.load, said.append):
        yield enhancer, store, said


def until(condition):
    end = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_enrolled_again_is_taken_and_what_is_lost_is_kept(stream, male_profile, female_profile):
    enhancer, store, said = stream
    time.sleep(0.6)
    assert said == []
    store.save(dataclasses.replace(male_profile, name="me"))
    until(lambda: said)
    assert "me was changed" in said[0]
    assert (enhancer.profiles[0].embedding == male_profile.embedding).all()
    path = store.root / "me.profile.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    until(lambda: len(said) == 2)
    assert "stays the one of before" in said[1]
    path.unlink()
    until(lambda: len(said) == 3)
    assert "was deleted" in said[2]
    assert (enhancer.profiles[0].embedding == male_profile.embedding).all()
    store.save(dataclasses.replace(female_profile, name="me"))
    until(lambda: len(said) == 4)
    assert (enhancer.profiles[0].embedding == female_profile.embedding).all()


def test_what_this_program_writes_and_takes_itself_is_no_news(stream, male_profile):
    enhancer, store, said = stream
    time.sleep(0.5)
    mine = dataclasses.replace(male_profile, name="me")
    store.save(mine)
    time.sleep(0.1)
    enhancer.profiles = mine
    time.sleep(0.8)
    assert said == []


def learn(store, model, minutes):
    store.update("me", lambda known: with_personal(known, model, weights_of(model), minutes=minutes))


def test_personal_weights_that_come_change_and_go_are_taken_up(stream, model):
    enhancer, store, said = stream
    with warnings_said(said.append):
        learn(store, model, 3.0)
        until(lambda: len(said) == 1)
        learn(store, model, 10.0)
        until(lambda: len(said) == 2)
        assert all("has new personal weights: they are used" in sentence for sentence in said)
        assert enhancer.personal and enhancer.profiles[0].personal.networks["pvqe-s"].minutes == 10.0
        store.update("me", Profile.general)
        until(lambda: len(said) == 3)
        assert "goes on with general weights" in said[2] and not enhancer.personal
        learn(store, model, 3.0)
        until(lambda: len(said) == 4)
        assert enhancer.personal
        (store.root / "me.personal").write_bytes(b"damaged")
        until(lambda: len(said) == 6)
        assert "'me' goes without its personal weights. " in said[4]
        assert "goes on with general weights" in said[5] and not enhancer.personal
        time.sleep(0.5)
        assert len(said) == 6


def test_a_recording_more_takes_the_weights_away_and_says_why(stream, model, male_profile):
    enhancer, store, said = stream
    with warnings_said(said.append):
        learn(store, model, 3.0)
        until(lambda: said)
        store.update("me", lambda known: known.with_recording(male_profile.recordings[0], known.model_id))
        until(lambda: len(said) == 3)
    assert "the profile has changed since. Run `edge-pse personalise me` again." in said[1]
    assert "was changed: the new one is used" in said[2]
    assert len(enhancer.profiles[0].recordings) == 2 and not enhancer.personal


def test_of_several_profiles_each_is_looked_after(stream, male_profile, female_profile):
    enhancer, store, said = stream
    yours = dataclasses.replace(male_profile, name="you")
    store.save(yours)
    (mine,) = enhancer.profiles
    enhancer.profiles = [mine, yours]
    time.sleep(0.6)
    store.save(dataclasses.replace(female_profile, name="you"))
    until(lambda: said)
    assert said == ["Profile you was changed: the new one is used from here on."]
    assert enhancer.profiles[0] is mine and enhancer.profiles[1].id == female_profile.id
    for name in ("me", "you"):
        (store.root / f"{name}.profile.json").unlink()
    until(lambda: len(said) == 3)
    assert sorted(said[1:]) == [
        f"Profile {name} was deleted: its voice is kept until this run ends." for name in ("me", "you")
    ]
    assert len(enhancer.profiles) == 2


def test_weights_of_another_network_are_no_news(stream):
    enhancer, store, said = stream
    learn(store, Model.load("pvqe-xs"), 3.0)
    until(lambda: enhancer.profiles[0].personal)
    assert said == [] and not enhancer.personal
