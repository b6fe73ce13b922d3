"""A recipe applied to an ONNX file, with ONNX Runtime's quantisation tools."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_pse.model import Model
from export.constants import SCALE, STEPS
from quantization.calibration import calibration_inputs
from quantization.recipes import Recipe
from quantization.steps import to_steps

LINEAR, CONVOLUTION = ("Gemm", "MatMul"), ("Conv",)


def quantize_onnx(source: Path, recipe: Recipe, target: Path) -> None:
    """Write the fp32 file ``source`` as int8 to ``target``, without a contract."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        static = [kind for kind in (LINEAR, CONVOLUTION) if _treatment(recipe, kind) == "static"]
        if static:
            _static(source, prepared, recipe, [operator for kind in static for operator in kind])
        dynamic = [kind for kind in (LINEAR, CONVOLUTION) if _treatment(recipe, kind) == "dynamic"]
        if dynamic:
            _dynamic(prepared, recipe, [operator for kind in dynamic for operator in kind])
        model = onnx.load(prepared)
    for kind in (LINEAR, CONVOLUTION):
        if _treatment(recipe, kind) == "weights":
            _weights_only(model.graph, recipe, kind)
    # Shapes in between are a hundredth of the file, and worked out again on loading. Nobody asks for the tools.
    del model.graph.value_info[:], model.metadata_props[:]
    _store_raw(model.graph)
    onnx.save(model, target)


def layers(path: Path) -> list[str]:
    """Names of the layers of an fp32 file that recipes are about, in the order of the graph."""
    graph = onnx.load(path).graph
    stored = {initializer.name for initializer in graph.initializer}
    nodes = (node for node in graph.node if node.op_type in (*LINEAR, *CONVOLUTION))
    names = [layer_name(node) for node in nodes if node.input[1] in stored]
    return [name for name in names if not name.startswith("mask")]


def layer_name(node: onnx.NodeProto) -> str:
    """The layer of the network that a node comes from: ``/gru1/of_input/Gemm`` -> ``gru1.of_input``."""
    return ".".join(node.name.strip("/").split("/")[:-1])


def _treatment(recipe: Recipe, kind: tuple[str, ...]) -> str:
    return recipe.linear if kind is LINEAR else recipe.convolution


def _kept(path: Path, recipe: Recipe) -> list[str]:
    """Names of the nodes that stay in float: those that the recipe keeps, and products of two signals."""
    graph = onnx.load(path).graph
    stored = {initializer.name for initializer in graph.initializer}
    return [
        name
        for node in graph.node
        for name in (node.name, f"{node.name}_MatMul")  # the tools rename each Gemm before they look
        if recipe.keeps(layer_name(node)) or (node.op_type == "MatMul" and stored.isdisjoint(node.input))
    ]


def _dynamic(path: Path, recipe: Recipe, operators: list[str]) -> None:
    # Unsigned weights: where a processor has no dot product of bytes (AVX2), ONNX Runtime's kernels add pairs
    # of signed products in 16 bits, which overflow.
    quantize_dynamic(
        path, path, op_types_to_quantize=operators, per_channel=True, weight_type=QuantType.QUInt8,
        nodes_to_exclude=_kept(path, recipe),
    )  # fmt: skip


def _static(source: Path, path: Path, recipe: Recipe, operators: list[str]) -> None:
    # Seven bits for the weights, against the same overflow.
    quantize_static(
        path, path, _Reader(calibration_inputs(Model.load(source))), quant_format=QuantFormat.QDQ,
        op_types_to_quantize=operators, per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=_kept(path, recipe),
    )  # fmt: skip


def _weights_only(graph: onnx.GraphProto, recipe: Recipe, kind: tuple[str, ...]) -> None:
    """Store weights as int8 and a scale per output channel; a runtime multiplies them once, when it loads.

    Not DequantizeLinear: ONNX Runtime keeps that for its int8 kernels, and here would run it in every frame.
    """
    stored = {initializer.name: initializer for initializer in graph.initializer}
    restore = []
    for node in graph.node:
        if node.op_type in kind and node.input[1] in stored and not recipe.keeps(layer_name(node)):
            name = node.input[1]
            weight = stored[name]
            graph.initializer.remove(weight)
            array, channels = numpy_helper.to_array(weight), _output_axis(node)
            steps, scale = to_steps(array, tuple(axis for axis in range(array.ndim) if axis != channels))
            graph.initializer.append(numpy_helper.from_array(steps, f"{name}{STEPS}"))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}{SCALE}"))
            restore.append(
                helper.make_node("Cast", [f"{name}{STEPS}"], [f"{name}.whole"], to=onnx.TensorProto.FLOAT)
            )
            restore.append(helper.make_node("Mul", [f"{name}.whole", f"{name}{SCALE}"], [name]))
    for node in reversed(restore):
        graph.node.insert(0, node)


def _output_axis(node: onnx.NodeProto) -> int:
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


def _store_raw(graph: onnx.GraphProto) -> None:
    """All arrays byte by byte, so that the file keeps its layout whatever their numbers are."""
    for initializer in graph.initializer:
        array, name = numpy_helper.to_array(initializer), initializer.name
        initializer.CopyFrom(numpy_helper.from_array(array, name))


class _Reader(CalibrationDataReader):
    """Calibration frames, as ONNX Runtime asks for them."""

    def __init__(self, frames: Iterator[dict[str, Any]]):
        self._frames = frames

    def get_next(self) -> dict[str, Any] | None:
        return next(self._frames, None)
