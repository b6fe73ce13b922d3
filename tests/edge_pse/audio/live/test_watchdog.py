"""``edge-pse run`` under a stand-in service manager: the watchdog is fed by sound, not by a timer."""

import signal
import socket
import time

import pytest

WATCHDOG = {"WATCHDOG_USEC": "1000000"}


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        yield receiver, {"NOTIFY_SOCKET": str(tmp_path / "notify")} | WATCHDOG


def heard(receiver, seconds):
    """All that comes within some time."""
    lines, until = [], time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        receiver.settimeout(left)
        try:
            lines.append(receiver.recv(4096).decode())
        except TimeoutError:
            break
    return lines


def test_a_missing_microphone_is_waited_for_and_the_watchdog_fed_all_the_while(
    manager, sound_server, start_command
):
    receiver, env = manager
    sound_server.unplug()
    arguments = ("run", "--input", "desk", "--output", "virtual", "--latency", "100")
    run = start_command(*arguments, env=sound_server.env | env)
    run.wait_for("Waiting for it.")
    waiting = heard(receiver, 2)
    assert waiting.count("READY=1") == 1
    assert waiting.count("WATCHDOG=1") >= 2
    sound_server.plug_in()
    run.wait_for("Running")
    running = heard(receiver, 2)
    assert any(line.startswith("STATUS=Running") for line in running)
    assert running.count("WATCHDOG=1") >= 4
    run.stop(signal.SIGTERM)
    assert "STOPPING=1" in heard(receiver, 0.2)


def test_on_demand_nobody_records_and_all_is_well(manager, sound_server, start_command):
    receiver, env = manager
    arguments = ("run", "--input", "desk", "--output", "virtual", "--on-demand")
    run = start_command(*arguments, env=sound_server.env | env)
    time.sleep(3)
    lines = heard(receiver, 2)
    assert lines[0] == "READY=1"
    assert lines.count("WATCHDOG=1") >= 4
    run.stop(signal.SIGTERM)


def test_a_network_that_hangs_while_the_devices_go_on_starves_the_watchdog(
    manager, sound_server, start_command, tmp_path
):
    """The step of the network is replaced by one that hangs: no real one does so on purpose."""
    receiver, env = manager
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, time\n"
        "from edge_pse.enhancer import Enhancer\n"
        "process = Enhancer.process\n"
        "def hang(self, *block):\n"
        f"    while pathlib.Path('{tmp_path}/hang').exists(): time.sleep(1)\n"
        "    return process(self, *block)\n"
        "Enhancer.process = hang\n"
    )
    env = sound_server.env | env | {"PYTHONPATH": str(tmp_path)}
    run = start_command("run", "--input", "desk", "--output", "ears", "--latency", "100", env=env)
    run.wait_for("Running")
    assert "WATCHDOG=1" in heard(receiver, 1.5)
    (tmp_path / "hang").touch()
    heard(receiver, 1)
    assert heard(receiver, 3).count("WATCHDOG=1") == 0
    run.kill()
