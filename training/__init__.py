"""Training of the personalised enhancement network; needs PyTorch, never runs on a device. See docs/training.md.

Commands, in the order in which a network meets them:

- ``teacher``: speaker vectors that it is taught by;
- ``train``: a run, resumable; its stages are read by ``schedule`` from ``recipes/``;
- ``mean``: of the weights of two runs;
- ``discriminant``: where its profiles are compared;
- ``pack_corpus``: the corpus in parts, for ``interruptible.sh`` on a borrowed machine.

What they stand on: ``network`` (one definition for clips and for single frames) and ``spectral``; ``simulation`` (the
scenes); ``losses``, ``step`` and ``optimizer``; ``checkpoint``; ``dev`` (scores on the way); ``parallel`` (several
processes), ``options``, ``clock`` and ``device``.
"""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
