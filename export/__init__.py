"""From a trained checkpoint to the model files that the device library runs."""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
