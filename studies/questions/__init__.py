"""The questions that the paper leaves open, asked of what ships: ``python -m studies questions``.

Each draws scenes of the dev speakers, the same every time, changes one thing about them, and writes a section with a
table and a plot. Those of `studies.questions.network` look inside the network, and need PyTorch.
"""
