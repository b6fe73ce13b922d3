"""LiteRT on the CPU."""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from edge_pse.backends.tflite import TfliteBackend, open_with


def open_model(path: Path, threads: int = 1) -> TfliteBackend:
    """Load a TFLite file; BundleError if it can't be used."""
    return open_with(Interpreter, "litert", path, threads)
