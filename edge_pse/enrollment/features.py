"""What the network says of a recording, frame by frame, and what there is to enroll in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_pse.enhancer import Enhancer, FrameFeatures
from edge_pse.enrollment.quality import EnrollmentReport, judge
from edge_pse.enrollment.speech import Speech, find_speech
from edge_pse.enrollment.verification import PART_SECONDS, agreement
from edge_pse.errors import EnrollmentError, ModelError
from edge_pse.model import Model
from edge_pse.profiles import Recording
from edge_pse.spectral import Samples

_MARGIN_SECONDS = 1.0  # pauses of a reader: all frames were averaged in training; more is none of the voice
_FIRST_ROOM = 2000  # frames


class FeatureCollector:
    """Runs one voice through the network, in a recording or as it is spoken, and says what there is to enroll.

    ``model``: the profile network, see ``Model.profile_network``. ``rate_hz``: of the samples, None for that of the
    network; see ``Enhancer``. They are mono, in blocks of any size. ``half_band``: whether it
    also embeds the sound without the upper half of its band, as a profile needs it; that takes as long as all else.
    """

    def __init__(self, model: Model, rate_hz: int | None = None, half_band: bool = True):
        self.model = model
        self._half_band = half_band
        # Nobody hears what comes out.
        self._enhancer = Enhancer(model, rate_hz=rate_hz, output_rate_hz=model.contract.sample_rate_hz)
        self._enhancer.observe(self._add_frame, half_band)
        self._powers: list[float] = []
        self._kept_powers: list[float] = []
        self._in_speech_band: list[tuple[float, float]] = []
        self._embeddings: Samples = np.empty((_FIRST_ROOM, 2, model.contract.embedding_size), np.float32)
        self._samples = 0
        self._fault = ""

    @property
    def seconds(self) -> float:
        """How much was added so far."""
        return self._samples / self._enhancer.sample_rate_hz

    @property
    def frame_seconds(self) -> float:
        """From one frame to the next: a hop of the model."""
        return self.model.contract.hop_samples / self.model.contract.sample_rate_hz

    def add(self, mono: Samples) -> None:
        """The next samples, (samples,) float32; AudioError if they can't be used."""
        self._enhancer.process(mono)
        self._samples += mono.size
        self._fault = self._enhancer.fault

    def finish(self) -> None:
        """The end: brings out the last frame, as in training, with a hop of silence."""
        self._enhancer.flush()

    def frame_powers(self, start: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean square of each frame of ``start``, with which the recording begins, and what is kept; (frames,).

        ``start``: at the rate of the network, whatever that of the recording is.
        """
        frames = start.size // self.model.contract.hop_samples
        return np.array(self._powers[:frames]), np.array(self._kept_powers[:frames])

    def embedding(
        self, frames: slice | NDArray[np.integer] = slice(None), half_band: bool = False
    ) -> Samples:
        """Mean over some frames or all, (embedding_size,) float32; ModelError for a damaged model.

        ``half_band``: that of the sound without the upper half of its band, see ``edge_pse.band``.
        """
        assert self._half_band or not half_band
        self._check_network()
        embeddings = self._embeddings[: len(self._powers), int(half_band)][frames]
        return embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)

    def speech(self) -> Speech:
        """Where somebody speaks, so far."""
        if not self._powers:
            return Speech(np.zeros(0, bool), 0.0, 0.0, np.zeros(0))
        return find_speech(self._powers, self._kept_powers, self._in_speech_band)

    def voice(self) -> slice:
        """The frames from the first speech to the last, and a second on either side."""
        spoken = np.flatnonzero(self.speech().where)
        if not spoken.size:
            return slice(0, len(self._powers))
        margin = round(_MARGIN_SECONDS / self.frame_seconds)
        return slice(max(0, int(spoken[0]) - margin), int(spoken[-1]) + 1 + margin)

    def report(self, clipped_share: float) -> EnrollmentReport:
        """What ``enroll`` thinks of it so far; ``clipped_share``: see ``quality``."""
        self._check_network()
        return judge(self.seconds, self.speech(), self.frame_seconds, clipped_share)

    def recording(self, report: EnrollmentReport, microphone: str = "") -> Recording:
        """What a profile keeps of it, from the first word to the last; EnrollmentError if it will not do."""
        if report.problems:
            raise EnrollmentError(
                f"This recording would not make a good profile. {' '.join(report.problems)}"
            )
        return Recording(
            embedding=self.embedding(self.voice()),
            half_band=self.embedding(self.voice(), half_band=True),
            speech_seconds=round(report.speech_seconds, 2),
            snr_db=round(report.snr_db, 1),
            microphone=microphone,
            agreement=self.agreement(),
        )

    def agreement(self) -> float | None:
        """See ``verification.agreement``."""
        embeddings, space = self._embeddings[: len(self._powers), 0], self.model.contract.voice_space
        return agreement(embeddings, self.speech().where, self.frame_seconds, space)

    def continuity(self) -> float | None:
        """How much the latest speech is like all before it, as a cosine; None before there is enough."""
        spoken = np.flatnonzero(self.speech().where)
        part = round(PART_SECONDS / self.frame_seconds)
        if spoken.size < 2 * part:
            return None
        latest, before = self.embedding(spoken[-part:]), self.embedding(spoken[:-part])
        return self.model.contract.voice_space.cosine(latest, before)

    def _check_network(self) -> None:
        if self._fault:
            raise ModelError(self._fault)

    def _add_frame(self, features: FrameFeatures) -> None:
        frame = len(self._powers)
        if frame == len(self._embeddings):
            self._embeddings = np.concatenate([self._embeddings, np.empty_like(self._embeddings)])
        self._embeddings[frame] = features.embedding, features.half_band
        self._powers.append(features.power)
        self._kept_powers.append(features.kept_power)
        self._in_speech_band.append(features.in_speech_band)
