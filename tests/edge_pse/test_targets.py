"""Which settings a machine gets, what they rest on, and that options override them."""

import json
import tomllib
from pathlib import Path

import pytest

from edge_pse import targets
from edge_pse.backends import RUNTIMES
from edge_pse.errors import TargetError
from edge_pse.model import MODELS_DIR, available_models

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path):
    """``machine(name)`` -> the root of a file system whose device tree has that name."""

    def make(name):
        (tmp_path / "proc/device-tree").mkdir(parents=True)
        (tmp_path / "proc/device-tree/model").write_bytes(name.encode() + b"\0")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("board", "target"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0", "raspberry-pi-zero-2-w"),
        ("Raspberry Pi 3 Model A Plus Rev 1.0", "raspberry-pi-3"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberry-pi-3"),
        ("Raspberry Pi 4 Model B Rev 1.5", "raspberry-pi-4"),
        ("Raspberry Pi 400 Rev 1.0", "raspberry-pi-4"),
        ("Raspberry Pi Compute Module 4 Rev 1.1", "raspberry-pi-4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry-pi-5"),
        ("Raspberry Pi 500 Rev 1.0", "raspberry-pi-5"),
        ("Raspberry Pi Zero W Rev 1.1", "laptop"),
        ("Another Board", "laptop"),
        ("", "laptop"),
    ],
)
def test_the_board_chooses(machine, board, target):
    root = machine(board)
    assert targets.board(root) == (board or None)
    assert targets.choose(root=root).name == target
    assert targets.choose("raspberry-pi-4", root).name == "raspberry-pi-4"


def test_without_a_device_tree_it_is_a_laptop(tmp_path):
    assert targets.board(tmp_path) is None
    assert targets.choose(root=tmp_path).name == "laptop"


def test_a_target_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(TargetError, match=r"no target '\.\./laptop': choose one of auto, laptop, raspberry"):
        targets.load("../laptop")


@pytest.mark.parametrize("name", targets.names())
def test_every_value_is_usable_and_says_what_it_rests_on(name):
    target = targets.load(name)
    assert {path.name.rsplit(".", 1)[0] for path in available_models()} >= {target.settings.model}
    assert set(target.settings.backend) <= set(RUNTIMES)
    assert target.settings.threads >= 1
    assert 5 <= target.settings.latency_ms <= 1000
    assert 0 <= target.settings.strength <= 1
    for ground in target.grounds.values():
        assert ground.startswith(("measured: edge-pse ", "measured: python -m ", "guess: "))
    content = (Path(targets.__file__).parent / f"{name}.toml").read_text()
    assert content.count("[") >= 2 + len(target.grounds)


def test_the_first_runtime_that_is_installed_is_taken():
    for name in targets.names():
        settings = targets.load(name).settings
        first = next(runtime for runtime in settings.backend if RUNTIMES[runtime].installed_version())
        model = settings.load_model()
        assert model.backend.name == first
        assert model.path.stem == settings.model


@pytest.mark.parametrize(("suffix", "runtime"), [("tflite", "litert"), ("onnx", "onnx")])
def test_a_model_file_finds_its_runtime_whatever_the_target_prefers(run, suffix, runtime):
    path = MODELS_DIR / f"pvqe-s.fp32.{suffix}"
    (result,) = json.loads(run("bench", "--seconds", "0.1", "--json", "--model", path).stdout)
    assert result["backend"] == runtime


PLACES = [
    {"sys_platform": system, "platform_machine": machine, "python_version": version, "implementation_name": python}
    for system, machine in (
        ("linux", "x86_64"), ("linux", "aarch64"), ("linux", "armv7l"), ("linux", "riscv64"), ("darwin", "arm64"),
        ("darwin", "x86_64"), ("win32", "AMD64"), ("win32", "ARM64"), ("freebsd14", "amd64"),
    )
    for version in ("3.11", "3.14", "3.15")
    for python in ("cpython", "pypy")
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: " ".join(place.values()))
def test_pip_installs_one_runtime_wherever_it_is(place):
    """LiteRT where it has a wheel, ONNX Runtime everywhere else, and never both."""
    requirements = pytest.importorskip("packaging.requirements", reason="reading markers needs packaging")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [requirements.Requirement(line) for line in project["dependencies"]]
    distributions = {runtime.distribution for runtime in RUNTIMES.values()}
    asked = [
        one.name
        for one in needed
        if one.name in distributions and (not one.marker or one.marker.evaluate(place))
    ]
    has_wheel = (place["sys_platform"], place["platform_machine"]) in {
        ("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"),
    }  # fmt: skip
    litert = has_wheel and place["python_version"] != "3.15" and place["implementation_name"] == "cpython"
    assert asked == ["ai-edge-litert" if litert else "onnxruntime"]


def test_options_override_the_target(run):
    measured = ("bench", "--seconds", "0.1", "--json", "--target", "raspberry-pi-4")
    (of_target,) = json.loads(run(*measured).stdout)
    assert of_target["model"].startswith("pvqe-s.int8.")
    assert of_target["threads"] == 1
    overridden = ("--model", "pvqe-s.fp32", "--backend", "onnx", "--threads", "2")
    (result,) = json.loads(run(*measured, *overridden).stdout)
    assert (result["model"], result["backend"], result["threads"]) == ("pvqe-s.fp32.onnx", "onnx", 2)


def test_given_values_count_even_if_they_are_zero():
    settings = targets.load("laptop").settings
    assert settings.override(strength=0.0, latency_ms=None).strength == 0
    assert settings.override(strength=None) == settings


def test_an_unknown_target_is_a_usage_error(refused):
    assert "--target" in refused("run", "--target", "toaster", status=2)
