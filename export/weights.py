"""Which parameter of the network each array of an fp32 model file is, found by its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.constants import Constant, read_constants
from export.graph import StepGraph

Array = NDArray[np.float32]
_TOLERANCE = 1e-5
"""Of the largest number: norms are folded with other roundings on other processors."""


@dataclass(frozen=True)
class Place:
    """What an array of a file holds: a parameter of the step graph, its axes in another order."""

    parameter: str
    axes: tuple[int, ...]
    """Of the parameter without its axes of one element."""

    def lay_out(self, parameter: Array, shape: tuple[int, ...]) -> Array:
        """A parameter as the file has it, which is of that shape."""
        return parameter.squeeze().transpose(self.axes).reshape(shape)


def parameters(graph: StepGraph) -> dict[str, Array]:
    """What the network has learnt, folded as the files have it."""
    return {name: parameter.detach().numpy() for name, parameter in graph.named_parameters()}


def find_places(graph: StepGraph, constants: Mapping[str, Constant]) -> dict[str, Place]:
    """For each array of the fp32 file of ``graph`` that was learnt, what it is.

    What the file has beside, such as the fixed convolution of the mask, is left out.
    """
    learnt = parameters(graph)
    found = {}
    for name, constant in constants.items():
        place = next(
            filter(None, (_match(key, value, constant.values) for key, value in learnt.items())), None
        )
        if place is not None:
            found[name] = place
    return found


def find_ranges(graph: StepGraph, path: Path) -> list[list[int]]:
    """Where in the fp32 file of ``graph`` the learnt numbers are, as its description says it."""
    constants = read_constants(path)
    return ranges_of(constants, find_places(graph, constants))


def ranges_of(constants: Mapping[str, Constant], names: Mapping[str, Any]) -> list[list[int]]:
    """Where the arrays of those names are, as a description says it."""
    return sorted([*constants[name].range] for name in names)


def _match(name: str, parameter: Array, stored: NDArray[Any]) -> Place | None:
    if parameter.size != stored.size:
        return None
    parameter, stored = parameter.squeeze(), stored.squeeze()
    tolerance = _TOLERANCE * np.abs(parameter).max()
    for axes in permutations(range(parameter.ndim)):
        turned = parameter.transpose(axes)
        if turned.shape == stored.shape and np.abs(turned - stored).max() <= tolerance:
            return Place(name, axes)
    return None
