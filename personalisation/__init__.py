"""The learner of personal weights, a process of its own that the device library starts. It needs PyTorch."""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
