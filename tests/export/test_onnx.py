"""Export: equal to the network, all a device needs inside, and nothing written when it is not equal."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from edge_pse.model import Model
from export import onnx as exporter
from export.graph import StepGraph
from export.parity import measure_parity
from export.writing import ParityError, write_proven
from tests.training.test_network import trained_like
from training.checkpoint import load_checkpoint, model_id, save_checkpoint
from training.network import CONFIGS, Network

CHECKPOINT = Path(__file__).parents[2] / "training/checkpoints/pvqe-s.pt"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "pvqe-s.fp32.onnx"
    network, _ = load_checkpoint(CHECKPOINT)
    write_proven(network, path, exporter.write_onnx)
    return path


def test_the_file_that_ships_is_the_checkpoint_exported(exported: Path) -> None:
    shipped, fresh = Model.load("pvqe-s.fp32", "onnx"), Model.load(exported)
    assert shipped.contract == fresh.contract
    network, _ = load_checkpoint(CHECKPOINT)
    assert shipped.contract.model_id == model_id(network)
    parity = measure_parity(network, shipped.path)
    assert parity.frames >= 1000
    assert parity.samples <= 1e-5 and parity.embedding <= 1e-5


def test_states_are_explicit_and_the_recurrent_ones_named(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported)
    inputs = {tensor.name: tensor.shape for tensor in session.get_inputs()}
    outputs = {tensor.name: tensor.shape for tensor in session.get_outputs()}
    assert inputs["gru1"] == outputs["gru1_next"] == [1, 256]
    assert inputs["gru2"] == outputs["gru2_next"] == [1, 256]
    assert {f"{name}_next" for name in inputs} - set(outputs) == {"spectrum_next", "profile_next"}


def test_gates_are_written_out_and_norms_folded(exported: Path) -> None:
    operators = {node.op_type for node in onnx.load(exported).graph.node}
    assert "GRU" not in operators
    assert "BatchNormalization" not in operators


@pytest.mark.parametrize("name", ["pvqe-s", "pvqe-xs", "pvqe-s-far", "pvqe-xs-far", "pvqe-s-paper"])
def test_folding_changes_nothing(name: str) -> None:
    network = trained_like(name)
    graph = StepGraph(network)
    inputs = [torch.randn_like(example) for example in graph.example_inputs()]
    named = dict(zip(graph.input_names, inputs, strict=True))
    states = {name: named[name] for name in graph.state_shapes}
    with torch.no_grad():
        wanted, embedding, following = network(named["spectrum"], named["profile"], states, named.get("far"))
        got, got_embedding, *got_states = graph(*inputs)
    assert torch.allclose(got, wanted, atol=1e-4)
    assert torch.allclose(got_embedding, embedding[:, 0], atol=1e-5)
    for state, wanted_state in zip(got_states, following.values(), strict=True):
        assert torch.allclose(state, wanted_state, atol=1e-4)


def test_a_network_that_no_device_runs_is_refused(tmp_path: Path) -> None:
    checkpoint, output = tmp_path / "context.pt", tmp_path / "context.onnx"
    save_checkpoint(checkpoint, Network(replace(CONFIGS["pvqe-xs"], decoder_frames=3)), {})
    result = CliRunner().invoke(exporter.main, [str(checkpoint), "-o", str(output)])
    assert result.exit_code == 1 and "decoder_frames=2" in result.output
    assert not output.exists()


def test_a_network_with_a_far_end_is_equal_too_and_takes_it_after_the_spectrum(tmp_path: Path) -> None:
    network = trained_like("pvqe-xs-far")
    path = tmp_path / "pvqe-xs-far.fp32.onnx"
    write_proven(network, path, exporter.write_onnx)
    model = Model.load(path)
    assert model.contract.far_end
    names = list(model.backend.inputs)
    assert names[:3] == ["spectrum", "far", "profile"]
    assert names[3:] == [state.name for state in model.contract.states]
    assert model.backend.inputs["align_far"] == (1, 12, 63, 40)


def test_the_proof_fails_when_the_far_end_is_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = exporter.StepGraph

    def deaf(network: torch.nn.Module) -> StepGraph:
        network = copy.deepcopy(network)
        with torch.no_grad():
            network.far1.conv.conv.weight.zero_()
        return original(network)

    monkeypatch.setattr(exporter, "StepGraph", deaf)
    with pytest.raises(ParityError):
        write_proven(trained_like("pvqe-xs-far"), tmp_path / "deaf.onnx", exporter.write_onnx)


def test_a_file_that_differs_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "pvqe-s.pt"
    save_checkpoint(checkpoint, load_checkpoint(CHECKPOINT)[0], {})
    original = exporter.StepGraph

    def slightly_wrong(network: torch.nn.Module) -> StepGraph:
        network = copy.deepcopy(network)
        with torch.no_grad():
            network.gru2.bias_hh_l0[0] += 0.05
        return original(network)

    monkeypatch.setattr(exporter, "StepGraph", slightly_wrong)
    output = tmp_path / "out.onnx"
    output.write_bytes(b"as it was")
    result = CliRunner().invoke(exporter.main, [str(checkpoint), "-o", str(output)])
    assert result.exit_code == 1
    assert "not written" in result.output
    assert output.read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.onnx", "pvqe-s.pt"]


def test_half_precision_checkpoints_come_back_as_they_were_saved(tmp_path: Path) -> None:
    network = trained_like("pvqe-xs")
    save_checkpoint(tmp_path / "a.pt", network, {"hours_presented": 1.5})
    loaded, history = load_checkpoint(tmp_path / "a.pt")
    save_checkpoint(tmp_path / "b.pt", loaded, history)
    again, _ = load_checkpoint(tmp_path / "b.pt")
    assert history == {"hours_presented": 1.5}
    assert model_id(loaded) == model_id(again)
    assert np.allclose(
        loaded.fuse.weight.detach().numpy(), network.fuse.weight.detach().numpy(), rtol=1e-3, atol=1e-4
    )
