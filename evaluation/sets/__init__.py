"""The test sets: scene lists (`*.jsonl`, built by ``python -m evaluation.sets.build``) and how they sound."""

from pathlib import Path

SETS_FOLDER = Path(__file__).parent
