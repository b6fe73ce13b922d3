"""Training of the personalised enhancement network; needs PyTorch, never runs on a device. See docs/training.md.

Commands, in the order in which a network meets them:

- ``teacher``: speaker vectors that it is taught by;
- ``train``: a run, resumable; its stages are read by ``schedule`` from ``recipes/``;
- ``mean``: of the weights of two runs;
- ``discriminant``: where its profiles are compared;
- ``budget``: all networks, in a limited time on a GPU; what it is spent on is in ``recipes/budget.toml``;
- ``pack_corpus``: the corpus in parts, for a machine that it must be carried to;
- ``adopt``: lets weights ship, if they are better, with all that follows.

What they stand on: ``network`` (one definition for clips and for single frames) and ``spectral``; ``simulation`` (the
scenes); ``losses``, ``step`` and ``optimizer``; ``checkpoint``; ``throughput`` (how large a step should be); ``dev``
(scores on the way) and ``verdict`` (which are better); ``recipe_page``; ``parallel`` (several processes), ``options``,
``clock`` and ``device``.
"""

import edge_pse  # noqa: F401 - switches the telemetry of ONNX Runtime off, before anything can load that
