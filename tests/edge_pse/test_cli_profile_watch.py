"""What becomes of the profile in use when another program changes it."""

import dataclasses
import time

import pytest

from edge_pse import Enhancer, ProfileStore
from edge_pse.cli.profile_watch import ProfileWatch

WITHIN_S = 1.0


@pytest.fixture
def stream(tmp_path, monkeypatch, model, female_profile):
    """``(enhancer, store, said)`` of a stream that keeps the voice ``me``, and is watched."""
    monkeypatch.setenv("EDGE_PSE_HOME", str(tmp_path))
    store = ProfileStore()
    mine = dataclasses.replace(female_profile, name="me")
    store.save(mine)
    enhancer, said = Enhancer(model, mine), []
    with ProfileWatch(enhancer, said.append):
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
    assert (enhancer.profile.embedding == male_profile.embedding).all()
    path = store.root / "me.profile.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    until(lambda: len(said) == 2)
    assert "stays the one of before" in said[1]
    path.unlink()
    until(lambda: len(said) == 3)
    assert "was deleted" in said[2]
    assert (enhancer.profile.embedding == male_profile.embedding).all()
    store.save(dataclasses.replace(female_profile, name="me"))
    until(lambda: len(said) == 4)
    assert (enhancer.profile.embedding == female_profile.embedding).all()


def test_what_this_program_writes_and_takes_itself_is_no_news(stream, male_profile):
    enhancer, store, said = stream
    time.sleep(0.5)
    mine = dataclasses.replace(male_profile, name="me")
    store.save(mine)
    time.sleep(0.1)
    enhancer.profile = mine
    time.sleep(0.8)
    assert said == []
