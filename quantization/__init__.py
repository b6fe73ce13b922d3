"""From fp32 model files to int8 ones, and what that costs.

- ``quantize``: the command that makes them, by ``recipes`` (data), ``onnx_int8`` or ``tflite_int8``, and
  ``calibration``; ``quality`` keeps it from writing what is too far from fp32.
- ``steps``: the numbers of an int8 file without those tools; ``describe``: where they lie, for files that are there.
- ``check``: the gate: ``scenes`` go through every file on every runtime (``measure``, ``worker``), ``bars`` judge,
  ``report`` writes it down.
- ``publish``: what is shown of it.
"""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
