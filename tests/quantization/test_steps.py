"""The numbers of int8 files, made without the tools that made the files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner

from edge_pse.model import MODELS_DIR
from edge_pse.model_file import read_description, write_description
from export.constants import read_constants
from export.onnx import write_onnx
from quantization import describe
from quantization.onnx_int8 import quantize_onnx
from quantization.recipes import RECIPES, SHIPPED
from quantization.steps import find_int8_ranges, int8_arrays
from tests.edge_pse.graphs import copy_model
from tests.training.test_network import trained_like

CHECKPOINT = Path(__file__).parents[2] / "training/checkpoints/pvqe-xs.pt"
FILES = sorted(path for path in MODELS_DIR.glob("*.int8*") if path.suffix != ".json")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_numbers_of_the_shipped_int8_files_are_made_of_those_of_fp32(path: Path) -> None:
    if path.suffix == ".tflite":
        pytest.importorskip("ai_edge_litert", reason="reading TFLite needs ai-edge-litert")
    source = path.with_name(f"{path.name.partition('.')[0]}.fp32{path.suffix}")
    ranges = find_int8_ranges(source, path)
    assert ranges == read_description(path)["weights"]
    share = sum(length for _, length in ranges) / path.stat().st_size
    assert 0.85 < share < 1


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network with numbers that are hard to round: all of one sign, all zero, and one that outweighs the rest."""
    network = trained_like("pvqe-xs")
    with torch.no_grad():
        for norm in (module for module in network.modules() if isinstance(module, torch.nn.LayerNorm)):
            norm.weight.normal_(1, 0.1)  # else two are the same, and the exporter writes them once
            norm.bias.normal_(0, 0.1)
        for linear in (network.temporal_out, network.profile):
            linear.weight[0].abs_()
            linear.weight[1].abs_().neg_()
            linear.weight[2].zero_()
            linear.weight[3, 0] = 1e3
        network.decoder3.skip.weight[0].zero_()
    path = tmp_path_factory.mktemp("fp32") / "pvqe-xs.fp32.onnx"
    write_onnx(network, path)
    return path


def test_they_are_those_that_the_tools_make_of_any_network(fp32: Path) -> None:
    path = fp32.with_name("pvqe-xs.int8.onnx")
    quantize_onnx(fp32, RECIPES[SHIPPED[".onnx"][0]], path)
    learnt = {tuple(place) for place in read_description(fp32)["weights"]}
    before = {name: c.values for name, c in read_constants(fp32).items() if c.range in learnt}
    constants = read_constants(path)
    for name, array in int8_arrays(before, constants).items():
        assert array.dtype == constants[name].values.dtype
        np.testing.assert_array_equal(array, constants[name].values, name)
    assert len(find_int8_ranges(fp32, path)) == len(read_description(MODELS_DIR / path.name)["weights"])


def test_a_file_of_other_numbers_says_nothing_of_where_they_are(fp32: Path, tmp_path: Path) -> None:
    path = tmp_path / "static.onnx"
    quantize_onnx(copy_model(MODELS_DIR / fp32.name, tmp_path), RECIPES["linear-dynamic"], path)
    assert find_int8_ranges(MODELS_DIR / fp32.name, path)
    assert find_int8_ranges(fp32, path) == []
    shutil.copy(MODELS_DIR / fp32.name, path)
    assert find_int8_ranges(fp32, path) == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix == ".onnx"], ids=lambda path: path.name
)
def test_all_arrays_of_an_onnx_file_are_stored_byte_by_byte(path: Path) -> None:
    """Numbers of varying length would shift all that comes after them."""
    assert all(item.HasField("raw_data") for item in onnx.load(path).graph.initializer)


def test_files_that_are_there_are_described_again(tmp_path: Path) -> None:
    names = ["pvqe-xs.fp32.onnx", "pvqe-xs.int8.onnx"]
    for name in names:
        path = copy_model(MODELS_DIR / name, tmp_path)
        write_description(path, {**read_description(path), "weights": []})
    done = CliRunner().invoke(describe.main, [str(CHECKPOINT), "--models", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for name in names:
        description = read_description(tmp_path / name)
        assert description == read_description(MODELS_DIR / name)
        assert f"{name}: {sum(length for _, length in description['weights'])} bytes in " in done.output


def test_files_of_another_checkpoint_are_not_described(tmp_path: Path) -> None:
    path = copy_model(MODELS_DIR / "pvqe-xs.fp32.onnx", tmp_path)
    write_description(path, {**read_description(path), "model_id": "pvqe-xs-0", "weights": []})
    done = CliRunner().invoke(describe.main, [str(CHECKPOINT), "--models", str(tmp_path)])
    assert done.exit_code == 1 and "pvqe-xs.fp32.onnx is not of" in done.output
    assert read_description(path)["weights"] == []
