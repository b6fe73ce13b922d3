"""The questions that the paper leaves open, asked of a shipped model: ``python -m studies questions``.

Each draws scenes of the dev speakers, the same every time, changes one thing about them, and writes a section with a
table and a plot. `studies.questions.embedding` asks those that need the network itself, and writes to the same page.
"""
