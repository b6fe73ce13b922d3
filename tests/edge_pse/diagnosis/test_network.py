"""Whether the network runs here, and runs in time."""

import sys

import pytest

from edge_pse import targets
from edge_pse.backends import RUNTIMES, Runtime
from edge_pse.benchmark import FrameTimes
from edge_pse.diagnosis import network


@pytest.fixture
def installed(monkeypatch):
    """``installed("onnx")`` lets all other runtimes be missing."""

    def only(*names):
        for name, runtime in RUNTIMES.items():
            if name not in names:
                missing = Runtime(runtime.suffix, runtime.module, f"{runtime.distribution}-is-not-here")
                monkeypatch.setitem(RUNTIMES, name, missing)

    return only


def test_the_installed_runtimes_are_listed():
    found = network.runtimes()
    assert found.status == "ok"
    assert f"onnx {RUNTIMES['onnx'].installed_version()}" in found.sentence


def test_without_a_runtime_nothing_works(installed):
    installed()
    found = network.runtimes()
    assert found.status == "fail"
    assert found.advice.startswith(f"{sys.executable} -m pip install ai-edge-litert-is-not-here")


def test_on_a_small_board_the_fastest_runtime_is_asked_for(installed):
    installed("onnx")
    found = network.runtimes(targets.load("raspberry-pi-4"))
    assert found.status == "warn"
    assert "litert" in found.sentence
    assert network.runtimes(targets.load("laptop")).status == "ok"


@pytest.mark.parametrize(
    ("p50_ms", "p99_ms", "status", "words"),
    [
        (0.3, 0.5, "ok", "pvqe"),
        (0.3, 7, "warn", "other programs"),
        (0.3, 20, "fail", "other programs"),
        (6, 7, "warn", "slow"),
        (12, 14, "fail", "slow"),
    ],
)
def test_the_slowest_hundredth_is_held_against_the_hop(p50_ms, p99_ms, status, words):
    found = network.verdict(FrameTimes(p50_ms, p99_ms, 2 * p99_ms, p50_ms), 10, "pvqe")
    assert found.status == status
    assert words in found.sentence
    assert bool(found.advice) == (status != "ok")


def test_a_slow_machine_is_advised_what_would_be_faster_there():
    laptop = network.faster_than(targets.load("laptop").settings.override(backend="onnx").load_model())
    assert laptop == [f"{sys.executable} -m pip install ai-edge-litert", "edge-pse run --model pvqe-xs.int8"]
    small = targets.load("raspberry-pi-zero-2-w").settings.override(backend="onnx").load_model()
    assert network.faster_than(small) == laptop[:1]
    advice = network.verdict(FrameTimes(12, 14, 28, 12), 10, "pvqe", laptop).advice
    assert advice.startswith("; ".join(laptop))


def test_this_machine_is_measured_at_the_pace_of_live_sound(monkeypatch):
    monkeypatch.setattr(network, "_FRAMES", 50)
    found = network.in_time(targets.load("raspberry-pi-3").settings)
    assert found.sentence.startswith("pvqe-s.int8.")
    assert "hops of 10 ms" in found.sentence


def test_a_model_that_can_not_be_loaded_is_said(monkeypatch):
    settings = targets.load("laptop").settings.override(model="nothing")
    found = network.in_time(settings)
    assert found.status == "fail"
    assert "There is no model 'nothing'" in found.sentence
