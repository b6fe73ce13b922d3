"""Whether two recordings are of one voice, and how far a profile can be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PART_SECONDS = 2.0


def cosine(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Cosine of the angle between two embeddings, (embedding_size,); 0 if one of them is zero."""
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms else 0.0


def agreement(
    embeddings: NDArray[np.float32], speech: NDArray[np.bool_], frame_seconds: float
) -> float | None:
    """How well the two halves of the speech in a recording agree: the cosine of their mean embeddings.

    ``embeddings``: (frames, embedding_size), ``speech``: (frames,). None for less than two seconds of speech.
    """
    spoken = embeddings[speech]
    half = len(spoken) // 2
    if half * frame_seconds < _PART_SECONDS / 2:
        return None
    return cosine(spoken[:half].mean(axis=0), spoken[half:].mean(axis=0))
