"""Small models with a far end, made for the test: they prove the way to a network, not a network."""

import json
from pathlib import Path

import numpy as np
import pytest

BINS, HOP, EMBEDDING = 160, 160, 4
FRAME = [1, 2, 1, BINS]


def far_end_model(
    path: Path, microphone: float, far_end: float, delay_frames: int = 0, model_id: str = "test-far-0"
) -> Path:
    """Write a model whose output is ``microphone`` times the spectrum plus ``far_end`` times the far end's.

    The far end's frame is that of ``delay_frames`` before, by a state of the model; the embedding is zeros.
    """
    onnx = pytest.importorskip("onnx", reason="making a model needs the onnx package")
    from onnx import TensorProto, helper, numpy_helper

    def tensor(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def constant(name, values, kind=np.float32):
        return numpy_helper.from_array(np.array(values, kind), name)

    past = [1, 2, delay_frames, BINS]
    nodes = [
        helper.make_node("Mul", ["spectrum", "of_spectrum"], ["near"]),
        helper.make_node("Mul", ["delayed", "of_far"], ["echo"]),
        helper.make_node("Add", ["near", "echo"], ["enhanced"]),
        helper.make_node("Mul", ["profile", "nothing"], ["embedding"]),
    ]
    constants = [
        constant("of_spectrum", microphone),
        constant("of_far", far_end),
        constant("nothing", 0),
    ]
    inputs = [tensor("spectrum", FRAME), tensor("far", FRAME), tensor("profile", [1, EMBEDDING])]
    outputs = [tensor("enhanced", FRAME), tensor("embedding", [1, EMBEDDING])]
    states = []
    if delay_frames:
        nodes[:0] = [
            helper.make_node("Concat", ["past", "far"], ["history"], axis=2),
            helper.make_node("Slice", ["history", "zero", "one", "time"], ["delayed"]),
            helper.make_node("Slice", ["history", "one", "end", "time"], ["past_next"]),
        ]
        places = {"zero": [0], "one": [1], "end": [delay_frames + 1], "time": [2]}
        constants += [constant(name, value, np.int64) for name, value in places.items()]
        inputs.append(tensor("past", past))
        outputs.append(tensor("past_next", past))
        states.append({"name": "past", "shape": past})
    else:
        nodes[1].input[0] = "far"
    graph = helper.make_graph(nodes, "far end", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    contract = {
        "schema_version": 1, "network": "test-far", "model_id": model_id, "precision": "fp32",
        "licence": "MIT", "sample_rate_hz": 16_000, "hop_samples": HOP, "window_samples": 2 * HOP,
        "first_bin": 1, "bins": BINS, "embedding_size": EMBEDDING, "far_end": True, "states": states,
    }  # fmt: skip
    helper.set_model_props(model, {"edge_pse": json.dumps(contract)})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
