"""A model as it ships: through the device library, in the way an application would call it."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np

from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import conditioning
from edge_pse.model import Model
from edge_pse.profiles import Profile, Recording
from edge_pse.samples import at_rate
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.systems.spec import SHARED_PROFILES_VARIABLE, SystemInfo


def described(model: Model) -> str:
    """Network, precision, runtime, and the id of its weights: what a figure is of."""
    contract = model.contract
    return f"{contract.network} {contract.precision} on {model.backend.name}, {contract.model_id}"


class ModelSystem:
    """A model file by name or path. A profile is made once per enrollment audio."""

    def __init__(self, model: str, backend: str = "auto", full_band: bool = True) -> None:
        self._model = Model.load(model, backend)
        self._enhancer = Enhancer(self._model, full_band=full_band)
        self._profiles: dict[str, Profile] = {}
        self.info = SystemInfo(
            description=described(self._model),
            uses_profile=True,
            latency_ms=self._model.contract.latency_ms,
            size_bytes=self._model.path.stat().st_size,
            full_band=True,
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = SAMPLE_RATE_HZ,
    ) -> np.ndarray:
        self._enhancer.profiles = None if enrollment is None else self._profile(enrollment, rate_hz)
        far = far_end if self._model.contract.far_end else None
        return self._enhancer.enhance(mixture, rate_hz, far)

    def _profile(self, enrollment: np.ndarray, rate_hz: int) -> Profile:
        key = sha256(f"{self._model.path} {rate_hz}".encode() + enrollment.tobytes()).hexdigest()
        if key not in self._profiles:
            embedding = self._embedding(
                key, at_rate(enrollment, rate_hz, self._model.contract.sample_rate_hz)
            )
            recording = Recording(embedding, half_band=embedding, speech_seconds=0.0, snr_db=0.0)
            self._profiles[key] = Profile("evaluation", self._model.contract.profiles_of, (recording,))
        return self._profiles[key]

    def _embedding(self, key: str, enrollment: np.ndarray) -> np.ndarray:
        """From the folder that the processes of a run share, or made and left there."""
        shared = os.environ.get(SHARED_PROFILES_VARIABLE)
        path = Path(shared, f"{key}.npy") if shared else None
        if path and path.exists():
            return np.load(path)
        # Too short and too noisy enrollments, which enroll refuses, are among the things that are tested.
        embedding = conditioning(enrollment, self._model.profile_network())
        if path:
            unfinished = path.with_suffix(f".{os.getpid()}")
            with unfinished.open("wb") as file:
                np.save(file, embedding)
            unfinished.replace(path)
        return embedding
