"""What LiteRT and tflite-runtime share: the interpreter of a TFLite file, on the CPU.

The contract lies beside the file, as ``<file>.json``, with the checksum of the file that it describes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_pse.backends import Frame, Shapes, frames_of
from edge_pse.errors import BundleError


class TfliteBackend:
    """See ``edge_pse.backends.Backend``."""

    def __init__(self, name: str, interpreter: Any, metadata: str):
        self.name = name
        self.metadata = metadata
        interpreter.allocate_tensors()
        signature = interpreter.get_signature_runner()
        inputs = _in_order(signature.get_input_details(), interpreter.get_input_details())
        outputs = _in_order(signature.get_output_details(), interpreter.get_output_details())
        self.inputs: Shapes = _float_shapes(inputs)
        self.outputs: Shapes = _float_shapes(outputs)
        self._input_tensors = [tensor["index"] for tensor in inputs.values()]
        self._output_tensors = [tensor["index"] for tensor in outputs.values()]
        self._interpreter = interpreter

    def step(
        self, spectrum: Frame, profile: Frame, states: list[Frame], far: Frame | None = None
    ) -> tuple[Frame, Frame, list[Frame]]:
        """See ``edge_pse.backends.Backend.step``."""
        interpreter = self._interpreter
        frames = frames_of(self.inputs, spectrum, far, profile)
        for tensor, array in zip(self._input_tensors, (*frames, *states), strict=True):
            interpreter.set_tensor(tensor, array)
        interpreter.invoke()
        enhanced, embedding, *states = [interpreter.get_tensor(tensor) for tensor in self._output_tensors]
        return enhanced, embedding, states


def open_with(interpreter: Callable[..., Any], name: str, path: Path, threads: int) -> TfliteBackend:
    """Load a TFLite file with the ``Interpreter`` of runtime ``name``.

    BundleError if it is damaged, is not the file that its description is about, or holds anything but float32
    inputs and outputs.
    """
    metadata = _read_description(path)
    try:
        with _quiet():
            opened = interpreter(model_path=str(path), num_threads=threads)
            return TfliteBackend(name, opened, metadata)
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"{name} can't run it ({error}): update {name}, or use another model.") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The runtimes tell on the process's standard error which delegate they made, and have no switch for it.

    What is wrong with a file they raise; that is not lost.
    """
    standard_error = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


def description_path(path: Path) -> Path:
    """Where the contract of a TFLite file is."""
    return path.with_name(f"{path.name}.json")


def file_sha256(path: Path) -> str:
    """Checksum of a file, as the description of a TFLite file has it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_description(path: Path) -> str:
    description = description_path(path)
    try:
        text = description.read_text(encoding="utf-8")
        wanted = json.loads(text)["sha256"]
    except OSError:
        raise BundleError(f"its description {description.name} is missing: copy both files.") from None
    except (ValueError, KeyError, TypeError):
        raise BundleError(f"its description {description.name} is damaged: copy both files again.") from None
    if file_sha256(path) != wanted:
        raise BundleError(
            f"it is not the file that {description.name} describes, or it is damaged: copy both files again."
        )
    return text


def _in_order(by_name: dict[str, Any], of_graph: list[Any]) -> dict[str, Any]:
    """The signature lists its tensors alphabetically; the graph has them in the order of the call."""
    order = {tensor["index"]: place for place, tensor in enumerate(of_graph)}
    try:
        return dict(sorted(by_name.items(), key=lambda item: order[item[1]["index"]]))
    except KeyError:
        raise BundleError("its signature is not that of its graph: export it again.") from None


def _float_shapes(tensors: dict[str, Any]) -> Shapes:
    for name, tensor in tensors.items():
        if tensor["dtype"] is not np.float32:
            raise BundleError(f"its {name} is {tensor['dtype'].__name__}, not float32: export it again.")
    return {name: tuple(map(int, tensor["shape"])) for name, tensor in tensors.items()}
