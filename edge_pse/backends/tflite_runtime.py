"""tflite-runtime, the predecessor of LiteRT, on the CPU.

Its fast kernels calculate in float only, so that a file with int8 arithmetic is slower than fp32. It gives way to the
one beside it with int8 weights alone, which is as small, and as fast as fp32.
"""

from __future__ import annotations

from pathlib import Path

from tflite_runtime.interpreter import Interpreter

from edge_pse.backends.tflite import TfliteBackend, open_with


def open_model(path: Path, threads: int = 1) -> TfliteBackend:
    """Load a TFLite file, or for ``*.int8.tflite`` the ``*.int8-weights.tflite`` beside it.

    BundleError if it can't be used.
    """
    weights_alone = path.with_name(path.name.replace(".int8.", ".int8-weights."))
    chosen = weights_alone if weights_alone.is_file() else path
    return open_with(Interpreter, "tflite-runtime", chosen, threads)
