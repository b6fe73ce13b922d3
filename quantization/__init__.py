"""From fp32 model files to int8 ones: recipes, calibration, and what int8 costs."""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
