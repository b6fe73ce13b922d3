"""TFLite export: the shipped file is the checkpoint, with the names and shapes of the ONNX file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_pse.model import MODELS_DIR, Model
from export.parity import TOLERANCE, measure_parity
from export.tflite import main
from training.checkpoint import load_checkpoint, model_id

CHECKPOINT = Path(__file__).parents[2] / "training/checkpoints/pvqe-s.pt"
SHIPPED = MODELS_DIR / "pvqe-s.fp32.tflite"


def test_the_file_that_ships_gives_what_the_network_gives() -> None:
    pytest.importorskip("ai_edge_litert", reason="running TFLite needs ai-edge-litert")
    network, _ = load_checkpoint(CHECKPOINT)
    assert Model.load(SHIPPED).contract.model_id == model_id(network)
    parity = measure_parity(network, SHIPPED)
    assert parity.frames >= 1000
    assert parity.samples <= TOLERANCE and parity.embedding <= TOLERANCE


def test_each_activation_is_one_operator() -> None:
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="reading TFLite needs ai-edge-litert"
    )
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(SHIPPED.read_bytes()))
    (graph,) = model.subgraphs
    kinds = [model.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    assert kinds.count(schema.BuiltinOperator.ELU) == 17
    assert schema.BuiltinOperator.SELECT not in kinds and schema.BuiltinOperator.EXP not in kinds
    used = {tensor for operator in graph.operators for tensor in (*operator.inputs, *operator.outputs)}
    absent = {-1}
    assert (used | set(graph.inputs)) - absent == set(range(len(graph.tensors)))


def test_a_fresh_export_is_the_shipped_file(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="needs the environment of export/requirements-tflite.txt")
    from export.tflite import write_tflite
    from export.writing import write_proven

    network, _ = load_checkpoint(CHECKPOINT)
    path = tmp_path / SHIPPED.name
    write_proven(network, path, write_tflite)
    assert Model.load(path).contract == Model.load(SHIPPED).contract
    assert path.stat().st_size == SHIPPED.stat().st_size


def test_without_the_converter_it_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)  # as if it were not installed
    done = CliRunner().invoke(main, [str(CHECKPOINT), "-o", str(tmp_path / "pvqe-s.fp32.tflite")])
    assert done.exit_code == 1
    assert done.output.startswith("Error: litert_torch is missing: run this in the environment of export/")
    assert not [*tmp_path.iterdir()]
