"""The test sets: scene lists (`*.jsonl`, built by ``python -m evaluation.sets.build``) and how they sound."""

from pathlib import Path

SETS_FOLDER = Path(__file__).parent
FULL_BAND_CLEAN, FULL_BAND_NOISE, FULL_BAND_TALKERS, FULL_BAND_OTHERS = (
    f"full-band {situation}" for situation in ("clean", "noise", "two talkers", "others alone")
)
"""What the scenes of ``full-band.jsonl`` stand for, each with columns of its own."""
