"""The learnt numbers of a model file: found wherever they are, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edge_pse.model import MODELS_DIR
from edge_pse.model_file import read_description
from export.constants import SCALE, STEPS, read_constants
from export.graph import StepGraph
from export.onnx import write_onnx
from export.weights import find_places, parameters
from tests.training.test_network import trained_like
from training.checkpoint import load_checkpoint

CHECKPOINTS = Path(__file__).parents[2] / "training/checkpoints"
FP32 = sorted(path for path in MODELS_DIR.glob("*.fp32.*") if path.suffix != ".json")
pytest.importorskip("ai_edge_litert", reason="reading TFLite needs ai-edge-litert")


@pytest.mark.parametrize("name", ["pvqe-xs.fp32.onnx", "pvqe-xs.int8.onnx"])
def test_the_arrays_of_an_onnx_file_are_read_as_onnx_reads_them(name: str) -> None:
    path = MODELS_DIR / name
    wanted = {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}
    wanted = {name: array for name, array in wanted.items() if array.dtype != np.int64}
    found, content = read_constants(path), path.read_bytes()
    assert found.keys() == wanted.keys()
    for name, constant in found.items():
        assert constant.values.dtype == wanted[name].dtype and constant.values.shape == wanted[name].shape
        np.testing.assert_array_equal(constant.values, wanted[name])
        offset, length = constant.range
        assert content[offset : offset + length] == wanted[name].tobytes()


@pytest.mark.parametrize("precision", ["int8", "int8-weights"])
def test_an_int8_array_of_a_tflite_file_is_that_of_the_fp32_file_in_steps(precision: str) -> None:
    fp32 = read_constants(MODELS_DIR / "pvqe-xs.fp32.tflite")
    int8 = read_constants(MODELS_DIR / f"pvqe-xs.{precision}.tflite")
    layers = [name.removesuffix(STEPS) for name in int8 if name.endswith(STEPS)]
    assert len(layers) == 32
    for name in layers:
        scale = int8[name + SCALE].values
        error = np.abs(int8[name + STEPS].values * scale - fp32[name].values)
        assert (error <= 0.5001 * scale).all()
    assert fp32.keys() - set(layers) <= int8.keys()


@pytest.mark.parametrize("path", FP32, ids=lambda path: path.name)
def test_all_that_a_network_has_learnt_is_found_and_the_mask_is_none_of_it(path: Path) -> None:
    network, _ = load_checkpoint(CHECKPOINTS / f"{path.name.partition('.')[0]}.pt")
    graph, constants = StepGraph(network), read_constants(path)
    places = find_places(graph, constants)
    # The folded graph has these four in parts.
    split = {f"network.{layer}.{kind}" for layer in ("fuse", "modulation") for kind in ("weight", "bias")}
    assert {place.parameter for place in places.values()} == parameters(graph).keys() - split
    assert len({place.parameter for place in places.values()}) == len(places), "each once"
    for name, place in places.items():
        parameter, stored = parameters(graph)[place.parameter], constants[name].values
        np.testing.assert_allclose(place.lay_out(parameter, stored.shape), stored, rtol=1e-4, atol=1e-6)
    fixed = {constants[name].values.size for name in constants.keys() - places.keys()}
    assert fixed <= {1, 36, 36 * 18}, "a number, and the convolution of the mask with its bias of zeros"
    ranges = sorted([*constants[name].range] for name in places)
    assert ranges == read_description(path)["weights"]


def test_another_network_has_it_in_the_same_places_and_the_same_between(tmp_path: Path) -> None:
    path, shipped = tmp_path / "pvqe-xs.fp32.onnx", MODELS_DIR / "pvqe-xs.fp32.onnx"
    network = trained_like(load_checkpoint(CHECKPOINTS / "pvqe-xs.pt")[0].config)
    with torch.no_grad():
        for (
            parameter
        ) in network.parameters():  # else two norms are the same, and the exporter writes them once
            parameter.add_(0.1 * torch.randn_like(parameter))
    write_onnx(network, path)
    ranges = read_description(path)["weights"]
    assert ranges == read_description(shipped)["weights"]
    ours, theirs = bytearray(path.read_bytes()), bytearray(shipped.read_bytes())
    assert ours != theirs
    for offset, length in ranges:
        ours[offset : offset + length] = theirs[offset : offset + length] = bytes(length)
    assert ours == theirs
