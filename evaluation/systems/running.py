"""Opening a system, and what the bounds of every table do without a process."""

from __future__ import annotations

import numpy as np

from evaluation.metrics.alignment import advance, estimate_delay
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.sets.render import Clip
from evaluation.sets.scene import ProfileKind
from evaluation.systems.command import CommandSystem
from evaluation.systems.process import SystemProcess
from evaluation.systems.spec import SystemFailure, SystemInfo, SystemSpec

LENGTH_TOLERANCE_SECONDS = 0.5
"""What a resampler or a flush may add or leave out; anything beyond is another clip."""

PROBE_ENROLLMENT_SECONDS = 10.0


class RunningSystem:
    """One system, ready for clips; a process that died is started anew for the next clip."""

    def __init__(self, spec: SystemSpec) -> None:
        self.spec = spec
        self._engine: SystemProcess | CommandSystem | None = None
        self._latest: tuple[bytes, np.ndarray] | None = None
        if spec.kind == "command":
            self._engine = CommandSystem(spec.argument)
        elif spec.kind in ("model", "peer"):
            self._engine = SystemProcess(spec)

    @property
    def info(self) -> SystemInfo:
        """What the system says about itself."""
        if self._engine is not None:
            return self._engine.info
        return SystemInfo(description=self.spec.name, latency_ms=0.0, full_band=True)

    def measure_delay(self, probes: list[np.ndarray], rate_hz: int = SAMPLE_RATE_HZ) -> float:
        """Median delay in samples over clean speech, (samples,) arrays; 0 when nothing comes back."""
        count = round(PROBE_ENROLLMENT_SECONDS * rate_hz)
        delays = []
        for probe in probes:
            silence = np.zeros_like(probe) if self.info.needs_far_end else None
            # A profile of the talker itself: without one, a system may wait until it has found a voice.
            own_voice = np.resize(probe, count) if self.info.uses_profile else None
            try:
                delays.append(
                    estimate_delay(probe, self._output(probe, own_voice, silence, rate_hz), rate_hz)
                )
            except SystemFailure:
                continue  # the clips themselves will show it, with the reason
        return float(np.median(delays)) if delays else 0.0

    def enhance(self, clip: Clip, profile: ProfileKind, delay_samples: float) -> np.ndarray:
        """The output for one clip with the delay taken out, float32, exactly as long as its mixture.

        Raises SystemFailure with a reason.
        """
        length, rate_hz = len(clip.mixture), clip.scene.rate_hz
        if self.spec.kind == "input":
            return clip.mixture
        if self.spec.kind == "reference":
            return _ideal(clip)
        enrollment = clip.enrollment(profile) if self.info.uses_profile else None
        samples = self._output(clip.mixture, enrollment, clip.far_end, rate_hz)
        if not np.isfinite(samples).all():
            raise SystemFailure("the output holds NaN or infinite samples")
        if abs(len(samples) - length) > LENGTH_TOLERANCE_SECONDS * rate_hz:
            raise SystemFailure(f"the output has {len(samples)} samples, the input {length}")
        return advance(samples, delay_samples, length)

    def close(self) -> None:
        """End what is running."""
        if self._engine is not None:
            self._engine.close()

    def _output(
        self, mixture: np.ndarray, enrollment: np.ndarray | None, far_end: np.ndarray | None, rate_hz: int
    ) -> np.ndarray:
        if self._engine is None:
            return mixture
        if not self._engine.alive:
            self._engine.close()
            self._engine = SystemProcess(self.spec)
        # Scenes that differ in the enrollment alone follow each other; most peers need to run on one of them.
        key = b"".join(
            array.tobytes() if array is not None else b"-" for array in (mixture, enrollment, far_end)
        )
        if self._latest is None or self._latest[0] != key:
            self._latest = key, self._engine.enhance(mixture, enrollment, far_end, rate_hz).samples
        return self._latest[1]


def _ideal(clip: Clip) -> np.ndarray:
    """The reference; silence where nobody should be heard."""
    if clip.reference is not None:
        return clip.reference
    if clip.scene.recording:
        raise SystemFailure("no clean reference exists for this recording")
    return np.zeros_like(clip.mixture)
