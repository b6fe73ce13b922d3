"""int8: small, near to fp32 on real speech, and not written otherwise."""

from __future__ import annotations

import dataclasses
import importlib.util
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from edge_pse.model import MODELS_DIR, Model
from export.onnx import write_onnx
from quantization import onnx_int8, quality
from quantization import quantize as command
from quantization.calibration import CHECK, calibration_inputs
from quantization.onnx_int8 import layer_name, layers, quantize_onnx
from quantization.quality import Drift
from quantization.quantize import QuantizationError, quantize
from quantization.recipes import FIRST_AND_LAST, RECIPES, SHIPPED
from tests.edge_pse.graphs import copy_model
from tests.training.test_network import trained_like

FP32 = MODELS_DIR / "pvqe-s.fp32.onnx"
needs_builder = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_quantizer") is None,
    reason="needs the environment of export/requirements-tflite.txt",
)
EXAMPLES = (
    "linear-dynamic", "linear-dynamic-conv-weights", "linear-dynamic-conv-static-but-ends",
)  # fmt: skip


def calibrate_on_few_frames(patch: pytest.MonkeyPatch) -> None:
    """Enough for which layers have ranges; what these are is not asked then."""
    patch.setattr(onnx_int8, "calibration_inputs", lambda model: islice(calibration_inputs(model), 3))


@pytest.fixture
def one_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """What doesn't ship is listened to in one mixture: the four are for the shipped file."""
    monkeypatch.setattr(quality, "CHECK", CHECK[:1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Some recipes applied to the shipped fp32 file, without a contract."""
    folder = tmp_path_factory.mktemp("int8")
    paths = {name: folder / f"{name}.onnx" for name in EXAMPLES}
    with pytest.MonkeyPatch.context() as patch:
        calibrate_on_few_frames(patch)
        for name, path in paths.items():
            quantize_onnx(FP32, RECIPES[name], path)
    return paths


def initializers(path: Path) -> dict[str, np.ndarray]:
    return {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_the_shipped_int8_file_comes_from_the_shipped_fp32_file(tmp_path: Path) -> None:
    source, path = copy_model(FP32, tmp_path), tmp_path / "pvqe-s.int8.onnx"
    result = CliRunner().invoke(command.main, [str(source)])
    assert result.exit_code == 0, result.output
    assert "0.27 of fp32): output SNR" in result.output
    shipped, fresh = Model.load("pvqe-s.int8", "onnx"), Model.load(path)
    assert fresh.contract == shipped.contract
    assert fresh.contract == dataclasses.replace(Model.load(FP32).contract, precision="int8")
    made, wanted = initializers(path), initializers(shipped.path)
    assert made.keys() == wanted.keys()
    for name, weights in wanted.items():
        np.testing.assert_array_equal(made[name], weights)


def test_int8_files_are_small_enough() -> None:
    for suffix, recipes in SHIPPED.items():
        for name in recipes:
            size = (MODELS_DIR / f"pvqe-s.{RECIPES[name].precision}{suffix}").stat().st_size
            assert size <= 0.40 * FP32.with_suffix(suffix).stat().st_size
            assert size <= 1.3e6


def test_a_recipe_that_calculates_nothing_in_int8_says_so_in_the_name_of_its_files() -> None:
    precisions = {name: recipe.precision for name, recipe in RECIPES.items()}
    assert precisions.pop("weights-only") == "int8-weights"
    assert set(precisions.values()) == {"int8"}


def test_linear_layers_run_in_int8_and_the_rest_in_float(made: dict[str, Path]) -> None:
    kinds = operators(made["linear-dynamic"])
    assert kinds.count("MatMulInteger") == 8  # profile, speaker, latent, output, and two for each GRU
    assert kinds.count("Conv") == operators(FP32).count("Conv")
    assert not {"ConvInteger", "QLinearConv"} & set(kinds)


def test_a_linear_layer_that_a_recipe_keeps_stays_in_float(made: dict[str, Path], tmp_path: Path) -> None:
    kept = dataclasses.replace(RECIPES["linear-dynamic"], keep=("gru1.of_input", "profile"))
    quantize_onnx(FP32, kept, tmp_path / "kept.onnx")
    assert operators(tmp_path / "kept.onnx").count("MatMulInteger") == 6
    assert operators(made["linear-dynamic"]).count("MatMulInteger") == 8


def test_weights_of_convolutions_are_stored_in_int8_but_the_masks(made: dict[str, Path]) -> None:
    before, after = initializers(FP32), initializers(made["linear-dynamic-conv-weights"])
    convolutions = [node for node in onnx.load(FP32).graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 25
    for node in convolutions:
        name = node.input[1]
        if layer_name(node).startswith("mask"):
            np.testing.assert_array_equal(after[name], before[name])
        else:
            assert name not in after
            assert after[f"{name}.steps"].dtype == np.int8
            scale = after[f"{name}.scale"]
            restored = after[f"{name}.steps"] * scale
            assert np.all(np.abs(restored - before[name]) <= 0.5001 * scale)


def test_static_convolutions_leave_out_the_ends_and_the_mask(made: dict[str, Path]) -> None:
    model = onnx.load(made["linear-dynamic-conv-static-but-ends"])
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type == "Conv":
            in_float = layer_name(node).startswith((*FIRST_AND_LAST, "mask"))
            assert (node.input[1] not in dequantised) == in_float


def test_calibration_sees_the_states_that_speech_leaves() -> None:
    model = Model.load(FP32)
    frames = list(calibration_inputs(model))
    assert len(frames) > 100
    assert list(frames[0]) == list(model.backend.inputs)
    for state in model.contract.states:
        ever = np.max([np.abs(frame[state.name]).max() for frame in frames])
        assert ever > 0.1, state.name
    levels = [np.abs(frame["spectrum"]).max() for frame in frames]
    assert max(levels) > 100 * min(levels) > 0


def test_a_file_that_is_too_far_from_fp32_is_not_written(tmp_path: Path, one_mixture: None) -> None:
    target = tmp_path / "pvqe-s.int8.onnx"
    target.write_bytes(b"as it was")
    with pytest.raises(QuantizationError, match=r"pvqe-s\.int8\.onnx is not written: output SNR \d\d\."):
        quantize(FP32, RECIPES["linear-dynamic"], target, min_snr_db=90)
    assert target.read_bytes() == b"as it was"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("drift", "written"),
    [
        (Drift(25, 40, 1), True),
        (Drift(40, 25, 1), False),
        (Drift(15, 40, 1), False),
        (Drift(40, 40, 0.9), False),
    ],
)
def test_one_mixture_may_drift_but_not_be_lost_and_half_of_them_may_not_drift(
    drift: Drift, written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "measure_drift", lambda *_: drift)
    target = tmp_path / "pvqe-s.int8.onnx"
    with nullcontext() if written else pytest.raises(QuantizationError, match="is not written"):
        quantize(FP32, RECIPES["linear-dynamic"], target)
    assert target.exists() == written


def test_an_int8_file_is_not_quantised_over_itself() -> None:
    shipped = MODELS_DIR / "pvqe-s.int8.onnx"
    before = shipped.read_bytes()
    result = CliRunner().invoke(command.main, [str(shipped)])
    assert result.exit_code == 2
    assert shipped.read_bytes() == before


def test_layers_are_named_as_in_the_network() -> None:
    names = layers(FP32)
    assert len(names) == 32 == len(set(names))
    assert {"mic1.conv.conv", "gru1.of_state", "decoder4.expand.conv.conv", "temporal_out"} <= set(names)


def test_a_model_with_a_far_end_becomes_int8_too_but_for_its_products_of_signals(
    tmp_path: Path, one_mixture: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate_on_few_frames(monkeypatch)
    source, target = tmp_path / "pvqe-xs-far.fp32.onnx", tmp_path / "pvqe-xs-far.int8.onnx"
    write_onnx(trained_like("pvqe-xs-far"), source)
    drift = quantize(source, RECIPES[SHIPPED[".onnx"][0]], target, min_snr_db=20)
    assert drift.snr_db > 20
    model = Model.load(target)
    assert model.contract.far_end and list(model.backend.inputs)[1] == "far"
    names = set(initializers(target))
    assert {"network.align.key.weight.steps", "network.far1.conv.conv.weight.steps"} & names
    assert "align" not in layers(source) and "align.key" in layers(source)
    assert operators(target).count("MatMul") >= 2
    quantize_onnx(source, RECIPES["static"], tmp_path / "static.onnx")
    nodes = onnx.load(tmp_path / "static.onnx").graph.node
    products = [node for node in nodes if node.op_type == "MatMul"]
    assert [layer_name(node) for node in products] == ["align", "align"]
    dequantised = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    assert dequantised and dequantised.isdisjoint(name for node in products for name in node.input)


def test_a_small_network_becomes_int8_too(tmp_path: Path, one_mixture: None) -> None:
    source, target = tmp_path / "pvqe-xs.fp32.onnx", tmp_path / "pvqe-xs.int8.onnx"
    write_onnx(trained_like("pvqe-xs"), source)
    drift = quantize(source, RECIPES[SHIPPED[".onnx"][0]], target, min_snr_db=20)
    assert drift.snr_db > 20
    assert target.stat().st_size <= 0.40 * source.stat().st_size


@needs_builder
def test_the_shipped_int8_tflite_files_come_from_the_shipped_fp32_file(tmp_path: Path) -> None:
    fp32 = FP32.with_suffix(".tflite")
    copy_model(fp32, tmp_path)
    result = CliRunner().invoke(command.main, [str(tmp_path / fp32.name)])
    assert result.exit_code == 0, result.output
    for name in SHIPPED[".tflite"]:
        file = f"pvqe-s.{RECIPES[name].precision}.tflite"
        assert (tmp_path / file).read_bytes() == (MODELS_DIR / file).read_bytes()


@needs_builder
def test_layers_with_fixed_ranges_leave_the_outputs_of_a_tflite_file_in_float(tmp_path: Path) -> None:
    fp32, target = FP32.with_suffix(".tflite"), tmp_path / "pvqe-s.int8.tflite"
    drift = quantize(fp32, RECIPES["static"], target, min_snr_db=20)  # fails where an output is not float32
    assert drift.snr_db > 20
