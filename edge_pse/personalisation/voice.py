"""One voice: what is read of it, its profile, and the personal weights that come of both."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_pse.channels import choose
from edge_pse.enrollment import Verdict, embed, extract_with_speech, moments_of_speech, verify
from edge_pse.enrollment.verification import MATCH_COSINE
from edge_pse.errors import EdgePseWarning, EnrollmentError, ModelError, PersonalisationError, ProfileError
from edge_pse.model import DEFAULT_MODEL, MOST_THREADS, Model, available_models
from edge_pse.personalisation import learner
from edge_pse.personalisation.learner import LearningProgress, Learnt, Task
from edge_pse.profiles import PersonalWeights, Profile, Recording
from edge_pse.samples import at_rate, checked_rate, checked_recording
from edge_pse.spectral import Samples

DEFAULT_MINUTES, FEWEST_MINUTES, MOST_MINUTES = 10.0, 0.5, 240.0
LEAST_READING_S = 10.0
"""Of the reading, with its pauses: a part is held out, and clips that don't overlap must fit into the rest."""
LEAST_AGAINST_S, LEAST_SPEECH_AGAINST_S = 5.0, 4.0
"""Of each of the others, and of that without pauses, as the learner measures it."""
MOST_SECONDS = 600.0
"""Of the reading, and of each of the others; more would teach little."""
RATE_HZ = 16_000
"""Of all networks."""
_MARGIN_S = 1.0
"""Of each recording, before the first word and after the last: about what a profile takes."""
_COMPARED_S = 30.0
_FEWEST_LEFT = 0.1


@dataclass(frozen=True)
class Reading:
    """What somebody has read aloud."""

    recording: Recording
    """What a profile keeps of it."""
    pieces: tuple[Samples, ...]
    """The sound, (samples,) float32 each, mono, at the rate of the network."""

    @classmethod
    def of(cls, recordings: Sequence[ArrayLike], sample_rate_hz: float, model: Model) -> Reading:
        """Recordings of one voice, as one for its profile; errors of ``enroll``. ``model``: the profile network.

        What lies more than a second before the first word of each, or after the last, is left out: the end of a
        recording is what is held out of learning, and there must be a voice in it.
        """
        rate = checked_rate(sample_rate_hz)
        each = [checked_recording(recording)[: round(MOST_SECONDS * rate)] for recording in recordings]
        # A single one keeps its channels, in which clipping can be seen.
        whole = each[0] if len(each) == 1 else np.concatenate([_mono(one, rate) for one in each])[:, None]
        recording, spoken_s = extract_with_speech(whole[: round(MOST_SECONDS * rate)], rate, model)
        voices, begins_s = [], 0.0
        for one in each:
            ends_s = begins_s + len(one) / rate
            spoken = spoken_s[(spoken_s >= begins_s) & (spoken_s < ends_s)] - begins_s
            if spoken.size:
                voices.append(one[_voice(spoken, rate)])
            begins_s = ends_s
        return cls(recording, pieces_of(voices, rate, model, MOST_SECONDS))

    def __post_init__(self) -> None:
        seconds = sum(map(len, self.pieces)) / RATE_HZ
        if seconds < LEAST_READING_S:
            raise EnrollmentError(
                f"{int(seconds)} s of a voice are too little to learn from: record {LEAST_READING_S:.0f} s or more, "
                "better a minute."
            )


def pieces_of(
    recordings: Sequence[ArrayLike], sample_rate_hz: float, model: Model, most_seconds: float
) -> tuple[Samples, ...]:
    """Recordings of any channels as mono at the rate of the model, of all of them the first ``most_seconds``."""
    rate, left = checked_rate(sample_rate_hz), most_seconds
    pieces = []
    for recording in recordings:
        samples = checked_recording(recording)[: round(left * rate)]
        if len(samples):
            pieces.append(at_rate(_mono(samples, rate), rate, model.contract.sample_rate_hz))
            left -= len(samples) / rate
    return tuple(pieces)


def networks() -> list[str]:
    """Names of the networks that can learn a voice: those that are installed."""
    return sorted({path.name.partition(".")[0] for path in available_models()})


def others_of(recordings: Sequence[ArrayLike], sample_rate_hz: float, model: Model) -> tuple[Samples, ...]:
    """Those to leave out, (samples,) each, mono at the rate of ``model``, the profile network.

    What comes before the voice and after it is left out, as of the reading, but where too little is found of it, as in
    noise. EnrollmentError for what the learner would refuse: this is known before anybody has read anything.
    """
    rate = model.contract.sample_rate_hz
    others = []
    for number, recording in enumerate(recordings, start=1):
        whole = pieces_of([recording], sample_rate_hz, model, MOST_SECONDS)
        other = whole[0] if whole else np.zeros(0, np.float32)
        seconds = len(other) / rate
        if seconds < LEAST_AGAINST_S:
            raise EnrollmentError(
                f"Recording {number} of those to leave out is only {int(seconds)} s long: record "
                f"{LEAST_AGAINST_S:.0f} s or more."
            )
        spoken = moments_of_speech(other, model)
        voice = other[_voice(spoken, rate)] if spoken.size else other
        if _loud_seconds(voice, rate) >= LEAST_SPEECH_AGAINST_S:
            other = voice
        seconds = _loud_seconds(other, rate)
        if seconds < LEAST_SPEECH_AGAINST_S:
            raise EnrollmentError(
                f"Recording {number} of those to leave out has only {int(seconds)} s of speech: record "
                f"{LEAST_SPEECH_AGAINST_S:.0f} s or more."
            )
        others.append(other)
    return tuple(others)


def warn_of_likeness(against: Sequence[Samples], profile: Profile, model: Model) -> None:
    """An EdgePseWarning for each of those to leave out who may well be the voice of the profile itself.

    ``model``: the profile network.
    """
    for number, samples in enumerate(against, start=1):
        heard = embed(samples[: round(_COMPARED_S * model.contract.sample_rate_hz)], model)
        cosine = model.contract.voice_space.cosine(profile.embedding, heard)
        if cosine >= MATCH_COSINE:
            warnings.warn(
                f"Recording {number} of those to leave out sounds like the voice to keep (cosine {cosine:.2f}): if it "
                "is not another person with a similar voice, begin again without it.",
                EdgePseWarning,
                stacklevel=3,
            )


def check_voice(profile: Profile, recording: Recording, model: Model) -> Verdict:
    """Whether a reading is of the voice of a profile; EnrollmentError if it is clearly not.

    ``model``: the profile network.
    """
    profile.check_model(model.contract.profiles_of)
    verdict = verify(profile, recording, model.contract.voice_space)
    if verdict.answer == "no match":
        raise EnrollmentError(
            f"This does not sound like {profile.name or 'the profile'} (cosine {verdict.cosine:.2f}), so nothing was "
            "learnt: record again, or begin the profile anew with --replace."
        )
    return verdict


def learn_profile(
    profile: Profile,
    reading: Sequence[Samples],
    model: Model,
    minutes: float,
    against: Sequence[Samples] = (),
    threads: int | None = None,
    on_progress: Callable[[LearningProgress], None] | None = None,
    stop: Event | None = None,
    folder: Path | None = None,
) -> tuple[Profile, Learnt]:
    """The profile with what the network of ``model`` has learnt of it, or as it is if nothing was better.

    It goes on from ``profile.personal`` if that is of the same general weights. For the other arguments see
    ``personalise``, for ``folder`` and errors ``learner.learn``.
    """
    network = model.contract.network
    task = Task(
        network=network,
        conditioning=profile.conditioning,
        profile_id=profile.id,
        reading=reading,
        against=against,
        start=_start(profile, model),
        minutes=max(minutes, _FEWEST_LEFT),
        threads=threads or learner.usable_threads(),
    )
    learnt = learner.learn(task, on_progress, stop, folder)
    if not learnt.weights:
        return profile, learnt
    made = _made(learnt, profile, model)
    personal = made if profile.personal is None else profile.personal.merged(made)
    return replace(profile, personal=personal), learnt


def knows(profile: Profile, model: Model) -> bool:
    """Whether a profile has personal weights, of whatever state of it, that began with the weights of ``model``."""
    learnt = profile.personal.networks.get(model.contract.network) if profile.personal else None
    return learnt is not None and learnt.model_id == model.contract.model_id


def personalise(
    recordings: ArrayLike | Sequence[ArrayLike],
    sample_rate_hz: float,
    profile: Profile | None = None,
    name: str = "",
    model: str = DEFAULT_MODEL,
    minutes: float = DEFAULT_MINUTES,
    against: Sequence[ArrayLike] = (),
    threads: int | None = None,
    on_progress: Callable[[LearningProgress], None] | None = None,
    stop: Event | None = None,
) -> Profile:
    """The profile of a voice with personal weights: the network itself goes on learning that voice, for some minutes.

    ``recordings``: of the voice alone, an array or a sequence of arrays of floating-point samples, full scale -1 to 1,
    shape (samples,) or (samples, channels), at ``sample_rate_hz``; ten seconds or more in all, a minute is good, and of
    more than ten minutes the first ten are used. ``profile``: of that voice; it stays as it is, and if it has personal
    weights for this network, they go on learning. Without it one is made, as ``enroll`` does, with ``name``. ``model``:
    name of the network that learns. ``minutes``: from the call to its end, 0.5 to 240. ``against``: others to leave out
    above all, who share the room or the flat: a recording of five seconds or more of each. ``threads``: of the
    processor, 1 to 64; None for up to four. ``on_progress``: called every two seconds or so with a
    ``LearningProgress``. ``stop``: set by another thread, it ends the learning with the best so far.

    It is a process of its own that learns, at low priority, from a checkout with ``pip install '.[personal]'``; the
    recordings go to it through a pipe, never to a disk. What was learnt is compared with the general weights on a part
    of the recordings that is held out, and kept in ``Profile.personal`` if it is better and nowhere worse; if not, the
    profile comes back without it, and an EdgePseWarning says so. ``ProfileStore.save`` keeps both.

    Raises EnrollmentError for recordings that will not do or are of another voice than the profile,
    PersonalisationError where there is no learner or if it fails, and otherwise what ``enroll`` raises.
    """
    began = time.monotonic()
    if not FEWEST_MINUTES <= minutes <= MOST_MINUTES:
        raise PersonalisationError(
            f"The minutes of learning must be from {FEWEST_MINUTES} to {MOST_MINUTES:.0f}, not {minutes!r}."
        )
    if threads is not None and threads not in range(1, MOST_THREADS + 1):
        raise PersonalisationError(f"Learning takes 1 to {MOST_THREADS} threads, not {threads!r}.")
    folder = learner.find()
    loaded = load_network(model)
    profile_network = loaded.profile_network()
    others = others_of(against, sample_rate_hz, profile_network)
    reading = Reading.of(_several(recordings), sample_rate_hz, profile_network)
    if profile is None:
        profile = Profile(name, profile_network.contract.profiles_of, (reading.recording,))
    else:
        check_voice(profile, reading.recording, profile_network)
    warn_of_likeness(others, profile, profile_network)
    left = minutes - (time.monotonic() - began) / 60
    improved, learnt = learn_profile(
        profile, reading.pieces, loaded, left, others, threads, on_progress, stop, folder
    )
    if improved is profile:
        # They say that the general weights are kept.
        warnings.warn(" ".join(learnt.sentences), EdgePseWarning, stacklevel=2)
    return improved


def load_network(name: str) -> Model:
    """A network by its name alone; ModelError for any other."""
    if name not in networks():
        raise ModelError(
            f"There is no network {str(name)!r} that can learn a voice: choose one of {', '.join(networks())}."
        )
    return Model.load(name)


def _several(recordings: ArrayLike | Sequence[ArrayLike]) -> Sequence[ArrayLike]:
    if isinstance(recordings, np.ndarray):
        return [recordings]
    listed = list(recordings)  # type: ignore[arg-type]
    if not listed:
        raise EnrollmentError("There is no recording to learn from: give one of the voice.")
    return [np.asarray(listed)] if np.isscalar(listed[0]) else listed


def _voice(spoken_s: NDArray[np.floating], rate: float) -> slice:
    """Of a recording at that rate: the samples from the first word to the last, and some before and after."""
    return slice(max(0, round((spoken_s[0] - _MARGIN_S) * rate)), round((spoken_s[-1] + _MARGIN_S) * rate))


def _loud_seconds(mono: Samples, rate: int) -> float:
    """In which it is within 40 dB of its loudest 10 ms."""
    hop = rate // 100
    powers = np.square(mono[: len(mono) // hop * hop], dtype=np.float64).reshape(-1, hop).sum(axis=1)
    return float(np.count_nonzero(powers > 1e-4 * powers.max(initial=0.0))) * hop / rate


def _mono(recording: NDArray[Any], rate: float) -> Samples:
    return choose(recording, rate).of(recording)


def _start(profile: Profile, model: Model) -> bytes:
    """The personal weights to go on from; empty if there are none that began where ``model`` is."""
    if profile.personal is None or not knows(profile, model):
        return b""
    return profile.personal.of(model.contract.network).encode()


def _made(learnt: Learnt, profile: Profile, model: Model) -> PersonalWeights:
    try:
        made = PersonalWeights.decode(learnt.weights)
        of_what_was_asked = (
            made.profile_id == profile.id
            and set(made.networks) == {model.contract.network}
            and made.networks[model.contract.network].model_id == model.contract.model_id
        )
    except ProfileError:
        of_what_was_asked = False
    if not of_what_was_asked:
        raise PersonalisationError(
            "The learner made weights that don't fit what is installed here: install both from one checkout."
        )
    return made
