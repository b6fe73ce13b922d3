"""How good a model is: test scenes, metrics, peers and the report.

Run ``python -m evaluation --help``. This package knows `edge_pse` and nothing of training; it never imports
PyTorch. It imports nothing here that needs more than Python, so that a peer's process needs no more than numpy and
the peer itself.
"""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
