"""How alike two voices are: where embeddings are compared."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def direction_type(embedding_size: int) -> np.dtype[np.void]:
    """One direction as a model's metadata have it: ``scale * steps @ embedding + offset``.

    Eight bits are enough for angles, and the small models have no room for more.
    """
    return np.dtype([("scale", "<f2"), ("offset", "<f2"), ("steps", "i1", (embedding_size,))])


class VoiceSpace:
    """Directions in which voices differ by more than recordings of one voice do.

    All embeddings of a network have much in common, which says nothing, and differ by room and noise, too. Linear
    discriminant analysis of the training voices (``training.discriminant``) takes both away. What a network is given
    as a profile is the embedding itself; only comparisons are made here.

    ``matrix``: (directions, embedding_size + 1), applied to an embedding and a one; None compares embeddings as
    they are.
    """

    def __init__(self, matrix: Floats | None = None):
        self._matrix = matrix

    @classmethod
    def decode(cls, text: str, embedding_size: int) -> VoiceSpace:
        """From a model's metadata: rows of ``direction_type`` in base64; empty for none.

        Raises ValueError if it is something else.
        """
        if not text:
            return cls()
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError(f"its voice space is not base64: {error}") from None
        kind = direction_type(embedding_size)
        if len(content) % kind.itemsize:
            raise ValueError(f"its voice space is not made for embeddings of {embedding_size}")
        rows = np.frombuffer(content, kind)
        if len(rows) > embedding_size:
            raise ValueError(
                f"its voice space has more directions than embeddings of {embedding_size} can have"
            )
        scale, offset = (rows[name].astype(np.float32)[:, None] for name in ("scale", "offset"))
        if not np.isfinite(scale).all() or not np.isfinite(offset).all():
            raise ValueError("its voice space holds numbers that are none")
        return cls(np.concatenate([scale * rows["steps"], offset], axis=1))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VoiceSpace):
            return NotImplemented
        mine, its = self._matrix, other._matrix
        return mine is its or (mine is not None and its is not None and np.array_equal(mine, its))

    def __hash__(self) -> int:
        return hash(None if self._matrix is None else self._matrix.tobytes())

    def project(self, embeddings: Floats) -> Floats:
        """Embeddings (..., embedding_size) -> unit vectors (..., directions), zeros where there is no direction."""
        projected = embeddings
        if self._matrix is not None:
            projected = embeddings @ self._matrix[:, :-1].T + self._matrix[:, -1]
        norms = np.linalg.norm(projected, axis=-1, keepdims=True)
        return np.divide(projected, norms, out=np.zeros_like(projected), where=norms > 0)

    def cosine(self, one: Floats, other: Floats) -> float:
        """Cosine of the angle between two embeddings, (embedding_size,), here; 0 if one of them has no direction."""
        return float(self.project(one) @ self.project(other))
