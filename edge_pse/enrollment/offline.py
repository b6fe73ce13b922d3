"""From a recording of one voice to its profile, and what is wrong with recordings that would make a bad one.

The network tells speech from the rest: run without a profile it removes noise, so that where it keeps most of
the energy somebody speaks. The levels of voice and noise are then taken from the recording itself, because
what the network removes from a clean voice sets a limit to what its output could show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_pse.band import of_any_band
from edge_pse.channels import choose
from edge_pse.enhancer import Enhancer, FrameFeatures
from edge_pse.enrollment.verification import PART_SECONDS, agreement
from edge_pse.errors import EnrollmentError, ModelError
from edge_pse.levels import without_hum
from edge_pse.model import DEFAULT_MODEL, Model
from edge_pse.pace import warn_of_pace
from edge_pse.profiles import Profile, Recording
from edge_pse.samples import at_rate, checked_rate, checked_recording
from edge_pse.spectral import Samples

# What the limits below rest on: the first model of pvqe-s and ten seconds of each of the five LibriSpeech
# speakers of the dev split. "Right" is an excerpt whose embedding is nearest to that of clean speech of the
# same speaker: another recording, or, for noise, the same.

MIN_SECONDS = 3.0
"""As short as enrollments get in training. Right: 75 % of 3 s excerpts, 87 % of 5 s, all of 10 s."""

MIN_SPEECH_SECONDS = 1.5
"""Of 23 clean recordings, pauses and all, 39 to 78 % is speech by the measure used here, of a clock 9 %."""

MIN_SPEECH_LEVEL_DBFS = -50.0
"""Training goes down to -40. A profile from -50 still serves as well as one from -15 (SI-SDR gain of four
two-talker mixtures: 2.2 and 2.0 dB); further down little is left of 16 bits."""

MAX_CLIPPED_SHARE = 0.01
"""The worst of 93 recordings of the dev split has 0.00005. Driven 10 dB into clipping (0.002 to 0.04) all are
right, at 20 dB (0.04 to 0.28) the first is wrong."""

MIN_SNR_DB = 13.0
"""By the measure used here: in five noises a true 15 dB reads 15 to 22, 10 dB 12 to 18, 5 dB 9 to 14, 0 dB
7 to 12, and 96, 84, 56 and 32 % are right. Short rare sounds don't count as noise (a sixth one, a clock at
0 dB, reads as clean), and rightly so: with the clock all are right."""

_SMOOTHED_FRAMES = 5  # 50 ms: shorter than the pauses, long enough for a level
_PAUSES_SHARE = 0.1  # the quietest sounding frames: fluent reading pauses for longer than that
_SILENCE_DBFS = -90.0  # what is below it never passed a microphone
_SPEECH_RANGE = 1e-3  # in power, from the loud frames down: what is fainter is breath, or somebody else
_SPEECH_OVER_NOISE = 4.0  # in power: noise alone seldom fluctuates by more
_SPEECH_KEPT = 0.2  # in power: of clean speech all but its faint ends, of rain 0.14, of white noise less
_NEAR_PEAK = 0.99
_MARGIN_SECONDS = 1.0  # pauses of a reader: all frames were averaged in training; more is none of the voice
_FIRST_ROOM = 2000  # frames


@dataclass(frozen=True)
class EnrollmentReport:
    """What was found in a recording."""

    seconds: float
    """Length of the recording."""
    speech_seconds: float
    """How much of it is speech."""
    speech_level_dbfs: float
    """Mean power where there is speech, in dB below a square wave of full scale; -inf without speech."""
    clipped_share: float
    """Share of the samples, 0 to 1, that stand flat at the recording's peak."""
    snr_db: float
    """Speech over the noise in its pauses; -inf without speech. Reads 2 dB high at 15 dB, 8 at 0 dB."""
    problems: tuple[str, ...]
    """What is wrong with it, a sentence each; empty if it is good enough."""


def assess(
    audio: ArrayLike, sample_rate_hz: float, model: Model | str | Path = DEFAULT_MODEL
) -> EnrollmentReport:
    """What ``enroll`` would think of a recording; the same arguments and errors, but for EnrollmentError."""
    return _listen_to(audio, sample_rate_hz, Model.of(model).profile_network())[1]


def enroll(
    audio: ArrayLike,
    sample_rate_hz: float,
    model: Model | str | Path = DEFAULT_MODEL,
    name: str = "",
    microphone: str = "",
) -> Profile:
    """The profile of the voice in a recording.

    ``audio``: floating-point samples, full scale -1 to 1, shape (samples,) or (samples, channels), at
    ``sample_rate_hz``; of several channels see ``channels.choose``. Ten seconds of one voice alone are plenty.
    ``microphone``: what it was recorded with, to be shown. The profile is the mean of the network's embedding
    over all frames, run without a profile (arXiv 2406.09928, "internal embedding"), but for what lies more
    than a second before the first word or after the last; and the same with only half of the band, see
    ``edge_pse.band``.

    What sounds like speech of another rate is warned of, see ``pace``. Raises AudioError for samples or a rate
    that can't be used, ModelError for a damaged model and EnrollmentError, with all that is wrong, for a
    recording that would not make a good profile.
    """
    collector, report = _listen_to(audio, sample_rate_hz, Model.of(model).profile_network())
    recording = collector.recording(report, microphone)
    return Profile(name, collector.model.contract.model_id, (recording,))


def embed(mono: Samples, model: Model) -> Samples:
    """The embedding of a recording, (embedding_size,) float32, whatever ``enroll`` would say of its quality.

    ``mono``: (samples,) float32 at the model's rate.
    """
    collector = FeatureCollector(model)
    collector.add(mono)
    collector.finish()
    return collector.embedding()


def conditioning(mono: Samples, model: Model) -> Samples:
    """What the network would be given of a profile of that recording alone; see ``embed``."""
    collector = FeatureCollector(model)
    collector.add(mono)
    collector.finish()
    return of_any_band(collector.embedding(), collector.embedding(half_band=True))


class FeatureCollector:
    """Hears one voice, in a recording or as it is spoken, and says what there is to enroll.

    Samples are mono, at the rate of the model, in blocks of any size.
    """

    def __init__(self, model: Model):
        self.model = model
        self._enhancer = Enhancer(model)
        self._enhancer.observe(self._note)
        self._power: list[float] = []
        self._kept: list[float] = []
        self._in_speech_band: list[tuple[float, float]] = []
        self._embeddings: Samples = np.empty((_FIRST_ROOM, 2, model.contract.embedding_size), np.float32)
        self._samples = 0
        self._fault = ""

    @property
    def seconds(self) -> float:
        """How much was heard so far."""
        return self._samples / self.model.contract.sample_rate_hz

    @property
    def frame_seconds(self) -> float:
        """Length of a frame of ``speech`` and of the ranges below."""
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
        """Mean square of each hop of ``start``, with which the recording begins, and what is kept of it."""
        hops = start.size // self.model.contract.hop_samples
        return np.array(self._power[:hops]), np.array(self._kept[:hops])

    def embedding(
        self, frames: slice | NDArray[np.integer] = slice(None), half_band: bool = False
    ) -> Samples:
        """Mean over some frames or all, (embedding_size,) float32; ModelError for a damaged model.

        ``half_band``: as heard without the upper half of the band.
        """
        self._check_network()
        heard = self._embeddings[: len(self._power), int(half_band)][frames]
        return heard.mean(axis=0, dtype=np.float64).astype(np.float32)

    def speech(self) -> Speech:
        """Where somebody speaks, so far."""
        if not self._power:
            return Speech(np.zeros(0, bool), 0.0, 0.0, np.zeros(0))
        return find_speech(self._power, self._kept, self._in_speech_band)

    def voice(self) -> slice:
        """The frames from the first speech to the last, and a second on either side."""
        spoken = np.flatnonzero(self.speech().where)
        if not spoken.size:
            return slice(0, len(self._power))
        margin = round(_MARGIN_SECONDS / self.frame_seconds)
        return slice(max(0, int(spoken[0]) - margin), int(spoken[-1]) + 1 + margin)

    def report(self, clipped_share: float) -> EnrollmentReport:
        """What ``enroll`` thinks of it so far; ``clipped_share``: see the function of that name."""
        self._check_network()
        speech = self.speech()
        speech_seconds = float(speech.where.sum()) * self.frame_seconds
        level, snr = levels_db(speech)
        problems = _problems(self.seconds, speech_seconds, level, clipped_share, snr)
        return EnrollmentReport(self.seconds, speech_seconds, level, clipped_share, snr, tuple(problems))

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
        embeddings, space = self._embeddings[: len(self._power), 0], self.model.contract.voice_space
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

    def _note(self, features: FrameFeatures) -> None:
        frame = len(self._power)
        if frame == len(self._embeddings):
            self._embeddings = np.concatenate([self._embeddings, np.empty_like(self._embeddings)])
        self._embeddings[frame] = features.embedding, features.half_band
        self._power.append(features.power)
        self._kept.append(features.kept_power)
        self._in_speech_band.append(features.in_speech_band)


def _listen_to(
    audio: ArrayLike, sample_rate_hz: float, model: Model
) -> tuple[FeatureCollector, EnrollmentReport]:
    recording, rate = checked_recording(audio), checked_rate(sample_rate_hz)
    selection = choose(recording, rate)
    mono = at_rate(selection.of(recording), rate, model.contract.sample_rate_hz)
    collector = FeatureCollector(model)
    collector.add(mono)
    collector.finish()
    warn_of_pace(mono, model.contract.sample_rate_hz, rate, collector.frame_powers, stacklevel=4)
    # Clipping is looked for before resampling and mixing, which round off its edges.
    return collector, collector.report(clipped_share(recording[:, list(selection.channels)]))


@dataclass(frozen=True)
class Speech:
    """Where somebody speaks, and how loud that is."""

    where: NDArray[np.bool_]
    """Of each hop, (hops,)."""
    power: float
    """Mean square over these; 0 without any."""
    noise_power: float
    """The same of the pauses."""
    powers: NDArray[np.float64]
    """Of each hop, (hops,), without an offset and hum."""


def find_speech(
    powers: Sequence[float], kept_powers: Sequence[float], in_speech_band: Sequence[tuple[float, float]]
) -> Speech:
    """Tell speech from the rest by what the network keeps; of each hop, see ``enhancer.FrameFeatures``."""
    heard, left = without_hum(np.asarray(powers), np.asarray(kept_powers), np.asarray(in_speech_band))
    power, kept = _smoothed(heard), _smoothed(left)
    # Digital silence is what a device gives before it starts: it says nothing about the room.
    silence = 10 ** (_SILENCE_DBFS / 10)
    sounding = np.sort(power[power > silence])
    noise = sounding[: max(1, int(_PAUSES_SHARE * sounding.size))].mean() if sounding.size else silence
    faintest = max(_SPEECH_OVER_NOISE * noise, _SPEECH_RANGE * np.percentile(power, 95))
    where = (power > faintest) & (kept > _SPEECH_KEPT * power)
    return Speech(where, float(power[where].mean()) if where.any() else 0.0, float(noise), heard)


def levels_db(speech: Speech) -> tuple[float, float]:
    """Level of the speech in dBFS and how far it is above the noise, in dB; both -inf without speech."""
    if not speech.where.any():
        return -np.inf, -np.inf
    return float(10 * np.log10(speech.power)), float(10 * np.log10(speech.power / speech.noise_power - 1))


def _smoothed(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(frames, _SMOOTHED_FRAMES // 2, mode="edge")
    return np.convolve(padded, np.full(_SMOOTHED_FRAMES, 1 / _SMOOTHED_FRAMES), "valid")


def clipped_share(recording: NDArray[np.floating]) -> float:
    """Share of samples that, with the next one, stand at the peak of their channel; (samples, channels)."""
    if len(recording) < 2:
        return 0.0
    peak = np.abs(recording).max(axis=0)
    high = (recording >= _NEAR_PEAK * peak) & (peak > 0)
    low = (recording <= -_NEAR_PEAK * peak) & (peak > 0)
    flat = (high[1:] & high[:-1]) | (low[1:] & low[:-1])
    return float(flat.mean(axis=0).max())


def _problems(
    seconds: float, speech_seconds: float, level_dbfs: float, clipped_share: float, snr_db: float
) -> list[str]:
    problems = []
    if seconds < MIN_SECONDS:
        problems.append(f"It is only {seconds:.1f} s long: record at least {MIN_SECONDS:.0f} s, better ten.")
    elif speech_seconds < MIN_SPEECH_SECONDS:
        problems.append(
            f"Hardly any speech can be heard, {speech_seconds:.1f} s: keep talking close to the microphone "
            "for ten seconds."
        )
    if speech_seconds and level_dbfs < MIN_SPEECH_LEVEL_DBFS:
        problems.append(
            f"The voice is too quiet, {level_dbfs:.0f} dBFS: go closer or turn the microphone's gain up."
        )
    if clipped_share > MAX_CLIPPED_SHARE:
        problems.append(
            f"It is clipped for {clipped_share:.0%} of the time: turn the microphone's gain down."
        )
    if speech_seconds and snr_db < MIN_SNR_DB:
        problems.append(
            f"There is too much noise, the voice is only {snr_db:.0f} dB above it: go closer to the "
            "microphone or to a quieter place."
        )
    return problems
