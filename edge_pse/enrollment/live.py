"""Enrollment while somebody speaks: how much is still needed, and what to do better meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_pse.enrollment.features import FeatureCollector
from edge_pse.enrollment.quality import (
    MAX_CLIPPED_SHARE,
    MIN_SNR_DB,
    MIN_SPEECH_LEVEL_DBFS,
    EnrollmentReport,
    clipped_share,
)
from edge_pse.enrollment.speech import Speech, levels_db
from edge_pse.enrollment.verification import OTHER_VOICE_COSINE
from edge_pse.levels import dbfs, speech_power
from edge_pse.model import Model
from edge_pse.profiles import Recording
from edge_pse.spectral import Samples

NO_SOUND = "No sound arrives: is the microphone muted, or another one meant?"
TOO_LOUD = "Too loud: go further away or turn the microphone's gain down."
TOO_QUIET = "Too quiet: come closer or turn the microphone's gain up."
TOO_NOISY = "Too noisy: come closer to the microphone or go to a quieter place."
OTHER_VOICE = "Is someone else talking? Only your voice should be heard."
READ_ON = "Read on, please."
GOOD = "Good, go on."

_WINDOW_SECONDS = 3.0
_LEVEL_SECONDS = 0.25
_QUIET_MARGIN_DB = 6.0
"""Advice begins where a recording would still pass."""
_LOUD_PEAK = 0.02
"""Below it flat tops are those of a few steps of the converter."""
_SILENCE_DBFS = -85.0
_LOUD_ROOM_DBFS = -40.0
"""Sound of this level in which no speech is found would drown it; quiet rooms are 20 dB below."""
_LONGEST_SHARE = 4.0
_LEAST_LIMIT_SECONDS = 15.0


@dataclass(frozen=True)
class Progress:
    """How an enrollment goes."""

    level_dbfs: float
    """Of the last quarter of a second."""
    speech_seconds: float
    """Useful speech so far."""
    missing_seconds: float
    """Speech that is still needed."""
    advice: str
    """One of the sentences above."""
    finished: bool
    """Enough was said, or it went on for so long that it will not become better."""


class LiveEnrollment:
    """A recording that is judged as it grows.

    ``sample_rate_hz``: of what is added, with whole hops. ``wanted_seconds``: of speech; the recording ends when they
    are there and nothing is wrong with it, or at ``limit_seconds`` of any sound, four times as much.
    """

    def __init__(self, model: Model, sample_rate_hz: int, wanted_seconds: float):
        self._collector = FeatureCollector(model, sample_rate_hz)
        self._rate_hz = sample_rate_hz
        self._blocks: list[Samples] = []
        self._wanted_seconds = wanted_seconds
        self.limit_seconds = max(_LEAST_LIMIT_SECONDS, _LONGEST_SHARE * wanted_seconds)

    def add(self, samples: Samples) -> None:
        """The next samples of the microphone, (n,) float32."""
        self._blocks.append(samples)
        self._collector.add(samples)

    def finish(self) -> None:
        """The end of the recording; nothing can be added after it."""
        self._collector.finish()

    def progress(self) -> Progress:
        """How it goes now."""
        speech = self._collector.speech()
        speech_seconds = float(speech.where.sum()) * self._collector.frame_seconds
        missing = max(0.0, self._wanted_seconds - speech_seconds)
        finished = self._collector.seconds >= self.limit_seconds
        if not missing and not finished:
            finished = not self.report().problems
        level_dbfs = self._level_dbfs(self._last(_LEVEL_SECONDS))
        return Progress(level_dbfs, speech_seconds, missing, self._advice(speech), finished)

    def report(self) -> EnrollmentReport:
        """What ``enroll`` thinks of the recording so far."""
        return self._collector.report(clipped_share(self.audio()[:, None]))

    def recording(self, microphone: str = "") -> Recording:
        """What a profile keeps of it, from the first word to the last.

        EnrollmentError, with all that is wrong, if it will not do.
        """
        return self._collector.recording(self.report(), microphone)

    def audio(self) -> Samples:
        """All that was added, (n,) float32."""
        return np.concatenate([np.zeros(0, np.float32), *self._blocks])

    def _advice(self, speech: Speech) -> str:
        window = self._last(_WINDOW_SECONDS)
        if window.size < 0.5 * _WINDOW_SECONDS * self._rate_hz:
            return READ_ON
        if self._level_dbfs(window) < _SILENCE_DBFS:
            return NO_SOUND
        if np.abs(window).max() > _LOUD_PEAK and clipped_share(window[:, None]) > MAX_CLIPPED_SHARE:
            return TOO_LOUD
        frames = round(_WINDOW_SECONDS / self._collector.frame_seconds)
        if not speech.where[-frames:].any():
            return TOO_NOISY if self._level_dbfs(window) > _LOUD_ROOM_DBFS else READ_ON
        level_dbfs, snr_db = levels_db(speech)
        if level_dbfs < MIN_SPEECH_LEVEL_DBFS + _QUIET_MARGIN_DB:
            return TOO_QUIET
        if snr_db < MIN_SNR_DB:
            return TOO_NOISY
        continuity = self._collector.continuity()
        return OTHER_VOICE if continuity is not None and continuity < OTHER_VOICE_COSINE else GOOD

    def _last(self, seconds: float) -> Samples:
        wanted = round(seconds * self._rate_hz)
        blocks: list[Samples] = []
        for block in reversed(self._blocks):
            blocks.insert(0, block)
            wanted -= block.size
            if wanted <= 0:
                break
        return np.concatenate([np.zeros(0, np.float32), *blocks])

    def _level_dbfs(self, samples: Samples) -> float:
        """Where speech is: an offset of the microphone is no sound."""
        return dbfs(float(speech_power(samples, self._rate_hz)))
