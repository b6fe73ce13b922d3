"""What was learnt goes into the model files as it was learnt, and what does not come out of them is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_pse.model import MODELS_DIR, Model
from edge_pse.model_file import extract_weights, read_model, weight_ranges
from export.graph import StepGraph
from personalisation import files
from personalisation.files import CHECKPOINTS, FilesError, check, files_of, general_of, learnt_weights
from training.checkpoint import load_checkpoint, model_id, save_checkpoint
from training.network import Network

pytest.importorskip("ai_edge_litert", reason="half of the files are for LiteRT")
NETWORKS = ("pvqe-s", "pvqe-s-far", "pvqe-xs")

Recording = Callable[[str], NDArray[np.float32]]


def general(name: str) -> Network:
    return load_checkpoint(CHECKPOINTS / f"{name}.pt")[0]


def learnt(name: str) -> Network:
    """A network whose parameters are all different, as after learning; statistics of norms stay."""
    network = general(name)
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1 + 0.3 * torch.randn_like(parameter)).add_(1e-3)
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_the_general_weights_are_those_of_every_shipped_file(name: str) -> None:
    weights = learnt_weights(general(name), name)
    assert sorted(weights) == sorted(
        f"{name}.{rest}"
        for rest in ("fp32.onnx", "fp32.tflite", "int8.onnx", "int8.tflite", "int8-weights.tflite")
    )
    for file, own in weights.items():
        content, description = read_model(MODELS_DIR / file)
        assert own == extract_weights(content, weight_ranges(description, len(content))), file


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frame_comes_out_of_each_file_as_out_of_the_network_that_has_learnt(name: str) -> None:
    network = learnt(name)
    weights, graph = learnt_weights(network, name), StepGraph(network)
    inputs = [0.3 * torch.randn_like(example) for example in graph.example_inputs()]
    named = dict(zip(graph.input_names, (tensor.numpy() for tensor in inputs), strict=True))
    with torch.no_grad():
        wanted, *_ = graph(*inputs)
    scale = np.linalg.norm(wanted)
    for file, own in weights.items():
        model = Model.load(MODELS_DIR / file)
        states = [named[state.name] for state in model.contract.states]
        before, _, _ = model.backend.step(named["spectrum"], named["profile"], states, named.get("far"))
        model = model.with_weights(own)
        got, _, _ = model.backend.step(named["spectrum"], named["profile"], states, named.get("far"))
        # Of the whole frame: by how much int8 misses a single bin depends on the weights that were drawn.
        tolerance = (1e-5 if model.contract.precision == "fp32" else 0.05) * scale
        assert np.linalg.norm(got - wanted.numpy()) < tolerance, file
        assert np.linalg.norm(before - wanted.numpy()) > 2 * tolerance, "or else nothing is shown"


def test_what_comes_out_as_it_was_learnt_is_given_with_what_it_takes_the_place_of(
    recording: Recording,
) -> None:
    network = learnt("pvqe-xs")
    weights = files_of(network, "pvqe-xs", [recording("ls2033_enrollment")[: 8 * 16_000]])
    own = general_of("pvqe-xs")
    assert own.model_id == model_id(general("pvqe-xs")) != model_id(network)
    assert own.sha256.keys() == weights.keys()
    for file, sha256 in own.sha256.items():
        model = Model.load(MODELS_DIR / file)
        assert (model.file_name, model.sha256) == (file, sha256)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "pvqe-xs.fp32.tflite",
            r"fp32\.tflite does not give what was learnt in litert: .* samples differ by",
        ),
        (
            "pvqe-xs.int8.onnx",
            r"int8\.onnx is too far from what was learnt in onnx: output SNR .* 20 is wanted",
        ),
    ],
)
def test_a_file_that_gives_something_else_is_refused(recording: Recording, file: str, message: str) -> None:
    network = general("pvqe-xs")
    weights = learnt_weights(network, "pvqe-xs")
    weights = {name: own for name, own in weights.items() if name.endswith(Path(file).suffix)}
    wrong = {**weights, file: learnt_weights(learnt("pvqe-xs"), "pvqe-xs")[file]}
    with pytest.raises(FilesError, match=message):
        check(network, wrong, [recording("ls2033_enrollment")[: 8 * 16_000]])


def test_a_network_whose_numbers_are_none_is_refused(recording: Recording) -> None:
    network = copy.deepcopy(general("pvqe-xs"))
    with torch.no_grad():
        network.gru1.bias_hh_l0[0] = torch.nan
    with pytest.raises(FilesError, match="does not give what was learnt"):
        files_of(network, "pvqe-xs", [recording("ls2033_enrollment")[: 8 * 16_000]])


def test_what_has_learnt_from_other_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "pvqe-xs.pt", learnt("pvqe-xs"), {})
    monkeypatch.setattr(files, "CHECKPOINTS", tmp_path)
    with pytest.raises(FilesError, match="learns from other weights than its model files have"):
        learnt_weights(general("pvqe-xs"), "pvqe-xs")


def test_a_network_without_model_files_is_named() -> None:
    with pytest.raises(FilesError, match="no model files of pvqe-q here"):
        general_of("pvqe-q")
