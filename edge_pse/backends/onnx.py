"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnxruntime

from edge_pse.backends import FRAMES, Frame, Shapes, frames_of
from edge_pse.errors import ModelError
from edge_pse.text import shown

# Its notes on devices that it did not find are not for the users of a program that runs on the CPU.
_ERRORS_ONLY = 3


class OnnxBackend:
    """See ``edge_pse.backends.Backend``."""

    name = "onnx"

    def __init__(self, session: onnxruntime.InferenceSession):
        self.inputs: Shapes = _float_shapes(session.get_inputs())
        self.outputs: Shapes = _float_shapes(session.get_outputs())
        self._session = session

    def step(
        self, spectrum: Frame, profile: Frame, states: list[Frame], far: Frame | None = None
    ) -> tuple[Frame, Frame, list[Frame]]:
        """See ``edge_pse.backends.Backend.step``."""
        if not isinstance(states, _BoundStates):
            states = self._bind(states)
        stream = states.stream
        for buffer, frame in zip(stream.frames, frames_of(self.inputs, spectrum, far, profile), strict=True):
            buffer[:] = frame
        self._session.run_with_iobinding(states.binding)
        return stream.enhanced.copy(), stream.embedding.copy(), states.following

    def _bind(self, states: list[Frame]) -> _BoundStates:
        stream = _Stream(self.inputs, self.outputs)
        now, following = _BoundStates(stream, states), _BoundStates(stream, states)
        for read, written in ((now, following), (following, now)):
            read.following = written
            read.binding = self._session.io_binding()
            for name, array in zip(self.inputs, (*stream.frames, *read), strict=True):
                read.binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
            for name, array in zip(self.outputs, (stream.enhanced, stream.embedding, *written), strict=True):
                read.binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return now


class _Stream:
    """The buffers of one stream for everything but its states."""

    def __init__(self, inputs: Shapes, outputs: Shapes):
        self.frames = [np.empty(inputs[name], np.float32) for name in FRAMES if name in inputs]
        self.enhanced, self.embedding = (
            np.empty(outputs[name], np.float32) for name in ("enhanced", "embedding")
        )


class _BoundStates(list[Frame]):
    """States in buffers that the runtime reads in place, while it writes those of ``following``.

    Two of these take turns. To hand over some fifteen arrays in and out of every step instead costs an eighth
    of its time.
    """

    binding: onnxruntime.IOBinding
    following: _BoundStates

    def __init__(self, stream: _Stream, states: Iterable[Frame]):
        super().__init__(np.array(state, np.float32, order="C") for state in states)
        self.stream = stream


def open_model(content: bytes, threads: int = 1) -> OnnxBackend:
    """Load what an ONNX file holds; ModelError if it is damaged or holds anything but float32 inputs and outputs."""
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has an exception of its own for each way to be bad
        raise ModelError("it is damaged or not an ONNX model: copy or export it again.") from error
    return OnnxBackend(session)


def _float_shapes(tensors: list[Any]) -> Shapes:
    for tensor in tensors:
        if tensor.type != "tensor(float)" or not all(isinstance(size, int) for size in tensor.shape):
            raise ModelError(
                f"its {shown(tensor.name)} is {tensor.type} {tensor.shape}, not float32 of a fixed shape: "
                "export it again."
            )
    return {tensor.name: tuple(tensor.shape) for tensor in tensors}
