"""Every runtime gives the same stream from the same model, and says clearly why it can't."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_pse import Bundle, Enhancer, enroll
from edge_pse.backends import RUNTIMES
from edge_pse.backends.tflite import description_path
from edge_pse.bundle import MODELS_DIR, available_models
from edge_pse.errors import BundleError

Samples = NDArray[np.float32]
INSTALLED = [name for name, runtime in RUNTIMES.items() if runtime.installed_version()]
PAIRS = [
    (path.name, name)
    for path in available_models()
    for name in INSTALLED
    if RUNTIMES[name].suffix == path.suffix
]
TFLITE = MODELS_DIR / "pvqe-s.fp32.tflite"

needs_litert = pytest.mark.skipif("litert" not in INSTALLED, reason="ai-edge-litert is not installed here")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A TFLite model with its description, to be spoilt."""
    for path in (TFLITE, description_path(TFLITE)):
        shutil.copy(path, tmp_path)
    return tmp_path / TFLITE.name


def output_snr_db(wanted: Samples, got: Samples) -> float:
    return float(10 * np.log10(np.sum(wanted**2) / max(np.sum((wanted - got) ** 2), 1e-20)))


@pytest.mark.parametrize(("model", "runtime"), PAIRS)
def test_every_file_gives_the_stream_of_the_default_model(
    model: str,
    runtime: str,
    recording: Callable[[str], Samples],
    mix: Callable[[Samples, Samples, float], Samples],
) -> None:
    noisy = mix(recording("ls367_speech"), recording("helicopter"), 5)[: 4 * 16_000]
    bundle = Bundle.load(MODELS_DIR / model, runtime)
    assert bundle.backend.name == runtime
    same_network = Bundle.load(f"{bundle.contract.network}.fp32", "onnx")
    wanted, got = Enhancer(same_network).enhance(noisy, 16_000), Enhancer(bundle).enhance(noisy, 16_000)
    assert output_snr_db(wanted, got) > (100 if bundle.contract.precision == "fp32" else 35)
    assert bundle.contract.model_id == same_network.contract.model_id


@needs_litert
def test_all_formats_and_precisions_promise_the_same() -> None:
    contracts = [
        Bundle.load(MODELS_DIR / model, runtime).contract for model, runtime in PAIRS if "pvqe-s." in model
    ]
    assert {contract.precision for contract in contracts} == {"fp32", "int8", "int8-weights"}
    assert len({dataclasses.replace(contract, precision="") for contract in contracts}) == 1


@needs_litert
@pytest.mark.parametrize(("maker", "user"), [("pvqe-s.int8", "pvqe-s.fp32"), ("pvqe-s.fp32", "pvqe-s.int8")])
@pytest.mark.parametrize("runtime", ["onnx", "litert"])
def test_a_profile_of_one_precision_serves_the_other(
    maker: str, user: str, runtime: str, recording: Callable[[str], Samples]
) -> None:
    profile = enroll(recording("ls2033_enrollment"), 16_000, bundle=Bundle.load(maker, runtime))
    enhanced = Enhancer(Bundle.load(user), profile).enhance(recording("ls2033_speech"), 16_000)
    own = Enhancer(Bundle.load(user), enroll(recording("ls2033_enrollment"), 16_000, bundle=user))
    assert output_snr_db(own.enhance(recording("ls2033_speech"), 16_000), enhanced) > 35


@needs_litert
def test_auto_takes_the_first_runtime_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Bundle.load("pvqe-s").backend.name == "onnx"
    assert Bundle.load(TFLITE).backend.name == "litert"
    missing = dataclasses.replace(RUNTIMES["onnx"], distribution="onnxruntime-is-not-here")
    monkeypatch.setitem(RUNTIMES, "onnx", missing)
    assert Bundle.load("pvqe-s").backend.name == "litert"
    assert Bundle.load("pvqe-s.int8").path.name == "pvqe-s.int8.tflite"


@needs_litert
def test_a_tflite_step_keeps_its_inputs_and_its_outputs() -> None:
    bundle = Bundle.load(TFLITE, "litert")
    random = np.random.default_rng(3)
    spectrum = random.standard_normal((1, 2, 1, bundle.contract.bins)).astype(np.float32)
    profile = random.standard_normal((1, bundle.contract.embedding_size)).astype(np.float32)
    states = bundle.contract.initial_states()
    first, embedding, following = bundle.backend.step(spectrum, profile, states)
    kept = [array.copy() for array in (first, embedding, *following)]
    assert all(not state.any() for state in states)
    bundle.backend.step(2 * spectrum, profile, following)
    for array, copy in zip((first, embedding, *following), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@needs_litert
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_tflite_file_is_refused(copied: Path, share: float) -> None:
    content = copied.read_bytes()
    copied.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError, match=r"not the file that .* describes, or it is damaged: copy both"):
        Bundle.load(copied)


@needs_litert
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), r"description .* is missing: copy both files"),
        (lambda path: path.write_text("{"), "description .* is damaged"),
        (lambda path: path.write_text("[]"), "description .* is damaged"),
        (lambda path: path.write_text("{}"), "description .* is damaged"),
    ],
)
def test_a_tflite_file_without_a_good_description_is_refused(
    copied: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(description_path(copied))
    with pytest.raises(BundleError, match=message) as refusal:
        Bundle.load(copied)
    assert "can't be used" in str(refusal.value)


@needs_litert
def test_a_description_of_something_else_is_refused(copied: Path) -> None:
    description = description_path(copied)
    content = json.loads(description.read_text())
    content.update(embedding_size=128, voice_space="")
    description.write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"outputs .*\(embedding\)"):
        Bundle.load(copied)


def test_a_file_is_refused_by_the_runtime_of_another_format() -> None:
    with pytest.raises(BundleError, match=r"ends in \.onnx"):
        Bundle.load(TFLITE, "onnx")


@needs_litert
def test_tflite_runtime_takes_the_file_without_int8_arithmetic(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # LiteRT's interpreter stands in for its predecessor, which can't be installed beside it: the choice is the same.
    monkeypatch.setitem(sys.modules, "tflite_runtime", importlib.import_module("ai_edge_litert"))
    interpreter = importlib.import_module("ai_edge_litert.interpreter")
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    backend = importlib.import_module("edge_pse.backends.tflite_runtime")
    int8, alone = MODELS_DIR / "pvqe-s.int8.tflite", copied.with_name("alone.int8.tflite")
    assert json.loads(backend.open_model(int8).metadata)["precision"] == "int8-weights"
    for path in (copied, description_path(copied)):
        path.rename(path.with_name(path.name.replace("pvqe-s.fp32", "alone.int8")))
    assert json.loads(backend.open_model(alone).metadata)["precision"] == "fp32"
