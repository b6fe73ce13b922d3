"""A whole recording of one voice to its profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_pse.band import of_any_band
from edge_pse.channels import choose
from edge_pse.enrollment.features import FeatureCollector
from edge_pse.enrollment.quality import EnrollmentReport, clipped_share
from edge_pse.model import DEFAULT_MODEL, Model
from edge_pse.pace import SECONDS, warn_of_pace
from edge_pse.profiles import Profile, Recording
from edge_pse.samples import at_rate, checked_rate, checked_recording
from edge_pse.spectral import Samples, next_whole_hop_rate


def enroll(
    audio: ArrayLike,
    sample_rate_hz: float,
    model: Model | str | Path = DEFAULT_MODEL,
    name: str = "",
    microphone: str = "",
) -> Profile:
    """The profile of the voice in a recording.

    ``audio``: floating-point samples, full scale -1 to 1, shape (samples,) or (samples, channels), at
    ``sample_rate_hz``; several channels become one. Ten seconds of one voice alone are plenty.
    ``microphone``: what it was recorded with, to be shown. The profile is the mean of the network's embedding
    over all frames, run without a profile (arXiv 2406.09928, "internal embedding"), but for what lies more
    than a second before the first word or after the last; and the same with only half of the band, which is
    all that telephones carry.

    An EdgePseWarning tells of what sounds like speech of another rate. Raises AudioError for samples or a rate
    that can't be used, ModelError for a damaged model and EnrollmentError, with all that is wrong, for a
    recording that would not make a good profile.
    """
    profile_network = Model.of(model).profile_network()
    collector, report = _collect(audio, sample_rate_hz, profile_network)
    return Profile(name, profile_network.contract.profiles_of, (collector.recording(report, microphone),))


def extract_recording(
    audio: ArrayLike, sample_rate_hz: float, model: Model, microphone: str = ""
) -> Recording:
    """What a profile keeps of a recording, to be added to one or compared with one; arguments and errors of ``enroll``.

    ``model``: the profile network.
    """
    collector, report = _collect(audio, sample_rate_hz, model)
    return collector.recording(report, microphone)


def extract_with_speech(
    audio: ArrayLike, sample_rate_hz: float, model: Model
) -> tuple[Recording, NDArray[np.floating]]:
    """The same, and the moments at which somebody speaks: of each hop with speech when it begins, (hops,) seconds."""
    collector, report = _collect(audio, sample_rate_hz, model)
    return collector.recording(report), _moments(collector)


def moments_of_speech(mono: Samples, model: Model) -> NDArray[np.floating]:
    """The same moments alone, whatever ``enroll`` would say of the recording; see ``embed``."""
    return _moments(_run(mono, model.contract.sample_rate_hz, model, half_band=False))


def assess(
    audio: ArrayLike, sample_rate_hz: float, model: Model | str | Path = DEFAULT_MODEL
) -> EnrollmentReport:
    """What ``enroll`` would think of a recording; the same arguments and errors, but for EnrollmentError."""
    return _collect(audio, sample_rate_hz, Model.of(model).profile_network())[1]


def embed(mono: Samples, model: Model) -> Samples:
    """The embedding of a recording, (embedding_size,) float32, whatever ``enroll`` would say of its quality.

    ``mono``: (samples,) float32 at the model's rate.
    """
    return _run(mono, model.contract.sample_rate_hz, model, half_band=False).embedding()


def conditioning(mono: Samples, model: Model) -> Samples:
    """What the network would be given of a profile of that recording alone; see ``embed``."""
    collector = _run(mono, model.contract.sample_rate_hz, model)
    return of_any_band(collector.embedding(), collector.embedding(half_band=True))


def _collect(
    audio: ArrayLike, sample_rate_hz: float, model: Model
) -> tuple[FeatureCollector, EnrollmentReport]:
    recording, rate = checked_recording(audio), checked_rate(sample_rate_hz)
    selection = choose(recording, rate)
    mono = selection.of(recording)
    collector = _run(mono, rate, model)
    start = at_rate(mono[: round(SECONDS * rate)], rate, model.contract.sample_rate_hz)
    # For whoever called enroll, extract_recording or assess.
    warn_of_pace(start, model.contract.sample_rate_hz, rate, collector.frame_powers, stacklevel=4)
    # Clipping is looked for before mixing, which rounds off its edges.
    return collector, collector.report(clipped_share(recording[:, list(selection.channels)]))


def _moments(collector: FeatureCollector) -> NDArray[np.floating]:
    return np.flatnonzero(collector.speech().where) * collector.frame_seconds


def _run(mono: Samples, rate: float, model: Model, half_band: bool = True) -> FeatureCollector:
    whole_hop_rate = next_whole_hop_rate(rate)
    collector = FeatureCollector(model, whole_hop_rate, half_band)
    collector.add(at_rate(mono, rate, whole_hop_rate))
    collector.finish()
    return collector
