"""Every runtime gives the same stream from the same model, and says clearly why it can't."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pse import Enhancer, Model, enroll
from edge_pse.backends import RUNTIMES, open_model
from edge_pse.backends.tflite import open_with
from edge_pse.errors import ModelError
from edge_pse.model import MODELS_DIR, available_models
from edge_pse.model_file import description_path, read_description
from tests.edge_pse.graphs import copy_model

Samples = NDArray[np.float32]
INSTALLED = [name for name, runtime in RUNTIMES.items() if runtime.installed_version()]
PAIRS = [
    (path.name, name)
    for path in available_models()
    for name in INSTALLED
    if RUNTIMES[name].suffix == path.suffix
]
TFLITE, ONNX = MODELS_DIR / "pvqe-s.fp32.tflite", MODELS_DIR / "pvqe-s.fp32.onnx"

needs_litert = pytest.mark.skipif("litert" not in INSTALLED, reason="ai-edge-litert is not installed here")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A TFLite model with its description, to be spoilt."""
    return copy_model(TFLITE, tmp_path)


def output_snr_db(wanted: Samples, got: Samples) -> float:
    return float(10 * np.log10(np.sum(wanted**2) / max(np.sum((wanted - got) ** 2), 1e-20)))


@pytest.mark.parametrize(("model_name", "runtime"), PAIRS)
def test_every_file_gives_the_stream_of_the_default_model(
    model_name: str,
    runtime: str,
    recording: Callable[[str], Samples],
    mix: Callable[[Samples, Samples, float], Samples],
) -> None:
    noisy = mix(recording("ls367_speech"), recording("helicopter"), 5)[: 4 * 16_000]
    model = Model.load(MODELS_DIR / model_name, runtime)
    assert model.backend.name == runtime
    same_network = Model.load(f"{model.contract.network}.fp32", "onnx")
    wanted, got = Enhancer(same_network).enhance(noisy, 16_000), Enhancer(model).enhance(noisy, 16_000)
    assert output_snr_db(wanted, got) > (100 if model.contract.precision == "fp32" else 35)
    assert model.contract.model_id == same_network.contract.model_id


@needs_litert
def test_all_formats_and_precisions_promise_the_same() -> None:
    contracts = [
        Model.load(MODELS_DIR / model, runtime).contract for model, runtime in PAIRS if "pvqe-s." in model
    ]
    assert {contract.precision for contract in contracts} == {"fp32", "int8", "int8-weights"}
    assert len({dataclasses.replace(contract, precision="") for contract in contracts}) == 1


@needs_litert
@pytest.mark.parametrize(
    ("profile_model", "other_model"), [("pvqe-s.int8", "pvqe-s.fp32"), ("pvqe-s.fp32", "pvqe-s.int8")]
)
@pytest.mark.parametrize("runtime", ["onnx", "litert"])
def test_a_profile_of_one_precision_serves_the_other(
    profile_model: str, other_model: str, runtime: str, recording: Callable[[str], Samples]
) -> None:
    profile = enroll(recording("ls2033_enrollment"), 16_000, model=Model.load(profile_model, runtime))
    enhanced = Enhancer(Model.load(other_model), profile).enhance(recording("ls2033_speech"), 16_000)
    own = Enhancer(Model.load(other_model), enroll(recording("ls2033_enrollment"), 16_000, model=other_model))
    assert output_snr_db(own.enhance(recording("ls2033_speech"), 16_000), enhanced) > 35


@needs_litert
def test_auto_takes_the_first_runtime_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Model.load("pvqe-s").backend.name == "litert"
    assert Model.load(ONNX).backend.name == "onnx"
    missing = dataclasses.replace(RUNTIMES["litert"], distribution="ai-edge-litert-is-not-here")
    monkeypatch.setitem(RUNTIMES, "litert", missing)
    assert Model.load("pvqe-s").backend.name == "onnx"
    assert Model.load("pvqe-s").path.name == "pvqe-s.int8.onnx"


@needs_litert
def test_a_network_of_which_there_is_only_full_precision_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_pse.model.MODELS_DIR", tmp_path)
    alone = copy_model(ONNX, tmp_path)
    assert Model.load("pvqe-s").path == alone
    both = copy_model(TFLITE, tmp_path)
    assert Model.load("pvqe-s").path == both


@needs_litert
def test_a_tflite_step_keeps_its_inputs_and_its_outputs() -> None:
    model = Model.load(TFLITE, "litert")
    random = np.random.default_rng(3)
    spectrum = random.standard_normal((1, 2, 1, model.contract.bins)).astype(np.float32)
    profile = random.standard_normal((1, model.contract.embedding_size)).astype(np.float32)
    states = model.contract.initial_states()
    first, embedding, following = model.backend.step(spectrum, profile, states)
    kept = [array.copy() for array in (first, embedding, *following)]
    assert all(not state.any() for state in states)
    model.backend.step(2 * spectrum, profile, following)
    for array, copy in zip((first, embedding, *following), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@needs_litert
def test_a_description_of_something_else_is_refused(copied: Path) -> None:
    description = description_path(copied)
    content = json.loads(description.read_text())
    content.update(embedding_size=128, voice_space="")
    description.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"outputs .*\(embedding\)"):
        Model.load(copied)


def test_a_file_is_refused_by_the_runtime_of_another_format() -> None:
    with pytest.raises(ModelError, match=r"ends in \.onnx"):
        Model.load(TFLITE, "onnx")


def test_tflite_runtime_is_given_the_file_without_int8_arithmetic(copied: Path) -> None:
    runtime, int8 = RUNTIMES["tflite-runtime"], MODELS_DIR / "pvqe-s.int8.tflite"
    assert runtime.file_for(int8).name == "pvqe-s.int8-weights.tflite"
    assert runtime.file_for(copied) == copied
    alone = copy_model(int8, copied.with_name("alone.int8.tflite"))
    assert runtime.file_for(alone) == alone
    assert RUNTIMES["litert"].file_for(int8) == int8
    assert read_description(runtime.file_for(int8))["precision"] == "int8-weights"


@needs_litert
def test_tflite_runtime_is_called_as_litert_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # LiteRT's interpreter stands in for its predecessor, which can't be installed beside it.
    monkeypatch.setitem(sys.modules, "tflite_runtime", importlib.import_module("ai_edge_litert"))
    interpreter = importlib.import_module("ai_edge_litert.interpreter")
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    model = Model.load("pvqe-s.int8", "tflite-runtime")
    assert (model.backend.name, model.contract.precision) == ("tflite-runtime", "int8-weights")
    assert model.path.name == "pvqe-s.int8-weights.tflite"


@pytest.mark.parametrize("runtime", INSTALLED)
def test_threads_that_share_a_model_get_what_each_gets_alone(
    runtime: str, recording: Callable[[str], Samples]
) -> None:
    voices = [recording(name)[:24_000] for name in ("ls367_speech", "ls2033_speech", "ls1688_speech")]
    model = Model.load("pvqe-s", runtime)
    alone = [Enhancer(model).enhance(voice, 16_000) for voice in voices]
    with ThreadPoolExecutor(len(voices)) as pool:
        for _ in range(3):
            together = pool.map(lambda voice: Enhancer(model).enhance(voice, 16_000), voices)
            for wanted, got in zip(alone, together, strict=True):
                np.testing.assert_array_equal(got, wanted)


def test_threads_that_open_models_leave_standard_error_where_it_was(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One thread opens a model while another is in the middle of it, and is done later."""
    both_open, first_done = threading.Event(), threading.Event()

    def first_interpreter(**_: object) -> None:
        both_open.wait(0.2)
        raise ValueError("no model")

    def second_interpreter(**_: object) -> None:
        both_open.set()
        first_done.wait(1)
        raise ValueError("no model")

    def open_first() -> None:
        with pytest.raises(ModelError, match="no model"):
            open_with(first_interpreter, "litert", b"", 1)
        first_done.set()

    first = threading.Thread(target=open_first)
    first.start()
    time.sleep(0.05)
    with pytest.raises(ModelError, match="no model"):
        open_with(second_interpreter, "litert", b"", 1)
    first.join()
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


@pytest.mark.parametrize("runtime", INSTALLED)
def test_a_closed_standard_error_is_no_hindrance(runtime: str) -> None:
    code = (
        f"import os; os.close(2); import edge_pse; edge_pse.Model.load(backend={runtime!r}); print('loaded')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "loaded\n"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_while_a_runtime_is_loaded_is_not_taken_for_a_missing_one(
    monkeypatch, tmp_path, end
):
    # What comes out of a library that pybind11 has made, if a signal comes in the middle of it.
    content = f"raise ImportError('initialization failed') from {end.__name__}()\n"
    (tmp_path / "runtime_that_is_interrupted.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    runtime = dataclasses.replace(RUNTIMES["onnx"], module="runtime_that_is_interrupted")
    monkeypatch.setitem(RUNTIMES, "onnx", runtime)
    with pytest.raises(end):
        open_model(b"", "onnx")
