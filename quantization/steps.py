"""The numbers of an int8 file from those of the fp32 file, without the tools that made either.

As ai-edge-quantizer and ``quantization.onnx_int8`` (symmetric) and ONNX Runtime (asymmetric) round them, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pse.model_file import read_description
from export.constants import SCALE, STEPS, Constant, read_constants
from export.weights import Array, ranges_of

INT8_MAX, UINT8_MAX = 127, 255
_ASYMMETRIC = ("_quantized", "_scale", "_zero_point")


def to_steps(weight: Array, axes: tuple[int, ...]) -> tuple[NDArray[np.int8], Array]:
    """Weights as int8 steps and the size of a step, which is common to all along ``axes``."""
    scale = np.abs(weight).max(axes, keepdims=True) / INT8_MAX
    scale = np.where(scale == 0, 1, scale).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale


def to_unsigned_steps(weight: Array) -> tuple[NDArray[np.uint8], Array, NDArray[np.uint8]]:
    """Weights (input, output) as uint8 steps, and for each output the size of a step and the step that is zero."""
    least, most = (end.astype(np.float64) for end in (weight.min(0).clip(max=0), weight.max(0).clip(min=0)))
    scale = (most - least) / UINT8_MAX
    scale = np.where(scale == 0, 1, scale)
    zero_point, step = np.round(-least / scale), scale.astype(np.float32)
    steps = np.round(weight / step) + zero_point.astype(np.float32)
    return steps.clip(0, UINT8_MAX).astype(np.uint8), step, zero_point.astype(np.uint8)


def int8_arrays(fp32: Mapping[str, Array], constants: Mapping[str, Constant]) -> dict[str, NDArray[Any]]:
    """What the arrays of an int8 file become when those of its fp32 file are ``fp32``, by name.

    ``constants``: the arrays of the int8 file. KeyError names an array of ``fp32`` that nothing there is made of.
    """
    made: dict[str, NDArray[Any]] = {}
    for name, weight in fp32.items():
        if name in constants:
            made[name] = weight
        elif name + STEPS in constants:
            shape = constants[name + SCALE].values.shape
            axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
            made[name + STEPS], made[name + SCALE] = to_steps(weight, axes)
        else:
            # ONNX Runtime turns the matrices of Gemm round, and leaves those of MatMul as they are.
            turned = name + "_Transposed"
            stem, matrix = (turned, weight.T) if turned + _ASYMMETRIC[0] in constants else (name, weight)
            if any(stem + part not in constants for part in _ASYMMETRIC):
                raise KeyError(name)
            steps, scale, zero_point = to_unsigned_steps(matrix)
            made.update(zip((stem + part for part in _ASYMMETRIC), (steps, scale, zero_point), strict=True))
    return made


def find_int8_ranges(source: Path, path: Path) -> list[list[int]]:
    """Where in an int8 file the learnt numbers are, as its description says it.

    ``source``: the fp32 file that it is made of. None where the description of ``source`` doesn't say where they are
    there, or where this module doesn't make the numbers of the int8 file, which it could make for no other network.
    """
    learnt = {tuple(place) for place in read_description(source).get("weights", [])}
    fp32 = {name: c.values for name, c in read_constants(source).items() if c.range in learnt}
    constants = read_constants(path)
    try:
        made = int8_arrays(fp32, constants)
    except KeyError:
        return []
    if not all(np.array_equal(array, constants[name].values) for name, array in made.items()):
        return []
    return ranges_of(constants, made)
