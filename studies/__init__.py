"""Studies: questions, comparisons and measurements that chose what ships."""

import edge_pse  # noqa: F401  (telemetry of ONNX Runtime is off before anything loads it)
