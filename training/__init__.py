"""Training of the personalised enhancement network; needs PyTorch, never runs on a device."""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
