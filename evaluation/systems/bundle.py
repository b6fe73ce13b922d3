"""A bundle as it ships: through the device library, in the way an application would call it."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from edge_pse.bundle import Bundle
from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import embed
from edge_pse.profiles import Profile
from evaluation.systems.spec import SystemInfo


class BundleSystem:
    """A model file by name or path. A profile is made once per enrollment audio."""

    def __init__(self, model: str) -> None:
        self._bundle = Bundle.load(model)
        self._enhancer = Enhancer(self._bundle)
        self._profiles: dict[str, Profile] = {}
        contract = self._bundle.contract
        self.info = SystemInfo(
            description=f"{contract.network} {contract.precision}, {contract.model_id}",
            uses_profile=True,
            latency_ms=contract.latency_ms,
            size_bytes=self._bundle.path.stat().st_size,
        )

    def enhance(
        self, mixture: np.ndarray, enrollment: np.ndarray | None, far_end: np.ndarray | None
    ) -> np.ndarray:
        self._enhancer.profile = None if enrollment is None else self._profile(enrollment)
        return self._enhancer.enhance(mixture)

    def _profile(self, enrollment: np.ndarray) -> Profile:
        key = sha256(enrollment.tobytes()).hexdigest()
        if key not in self._profiles:
            # Too short and too noisy enrollments, which enroll refuses, are among the things that are tested.
            embedding = embed(enrollment, self._bundle)
            self._profiles[key] = Profile(
                "evaluation", self._bundle.contract.model_id, embedding, 0.0, snr_db=0.0
            )
        return self._profiles[key]
