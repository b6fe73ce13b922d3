"""What a service manager hears, through a socket as systemd makes it."""

import socket
import time

import pytest

from edge_pse.service import Service


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    """``(socket, its name as NOTIFY_SOCKET gives it)``."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@edge-pse-test-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        receiver.settimeout(0.05)
        yield receiver, name


def heard(receiver):
    lines = []
    while True:
        try:
            lines.append(receiver.recv(4096).decode())
        except TimeoutError:
            return lines


def test_a_manager_hears_ready_once_and_then_the_watchdog(manager):
    receiver, name = manager
    service = Service({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})
    assert service.managed
    service.alive()
    service.alive()
    assert heard(receiver) == ["READY=1", "WATCHDOG=1"]
    time.sleep(0.1)
    service.alive()
    service.status("Running:\nmic to speaker.")
    service.stopping()
    assert heard(receiver) == ["WATCHDOG=1", "STATUS=Running: mic to speaker.", "STOPPING=1"]


def test_no_watchdog_where_none_was_asked_for_or_another_process_is_watched(manager):
    receiver, name = manager
    for more in ({}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}):
        Service({"NOTIFY_SOCKET": name} | more).alive()
        assert heard(receiver) == ["READY=1"]


def test_nothing_happens_without_a_manager_or_when_it_is_gone(tmp_path):
    assert not Service({}).managed
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"}):
        service = Service(environment)
        service.alive()
        service.status("Running.")
        service.stopping()


def test_a_manager_that_did_not_get_ready_is_told_again(tmp_path):
    name = str(tmp_path / "notify")
    service = Service({"NOTIFY_SOCKET": name})
    service.alive()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        receiver.settimeout(0.05)
        service.alive()
        assert heard(receiver) == ["READY=1"]
