"""What a running stream is asked and told, while its own threads go on."""

import dataclasses
import socket
import sys
import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest

from edge_pse import Enhancer, ProfileStore
from edge_pse.audio.live import Counters
from edge_pse.control import Control, ControlServer, Desk
from edge_pse.control.hearing import Hearing
from edge_pse.errors import ControlError, ProfileError


@pytest.fixture
def in_small_steps():
    """Threads change places as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def meanwhile():
    """``meanwhile(work)`` calls it again and again on another thread, until the test ends."""
    ended, threads = threading.Event(), []

    def begin(work):
        def again():
            while not ended.is_set():
                work()

        threads.append(threading.Thread(target=again))
        threads[-1].start()

    yield begin
    ended.set()
    for thread in threads:
        thread.join()


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


def test_a_stream_that_speaks_meanwhile_says_how_it_goes(live, meanwhile, in_small_steps):
    desk = Desk(lambda: live, ProfileStore().load, threading.Event())
    meanwhile(lambda: (desk.note("This program was held up."), time.sleep(0)))
    for _ in range(10_000):
        assert len(desk.status()["sentences"]) <= 50


def test_nothing_is_kept_of_what_comes_while_the_last_listener_leaves(meanwhile, in_small_steps):
    hearing, hop = Hearing(), np.ones(160, np.float32)
    for _ in range(4):
        meanwhile(lambda: hearing.before.add(hop, 16_000))
    for _ in range(50_000):
        with hearing.kept():
            pass
        assert hearing.latest()["before"] is None


def test_who_comes_when_too_many_are_connected_is_told_so(live, tmp_path):
    path = tmp_path / "run" / "control.sock"
    with (
        ControlServer(Desk(lambda: live, ProfileStore().load, threading.Event()), path),
        ExitStack() as opened,
    ):
        for _ in range(32):
            opened.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
        for _ in range(20):
            with pytest.raises(ControlError, match="32 programs are connected to this stream already"):
                Control(path).status()


def test_a_stream_that_ends_leaves_the_socket_of_another_one(live, tmp_path):
    """As where the service, which ended, took the folder of sockets along."""
    path = tmp_path / "run" / "control.sock"
    desk = Desk(lambda: live, ProfileStore().load, threading.Event())
    with ControlServer(desk, path):
        path.unlink()
        other = ControlServer(desk, path)
        other.__enter__()
    try:
        assert path.exists()
    finally:
        other.__exit__(None, None, None)
    assert not path.exists()
