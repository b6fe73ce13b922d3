"""From a trained checkpoint to the model files that the device library runs.

- ``onnx``, ``tflite``: the commands, one a format (``elu`` puts back an operator that TFLite's converter takes apart).
- ``graph``: the network as one step of one frame; ``description``: what a file says of itself.
- ``constants``: the arrays in a file and their bytes; ``weights``: which of them are which of the network's parameters.
- ``writing``: a file takes its place only after the proof, which ``parity`` gives.
"""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
