"""Small models with a far end, made for the tests: they prove the way to a network, not a network."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_pse.model_file import description_path, write_description

BINS, HOP, EMBEDDING = 160, 160, 4
FRAME = [1, 2, 1, BINS]
CONTRACT = {
    "schema_version": 1, "network": "test-far", "model_id": "test-far-0", "precision": "fp32", "licence": "MIT",
    "sample_rate_hz": 16_000, "hop_samples": HOP, "window_samples": 2 * HOP, "first_bin": 1, "bins": BINS,
    "profile_size": EMBEDDING, "embedding_size": EMBEDDING, "far_end": True, "voice_space": "",
}  # fmt: skip


def far_end_model(path: Path, microphone: float, far_end: float, **contract) -> Path:
    """Write a model whose output is ``microphone`` times the spectrum plus ``far_end`` times the far end's.

    ``contract``: what its description says otherwise than CONTRACT.
    """
    nodes = [
        ("Mul", "spectrum of_spectrum", "near"),
        ("Mul", "far of_far", "echo"),
        ("Add", "near echo", "enhanced"),
    ]
    return _write(path, nodes, {"of_spectrum": microphone, "of_far": far_end}, {}, contract)


def copy_model(path: Path, target: Path) -> Path:
    """Copy a model file with its description to ``target``, a path or a folder; returns where the model is."""
    target = target / path.name if target.is_dir() else target
    shutil.copy(path, target)
    shutil.copy(description_path(path), description_path(target))
    return target


def adaptive_filter_model(path: Path, taps: int = 20, step: float = 0.5) -> Path:
    """Write a classical canceller: a normalised LMS filter over the last ``taps`` frames in each bin.

    S. Haykin: "Adaptive Filter Theory", the NLMS recursion, on complex bins: with the far end's frames x and
    the microphone's d, e = d - w'x and w += step * conj(x) e / |x|^2. It cancels an echo only if that comes
    after its far end, and within its taps. Until it has found that, it may make the echo louder, but by 10 dB at
    most, as the limiter of any canceller sees to: what is louder the stream takes for no sound.
    """
    nodes = [
        ("Concat 2", "far history", "all"),
        ("Slice", "all zero taps time", "x"),
        ("Split 1", "x", "xr xi"),
        ("Split 1", "filter", "wr wi"),
        *_complex_product("xr xi wr wi", "yr yi"),
        ("ReduceSum", "yr time", "sr"),
        ("ReduceSum", "yi time", "si"),
        ("Concat 1", "sr si", "estimate"),
        ("Sub", "spectrum estimate", "remains"),
        ("Abs", "spectrum", "size"),
        ("Mul", "size most", "highest"),
        ("Neg", "highest", "lowest"),
        ("Max", "remains lowest", "raised"),
        ("Min", "raised highest", "enhanced"),
        ("Mul", "x x", "squares"),
        ("ReduceSum", "squares parts", "energy"),
        ("Add", "energy least", "norm"),
        ("Mul", "remains step", "scaled"),
        ("Div", "scaled norm", "error"),
        ("Split 1", "error", "er ei"),
        ("Neg", "xi", "minus_xi"),
        *_complex_product("xr minus_xi er ei", "gr gi"),
        ("Concat 1", "gr gi", "change"),
        ("Add", "filter change", "filter_next"),
        ("Identity", "x", "history_next"),
    ]
    constants = {
        "zero": [0], "taps": [taps], "time": [2], "parts": [1, 2], "least": 1e-2, "step": step,
        "most": 3,
    }  # fmt: skip
    return _write(path, nodes, constants, {"history": [1, 2, taps, BINS], "filter": [1, 2, taps, BINS]}, {})


def _complex_product(factors: str, product: str) -> list[tuple[str, str, str]]:
    """Two complex numbers as real and imaginary part -> nodes that multiply them."""
    ar, ai, br, bi = factors.split()
    pr, pi = product.split()
    return [
        ("Mul", f"{ar} {br}", f"{pr}1"), ("Mul", f"{ai} {bi}", f"{pr}2"), ("Sub", f"{pr}1 {pr}2", pr),
        ("Mul", f"{ar} {bi}", f"{pi}1"), ("Mul", f"{ai} {br}", f"{pi}2"), ("Add", f"{pi}1 {pi}2", pi),
    ]  # fmt: skip


def _write(path: Path, nodes: list, constants: dict, states: dict[str, list[int]], contract: dict) -> Path:
    """``nodes``: operator with its axis, inputs, outputs; the embedding of every frame is zeros."""
    onnx = pytest.importorskip("onnx", reason="making a model needs the onnx package")
    from onnx import TensorProto, helper, numpy_helper

    def tensors(shapes):
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
        ]

    def node(operator, inputs, outputs):
        name, *axis = operator.split()
        return helper.make_node(
            name, inputs.split(), outputs.split(), **({"axis": int(axis[0])} if axis else {})
        )

    def constant(name, value):
        kind = np.int64 if isinstance(value, list) else np.float32
        return numpy_helper.from_array(np.array(value, kind), name)

    embedding = [1, EMBEDDING]
    graph = helper.make_graph(
        [*(node(*one) for one in nodes), node("Mul", "profile nothing", "embedding")],
        "far end",
        tensors({"spectrum": FRAME, "far": FRAME, "profile": embedding, **states}),
        tensors(
            {"enhanced": FRAME, "embedding": embedding, **{f"{name}_next": states[name] for name in states}}
        ),
        [constant(name, value) for name, value in {**constants, "nothing": 0.0}.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    listed = [{"name": name, "shape": shape} for name, shape in states.items()]
    onnx.checker.check_model(model)
    onnx.save(model, path)
    description = {**CONTRACT, **contract, "states": listed}
    model_id = description["model_id"]
    description["network"] = model_id.rpartition("-")[0]
    write_description(path, {"profiles_of": model_id, **description})
    return path
