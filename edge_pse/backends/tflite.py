"""What LiteRT and tflite-runtime share: the interpreter of a TFLite file, on the CPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_pse.backends import Frame, Shapes, frames_of
from edge_pse.errors import ModelError
from edge_pse.text import shown

_OPENING = threading.Lock()
_LONGEST_REASON = 200


class TfliteBackend:
    """See ``edge_pse.backends.Backend``."""

    def __init__(self, name: str, interpreter: Any):
        self.name = name
        interpreter.allocate_tensors()
        signature = interpreter.get_signature_runner()
        inputs = _in_order(signature.get_input_details(), interpreter.get_input_details())
        outputs = _in_order(signature.get_output_details(), interpreter.get_output_details())
        self.inputs: Shapes = _float_shapes(inputs)
        self.outputs: Shapes = _float_shapes(outputs)
        self._input_tensors = [tensor["index"] for tensor in inputs.values()]
        self._output_tensors = [tensor["index"] for tensor in outputs.values()]
        self._interpreter = interpreter
        # An interpreter has one set of tensors for all who use it.
        self._one_at_a_time = threading.Lock()

    def step(
        self, spectrum: Frame, profile: Frame, states: list[Frame], far: Frame | None = None
    ) -> tuple[Frame, Frame, list[Frame]]:
        """See ``edge_pse.backends.Backend.step``."""
        interpreter = self._interpreter
        frames = frames_of(self.inputs, spectrum, far, profile)
        with self._one_at_a_time:
            for tensor, array in zip(self._input_tensors, (*frames, *states), strict=True):
                interpreter.set_tensor(tensor, array)
            interpreter.invoke()
            enhanced, embedding, *states = [interpreter.get_tensor(tensor) for tensor in self._output_tensors]
        return enhanced, embedding, states


def open_with(interpreter: Callable[..., Any], name: str, content: bytes, threads: int) -> TfliteBackend:
    """Load what a TFLite file holds with the ``Interpreter`` of runtime ``name``.

    ModelError if it is damaged, or holds anything but float32 inputs and outputs.
    """
    try:
        with _quiet():
            opened = interpreter(model_content=content, num_threads=threads)
            return TfliteBackend(name, opened)
    except (ValueError, RuntimeError) as error:
        reason = shown(error)[:_LONGEST_REASON]
        raise ModelError(f"{name} can't run it ({reason}): update {name}, or use another model.") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The runtimes tell on the process's standard error which delegate they made, and have no switch for it.

    What is wrong with a file they raise; that is not lost. Threads that open models take turns, so that it is the
    standard error of the process which each of them puts back.
    """
    with _OPENING:
        try:
            standard_error = os.dup(2)
        except OSError:  # closed: there is nothing to keep quiet
            yield
            return
        try:
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)


def _in_order(by_name: dict[str, Any], of_graph: list[Any]) -> dict[str, Any]:
    """The signature lists its tensors alphabetically; the graph has them in the order of the call."""
    order = {tensor["index"]: place for place, tensor in enumerate(of_graph)}
    try:
        return dict(sorted(by_name.items(), key=lambda item: order[item[1]["index"]]))
    except KeyError:
        raise ModelError("its signature is not that of its graph: export it again.") from None


def _float_shapes(tensors: dict[str, Any]) -> Shapes:
    for name, tensor in tensors.items():
        if tensor["dtype"] is not np.float32:
            raise ModelError(
                f"its {shown(name)} is {tensor['dtype'].__name__}, not float32: export it again."
            )
    return {name: tuple(map(int, tensor["shape"])) for name, tensor in tensors.items()}
