"""The arrays of numbers in a model file, and where in it their bytes are.

An ONNX file is walked as the protobuf that it is (onnx.proto: ModelProto, GraphProto, TensorProto), a TFLite file by
the schema of its flatbuffer (schema.fbs: Model, Tensor, Buffer, QuantizationParameters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS, SCALE = ".steps", ".scale"
"""End the names of the two parts of an array in int8: whole numbers, and what they are multiplied with."""

_ONNX_TYPES = {1: np.float32, 2: np.uint8, 3: np.int8}
_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW_DATA = 1, 2, 8, 9
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class Constant:
    """An array as a file has it, little-endian and in one piece."""

    offset: int
    values: NDArray[Any]

    @property
    def range(self) -> tuple[int, int]:
        """Offset and length in bytes."""
        return self.offset, self.values.nbytes


def read_constants(path: Path) -> dict[str, Constant]:
    """The float32, int8 and uint8 arrays of a model file by name, those with no bytes of their own left out.

    An ONNX file names its arrays. Those of a TFLite file are called after the numbers of their tensors, which stay the
    same from fp32 to int8: ``12`` in float, ``12.steps`` and ``12.scale`` in int8, the scale shaped so that the product
    of both is the array. The zero points there are left out: they are zero.
    """
    content = path.read_bytes()
    return dict(_of_onnx(content) if path.suffix == ".onnx" else _of_tflite(content))


def _of_onnx(content: bytes) -> Iterator[tuple[str, Constant]]:
    for number, start, end in _fields(content, 0, len(content)):
        if number == _MODEL_GRAPH:
            for inner, first, last in _fields(content, start, end):
                if inner == _GRAPH_INITIALIZER:
                    yield from _of_tensor(content, first, last)


def _of_tensor(content: bytes, start: int, end: int) -> Iterator[tuple[str, Constant]]:
    shape: list[int] = []
    name, kind, raw = "", None, None
    for number, first, last in _fields(content, start, end):
        if number == _TENSOR_DIMS:
            while first < last:  # one alone or several packed
                size, first = _varint(content, first)
                shape.append(size)
        elif number == _TENSOR_TYPE:
            kind = _ONNX_TYPES.get(_varint(content, first)[0])
        elif number == _TENSOR_NAME:
            name = content[first:last].decode()
        elif number == _TENSOR_RAW_DATA:
            raw = first
    if kind is not None and raw is not None:
        yield name, _constant(content, raw, kind, shape)


def _fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number of each field of a message, where its value starts and where it ends."""
    while start < end:
        key, start = _varint(content, start)
        number, kind = key >> 3, key & 7
        if kind == _BYTES:
            length, start = _varint(content, start)
        elif kind == _VARINT:
            length = _varint(content, start)[1] - start
        else:
            length = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[kind]
        yield number, start, start + length
        start += length


def _varint(content: bytes, start: int) -> tuple[int, int]:
    """The number at ``start``, seven bits a byte, and where the next thing is."""
    value, shift = 0, 0
    while True:
        byte = content[start]
        value |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return value, start


def _of_tflite(content: bytes) -> Iterator[tuple[str, Constant]]:
    from ai_edge_litert import schema_py_generated as schema  # here, so that ONNX files need none of it

    types = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8}
    model = schema.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        kind, buffer = types.get(tensor.Type()), model.Buffers(tensor.Buffer())
        if kind is None or not buffer.DataLength():
            continue
        shape = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
        values = _constant(content, _offset(content, buffer.DataAsNumpy()), kind, shape)
        if kind is np.float32:
            yield str(number), values
            continue
        quantization = tensor.Quantization()
        steps_of = [1] * len(shape)
        if quantization.ScaleLength() > 1:
            steps_of[quantization.QuantizedDimension()] = quantization.ScaleLength()
        scale = _offset(content, quantization.ScaleAsNumpy())
        yield f"{number}{STEPS}", values
        yield f"{number}{SCALE}", _constant(content, scale, np.float32, steps_of)


def _offset(content: bytes, view: NDArray[Any]) -> int:
    """Where in ``content`` an array begins that the schema has laid over it."""
    return int(view.ctypes.data - np.frombuffer(content, np.uint8).ctypes.data)


def _constant(content: bytes, offset: int, kind: type, shape: list[int]) -> Constant:
    count = int(np.prod(shape))
    return Constant(offset, np.frombuffer(content, kind, count, offset).reshape(shape))
