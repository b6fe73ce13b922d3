"""LiteRT on the CPU."""

from __future__ import annotations

from ai_edge_litert.interpreter import Interpreter

from edge_pse.backends.tflite import TfliteBackend, open_with


def open_model(content: bytes, threads: int = 1) -> TfliteBackend:
    """Load what a TFLite file holds; ModelError if it can't be used."""
    return open_with(Interpreter, "litert", content, threads)
