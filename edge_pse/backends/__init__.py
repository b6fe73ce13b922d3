"""Inference runtimes: each runs the step graph of a model file, one frame at a time.

A runtime is one module of this package with a function ``open_model(content, threads) -> Backend``, and one line
in ``RUNTIMES``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_pse.errors import ModelError

Frame = NDArray[np.float32]
Shapes = dict[str, tuple[int, ...]]


class Backend(Protocol):
    """A model file, opened. What a stream leaves behind is in its states, so that several may share it.

    They may do so from several threads, too: where a runtime runs one frame at a time, the others wait for it.
    """

    name: str
    """Which runtime it is: a key of ``RUNTIMES``."""
    inputs: Shapes
    """Names and shapes of the graph's inputs, all float32, in the order of the graph."""
    outputs: Shapes
    """Names and shapes of the graph's outputs, all float32, in the order of the graph."""

    def step(
        self, spectrum: Frame, profile: Frame, states: list[Frame], far: Frame | None = None
    ) -> tuple[Frame, Frame, list[Frame]]:
        """One frame: spectrum (1, 2, 1, bins), profile (1, embedding) and the states, all float32.

        ``far``, shaped like the spectrum, is the same frame of the far end, None for silence there; a graph
        that takes none must be given None. Returns the enhanced spectrum, the embedding of this frame, and
        the states for the next frame. States come and go in the order of the contract. Those that a step has
        returned are used up by the next one, which may overwrite them; other inputs are left as they were.
        """
        ...


FRAMES = ("spectrum", "far", "profile")
"""Names of the inputs that are not states, in their order; not every graph has a far end."""


def frames_of(inputs: Shapes, spectrum: Frame, far: Frame | None, profile: Frame) -> list[Frame]:
    """What a graph with these inputs is given before its states: a silent far end where it wants one."""
    if "far" not in inputs:
        assert far is None, "this graph has no far end"
        return [spectrum, profile]
    return [spectrum, np.zeros(inputs["far"], np.float32) if far is None else far, profile]


@dataclass(frozen=True)
class Runtime:
    """How to reach one inference runtime."""

    suffix: str
    """Ending of the model files that it runs."""
    module: str
    """Where its ``open_model`` is; imported on first use, because runtimes are slow to load."""
    distribution: str
    """What to install with pip."""
    given_in_place_of: tuple[str, str] | None = None
    """Parts of file names: of files that it runs badly, and of those beside them that it is given instead."""

    def installed_version(self) -> str | None:
        """Version of the installed runtime, None where it is missing."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    def file_for(self, path: Path) -> Path:
        """What it is given where ``path`` is asked for: that file, or the one beside it that it runs better."""
        if self.given_in_place_of is not None:
            beside = path.with_name(path.name.replace(*self.given_in_place_of))
            if beside.is_file():
                return beside
        return path


RUNTIMES = {
    "litert": Runtime(".tflite", "edge_pse.backends.litert", "ai-edge-litert"),
    "onnx": Runtime(".onnx", "edge_pse.backends.onnx", "onnxruntime"),
    # Its fast kernels calculate in float only, so that a file with int8 arithmetic is slower than fp32. One with int8
    # weights alone is as small, and as fast as fp32.
    "tflite-runtime": Runtime(
        ".tflite",
        "edge_pse.backends.tflite_runtime",
        "tflite-runtime",
        given_in_place_of=(".int8.", ".int8-weights."),
    ),
}
"""By name, the preferred one first."""


def open_model(content: bytes, runtime_name: str, threads: int = 1) -> Backend:
    """Open what a model file holds with one of ``RUNTIMES``; ModelError if that is missing or can't run it.

    Whoever calls this trusts the content as code: a runtime does not survive every file. The sentence of the error goes
    on where the caller began it with the name of the file.
    """
    runtime = RUNTIMES[runtime_name]
    try:
        module = importlib.import_module(runtime.module)
    except ImportError as error:
        # Ctrl-C while a runtime is loaded, or a signal that ends the program, comes out of it as the cause of this.
        if isinstance(error.__cause__, KeyboardInterrupt | SystemExit):
            raise error.__cause__ from None
        raise ModelError(
            f"it needs {runtime.distribution}, which is not installed here or can't be loaded ({error}): "
            f"run `pip install {runtime.distribution}`."
        ) from error
    backend: Backend = module.open_model(content, threads)
    return backend
