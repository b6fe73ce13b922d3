"""What a running stream is asked and told, while its own threads go on."""

import dataclasses
import threading
from types import SimpleNamespace

import pytest

from edge_pse import Enhancer, ProfileStore
from edge_pse.audio.live import Counters
from edge_pse.control import Desk
from edge_pse.errors import ProfileError


@pytest.fixture
def live(model):
    return SimpleNamespace(
        enhancer=Enhancer(model), status=lambda: None, counters=Counters(), bypass=False, restarts=0
    )


def test_a_profile_that_can_t_be_used_does_not_bar_the_way_to_those_after_it(
    live, home, female_profile, male_profile
):
    store = ProfileStore()
    for name, profile in (("anna", female_profile), ("carl", male_profile)):
        store.save(dataclasses.replace(profile, name=name))
    store.files("ben")[0].write_text("{}")
    desk = Desk(lambda: live, store.load, threading.Event(), ["anna", "carl"])
    kept = []
    for _ in range(4):
        try:
            desk.next_profile()
        except ProfileError as error:
            kept.append(str(error))
        kept.append([profile.name for profile in live.enhancer.profiles])
    assert kept[0] == ["anna"] and kept[2:] == [["carl"], ["anna", "carl"], []]
    assert "ben.profile.json is damaged" in kept[1]
