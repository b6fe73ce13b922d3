"""Studies: the questions, comparisons and measurements by which what ships was chosen, and may be chosen anew.

``python -m studies`` prints them, with what each needs and how long it takes; nothing that ships rests on one. A study
is a module here with a click command ``main``, which prints its answer as Markdown, or writes it to the page of
`studies.questions`. To add one, write the module, take the options that others have, too, from `studies.options`, and
give it a line in `studies.index`.
"""

import edge_pse  # noqa: F401  (telemetry of ONNX Runtime is off before anything loads it)
