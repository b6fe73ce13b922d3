"""What is said of machines whose /proc and /sys are of the test's making, and of the one at hand."""

import os
import resource
import time

import pytest

from edge_pse import targets
from edge_pse.diagnosis import machine


@pytest.fixture
def root(tmp_path):
    """``root({"sys/x": "1"})`` -> a file system with these files."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        return tmp_path

    return make


@pytest.fixture
def no_vcgencmd(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_the_board_and_its_settings_are_named(root):
    found = machine.target(root({"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}))
    assert found.status == "ok"
    assert "raspberry-pi-4" in found.sentence


def test_a_raspberry_pi_without_settings_is_told(root):
    found = machine.target(root({"proc/device-tree/model": "Raspberry Pi 2 Model B Rev 1.1\0"}))
    assert found.status == "warn"
    assert targets.FALLBACK in found.sentence


@pytest.mark.parametrize(
    ("governor", "driver", "status"),
    [
        ("ondemand", "cpufreq-dt", "ok"),
        ("performance", "cpufreq-dt", "ok"),
        ("powersave", "cpufreq-dt", "warn"),
        ("powersave", "intel_pstate", "ok"),
        ("powersave", "intel_cpufreq", "warn"),
    ],
)
def test_a_governor_that_keeps_the_clock_low(root, governor, driver, status):
    policy = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_{}"
    cpus = {policy.format(cpu, "governor"): governor for cpu in range(2)}
    cpus |= {policy.format(cpu, "driver"): driver for cpu in range(2)}
    found = machine.governor(root(cpus))
    assert found.status == status
    assert governor in found.sentence
    assert bool(found.advice) == (status != "ok")


@pytest.mark.usefixtures("no_vcgencmd")
@pytest.mark.parametrize("node", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
@pytest.mark.parametrize(
    ("bits", "status", "words"),
    [
        ("0", "ok", "Not since the start"),
        ("50005", "fail", "now: too little voltage, throttling"),
        ("0x80008", "fail", "the soft temperature limit"),
        ("50000", "warn", "since its start: too little voltage, throttling"),
        ("20000", "warn", "a capped clock"),
        ("nonsense", "ok", "No Raspberry Pi"),
    ],
)
def test_a_raspberry_pi_that_slows_down(root, node, bits, status, words):
    found = machine.throttling(root({f"sys/devices/platform/{node}/get_throttled": bits}))
    assert found.status == status
    assert words in found.sentence


@pytest.mark.parametrize(
    ("script", "status"),
    [("echo throttled=0x50000", "warn"), ("echo throttled=0x0", "ok"), ("exit 1", "ok"), ("sleep 30", "ok")],
)
def test_where_only_vcgencmd_tells(tmp_path, monkeypatch, script, status):
    program = tmp_path / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(machine, "_VCGENCMD_S", 0.5)
    began = time.monotonic()
    assert machine.throttling(tmp_path).status == status
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("millidegrees", "status", "words"),
    [(("45600", "51000"), "ok", "51 °C"), (("45600", "82000"), "warn", "82 °C"), (("",), "ok", "No sensor")],
)
def test_the_hottest_zone_counts(root, millidegrees, status, words):
    zones = {f"sys/class/thermal/thermal_zone{i}/temp": text for i, text in enumerate(millidegrees)}
    found = machine.temperature(root(zones))
    assert found.status == status
    assert words in found.sentence


def test_real_time_priority_by_root_by_a_limit_or_from_rtkit(root, monkeypatch):
    bare = root({"etc/hostname": "pi"})
    if os.geteuid() == 0:
        assert machine.real_time(bare).status == "ok"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    before = resource.getrlimit(resource.RLIMIT_RTPRIO)
    try:
        if before[1] == 0 or os.getuid() == 0:  # only root may raise it again
            resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
            assert machine.real_time(bare).status == "warn"
            assert "rtkit" in machine.real_time(bare).advice
            resource.setrlimit(resource.RLIMIT_RTPRIO, before)
        assert machine.real_time(root({machine._RTKIT: "[D-BUS Service]"})).status == "ok"
    finally:
        resource.setrlimit(resource.RLIMIT_RTPRIO, before)


@pytest.mark.parametrize("check", ["target", "governor", "throttling", "temperature", "real_time"])
def test_this_machine_can_be_looked_at(check):
    found = getattr(machine, check)()
    assert found.status in ("ok", "warn", "fail")
    assert found.sentence.endswith(".")
    assert bool(found.advice) == (found.status != "ok")
