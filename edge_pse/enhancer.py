"""Samples in, enhanced samples out, in blocks of any size."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_pse.band import LowerHalf
from edge_pse.channels import choose, choose_in
from edge_pse.errors import AudioError, EdgePseWarning, ModelError, ThreadError
from edge_pse.kept_voices import KeptVoice, check_profile, combined, kept_voices
from edge_pse.levels import LevelRange, SpeechBand
from edge_pse.model import DEFAULT_MODEL, Model
from edge_pse.pace import SECONDS, FramePowers, warn_of_pace
from edge_pse.profiles import Profile
from edge_pse.samples import (
    as_float32,
    at_rate,
    checked_rate,
    checked_recording,
    checked_samples,
)
from edge_pse.speakers import Heard, SpeakerTracker
from edge_pse.spectral import RateChange, Samples, next_whole_hop_rate
from edge_pse.transforms import Rates, Transforms

_MOST_GAIN = 16.0
"""In power, 12 dB: what a network may give back over the loudest it was given just before. Of 50 pieces of speech,
noise, mixtures and test tones, with profiles and without, the shipped models exceed that by 2.2 dB at most."""
_FORGOTTEN = 0.9  # a hop, of the loudest: sound may come out some hops after it went in
_FAINT_POWER = 1e-8  # of full scale 1: what is below it is inaudible
_REPLAYED_HOPS = 100
"""What a network that is shown another level begins anew with. States of another level would take seconds to go: voices
at -60 dBFS would lose 3.4 dB on average instead of 0.6. More hops would be too long a pause on a slow board; with 50,
a voice that is raised late loses 8 dB."""
_LEAST_REST_HOPS = 10  # of a last second that is worth telling of
_BLOCK_HOPS = 32
"""How many are windowed, transformed and put together at once, where so many are there. One by one, it would take a
file a fifth longer (x86, pvqe-s); more at once gain nothing."""
_MOST_EMBEDDED = 100.0  # root mean square of a hop's embedding; of the shipped models no number is beyond 6


@dataclass(frozen=True)
class FrameFeatures:
    """What the network says of one hop of a stream without a profile: what enrollments are made of."""

    power: float
    """Mean square of the windowed samples."""
    kept_power: float
    """What is left of it without a profile, which keeps every voice and takes noise away."""
    embedding: Samples
    """Of this hop, (embedding_size,) float32; a profile is a mean of these."""
    half_band: Samples
    """The same of a stream without the upper half of the band, which is all that telephones carry."""
    in_speech_band: tuple[float, float]
    """``power`` and ``kept_power`` where neither an offset nor mains hum is."""

    def without_gain(self, gain: float) -> FrameFeatures:
        """Those of a stream that was raised by ``gain``, with the levels of before."""
        power, kept_power = (level / gain**2 for level in self.in_speech_band)
        return replace(
            self,
            power=self.power / gain**2,
            kept_power=self.kept_power / gain**2,
            in_speech_band=(power, kept_power),
        )


@dataclass(frozen=True)
class _Settings:
    """What may be changed while a stream runs, by any thread; a hop takes one of these as it begins."""

    voices: tuple[KeptVoice, ...]
    strength: float
    observer: Callable[[FrameFeatures], object] | None
    observes_half_band: bool
    on_heard: Callable[[Heard], object] | None
    among: tuple[Profile, ...] | None
    """Whom to name; None for those that are kept."""

    def named(self) -> tuple[Profile, ...]:
        """Those whom it might be that speaks."""
        if self.among is not None:
            return self.among
        return tuple(voice.profile for voice in self.voices if voice.profile is not None)


def _mono(samples: ArrayLike) -> Samples:
    samples = checked_samples(samples)
    if samples.ndim != 1:
        raise AudioError(f"Samples must be one channel (one-dimensional), not of shape {samples.shape}.")
    return as_float32(samples)


def _raised(mono: Samples, from_hz: float, to_hz: int) -> Samples:
    if from_hz == to_hz:
        return mono
    # Two samples more than the rounding of two changes of rate can lose.
    return at_rate(np.pad(mono, (0, ceil(2 * max(1, from_hz / to_hz)))), from_hz, to_hz)


class Enhancer:
    """One stream of audio through the network: removes noise and, with profiles, all voices but theirs.

    A model that takes a far end removes the echo of what the loudspeaker plays as well.

    ``model``: a loaded model, or the name or path of one (see ``Model.load``); share a loaded one between
    several streams. ``profile``: the voice to keep, or several, None to keep every voice. Each of them costs a step
    of the network a hop. Where the model's network has learnt a voice (``Profile.personal``), its step runs with what
    was learnt; ``Profile.general`` goes without. ``strength``: 0 (the input) to 1 (the network's output).

    The stream is mono. ``rate_hz``: of what it takes, from 8,000 to 192,000 with whole hops of 10 ms (any multiple of
    100); None for the model's. ``output_rate_hz`` and ``far_rate_hz``: of what it gives and of the far end, ``rate_hz``
    if not given. No rate is changed by a filter, and none costs delay. The network hears up to 8 kHz; what is above
    goes or stays with what is below (``edge_pse.upper_band``), or goes altogether with ``full_band=False``.

    ``profiles``, ``strength`` and the observer may be set by any thread, at any time; the stream takes them
    between two hops. The stream itself (``process``, ``flush``, ``reset``, ``enhance``) is for one thread at a
    time: a call into the middle of another one raises ThreadError and changes nothing.

    What the network gives back is checked: where it is no sound, a damaged model or an absurd profile, an
    EdgePseWarning says so once and the stream passes its input as it is, see ``fault``.

    Raises ModelError for a model that can't be used, ProfileError for a profile of another model and AudioError for a
    rate that can't be used.
    """

    def __init__(
        self,
        model: Model | str | Path = DEFAULT_MODEL,
        profile: Profile | Sequence[Profile] | None = None,
        strength: float = 1.0,
        rate_hz: int | None = None,
        *,
        output_rate_hz: int | None = None,
        far_rate_hz: int | None = None,
        full_band: bool = True,
    ):
        self.model = Model.of(model)
        contract = self.model.contract
        self._full_band = full_band
        rates = Rates.of(contract, rate_hz, output_rate_hz, far_rate_hz)
        self._transforms = Transforms(contract, rates, full_band)
        self._half = LowerHalf(contract.bins, contract.first_bin)
        self._step = self.model.backend.step
        # Parseval: the bins hold half the energy of the windowed samples; the window's squares sum to one hop.
        self._power_scale = 2 / (contract.window_samples * contract.hop_samples)
        spacing_hz = contract.sample_rate_hz / contract.window_samples
        self._speech = SpeechBand(contract.bins, contract.first_bin, spacing_hz, self._power_scale)
        self._no_profile = np.zeros((1, contract.profile_size), np.float32)
        self._recent: deque[tuple[Samples, Samples | None]] = deque(maxlen=_REPLAYED_HOPS)
        self._pending: Samples
        self._pending_far: Samples
        self._samples_in: int
        self._samples_out: int
        self._samples_far: int
        self._working, self._changing = threading.Lock(), threading.Lock()
        self._settings = _Settings((), 1.0, None, True, None, None)
        hop_seconds = contract.hop_samples / contract.sample_rate_hz
        self._speakers = SpeakerTracker(contract.voice_space, contract.embedding_size, hop_seconds)
        self._voices: tuple[KeptVoice, ...] = ()
        self._faulty: tuple[KeptVoice, ...] = ()
        self.profiles = profile
        self.strength = strength
        self.reset()

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the samples taken."""
        return self._transforms.rates.taken_hz

    @property
    def output_rate_hz(self) -> int:
        """Rate of the samples given."""
        return self._transforms.rates.given_hz

    @property
    def far_rate_hz(self) -> int:
        """Rate of the far end."""
        return self._transforms.rates.far_hz

    @property
    def hop_samples(self) -> int:
        """How many of the samples taken make one step of the network."""
        return self._transforms.hop_samples

    @property
    def output_hop_samples(self) -> int:
        """How many samples one step gives."""
        return self._transforms.output_hop_samples

    @property
    def far_hop_samples(self) -> int:
        """How many samples of the far end make one step."""
        return self._transforms.far_hop_samples

    @property
    def delay_samples(self) -> int:
        """How many of its samples the output stream lags the input stream."""
        contract = self.model.contract
        return contract.delay_samples * self.output_hop_samples // contract.hop_samples

    @property
    def latency_ms(self) -> float:
        """The delay and the hop that must be gathered before it can be run, in milliseconds; the same at any rate."""
        return self.model.contract.latency_ms

    def set_rates(
        self, rate_hz: int | None = None, output_rate_hz: int | None = None, far_rate_hz: int | None = None
    ) -> None:
        """Begin a new stream at other rates, which mean what they mean when an Enhancer is made.

        Profiles, strength and observer stay. Raises AudioError for a rate that can't be used; nothing is changed then.
        """
        rates = Rates.of(self.model.contract, rate_hz, output_rate_hz, far_rate_hz)
        with self._alone():
            self._transforms = Transforms(self.model.contract, rates, self._full_band)
            self._reset()

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """The voices to keep, in the order in which they were given; empty where every voice is kept.

        One profile, several or None may be set, and act from the next hop. What the network knows of a voice that stays
        is kept. Whoever sets a profile with personal weights opens the model with them, which takes some ten
        milliseconds; the stream does not wait for that. An EdgePseWarning tells of weights that no longer fit the
        profile or the model, whose own ones run then. ProfileError if one of them is of another model: nothing is
        changed then.
        """
        return tuple(voice.profile for voice in self._settings.voices if voice.profile is not None)

    @profiles.setter
    def profiles(self, profiles: Profile | Sequence[Profile] | None) -> None:
        if profiles is None or isinstance(profiles, Profile):
            profiles = () if profiles is None else (profiles,)
        self._change(voices=kept_voices(self.model, tuple(profiles)))

    @property
    def personal(self) -> tuple[Profile, ...]:
        """Those of the profiles for which the network runs with weights that have learnt the voice."""
        kept = self._settings.voices
        return tuple(
            voice.profile for voice in kept if voice.profile is not None and voice.personal is not None
        )

    @property
    def strength(self) -> float:
        """0 (the input, delayed) to 1 (the network's output), mixed sample by sample.

        A new value is reached in the course of the next hop, without a step in the sound. ValueError outside
        0 to 1.
        """
        return self._settings.strength

    @strength.setter
    def strength(self, strength: float) -> None:
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, not {strength}")
        self._change(strength=float(strength))

    def observe(self, observer: Callable[[FrameFeatures], object] | None, half_band: bool = True) -> None:
        """Have ``observer`` called in each hop, from the next one on, with the features of that hop; None ends it.

        It is called by the thread that runs the stream, which waits for it. That costs a second step of the
        network, with half of the band, and while a profile is set another one, without it. What the observer
        raises ends the call that runs the stream, whose output is lost: ``reset`` then. Without ``half_band`` the
        second step is spared, and ``FrameFeatures.half_band`` is the embedding of the whole band.
        """
        self._change(observer=observer, observes_half_band=half_band)

    def identify(
        self, on_heard: Callable[[Heard], object] | None, among: Sequence[Profile] | None = None
    ) -> None:
        """Have ``on_heard`` called for each second of the stream, and for the rest at its end; None ends it.

        It says which of the profiles the voice is nearest to and how sure that is, a guess that keeps nobody out:
        ``edge_pse.speakers.ERRORS`` says how often it is wrong. ``among``: whom to name, None for those that are kept.
        A turn or a command of several seconds is judged better as a whole, by ``edge_pse.speakers.together``. The
        thread that runs the stream calls, and waits. While profiles are set that costs a step of the network a hop.

        Raises ModelError for a model that makes no profiles and ProfileError for profiles of another model.
        """
        contract = self.model.contract
        if on_heard is not None and not contract.makes_profiles:
            raise ModelError(
                f"{contract.network} can't tell who speaks: take {contract.profile_network_name}, "
                "which makes its profiles."
            )
        named = None if among is None else tuple(among)
        for profile in named or ():
            check_profile(self.model, profile)
        self._change(on_heard=on_heard, among=named)

    def past_network(self) -> RateChange:
        """A stream of its own between the same rates, with the same band and delay, that no network changes.

        For whoever goes past the network for a while, without its cost.
        """
        return self._transforms.past_network()

    @property
    def fault(self) -> str:
        """Why the sound passes as it is, a sentence; empty while all is well.

        That lasts until ``reset``, or until other profiles are set: the network then begins anew.
        """
        return self._fault

    def process(self, samples: ArrayLike, far_end: ArrayLike | None = None) -> Samples:
        """The next samples of the stream, as many as there are -> the output that they complete, whole hops.

        ``samples``: one-dimensional, floating-point, full scale -1 to 1. ``far_end``: what the loudspeaker
        was given meanwhile, alike, as long in time and by the same clock; its echo may come up to half a second
        later, but not before it. None is silence. Returns float32. What comes out in the long run does not
        depend on the size of the blocks. Raises AudioError for samples that can't be used and ModelError for a far end
        that the model does not take; the stream is then as it was before the call.
        """
        with self._alone():
            near = _mono(samples)
            return self._process(near, self._checked_far_end(near, far_end))

    def _process(self, near: Samples, far: Samples | None) -> Samples:
        transforms = self._transforms
        self._samples_in += near.size
        if self.model.contract.far_end:
            far = np.concatenate([self._pending_far, self._silence_of_far_end() if far is None else far])
        near = np.concatenate([self._pending, near])
        hops = near.size // transforms.hop_samples
        out = np.empty((hops, transforms.output_hop_samples), np.float32)
        near_end, far_end = hops * transforms.hop_samples, hops * transforms.far_hop_samples
        for start in range(0, hops, _BLOCK_HOPS):
            block = slice(start, min(start + _BLOCK_HOPS, hops))
            self._process_hops(
                near[:near_end].reshape(hops, -1)[block],
                None if far is None else far[:far_end].reshape(hops, -1)[block],
                out[block],
            )
        self._pending = near[near_end:].copy()
        if far is not None:
            self._pending_far = far[far_end:].copy()
        self._samples_out += out.size
        return out.ravel()

    def flush(self) -> Samples:
        """The rest of the stream, then ``reset``: in all, as long as what went in, and the delay."""
        with self._alone():
            return self._flush()

    def _flush(self) -> Samples:
        rates, hop_samples = self._transforms.rates, self._transforms.hop_samples
        in_all = round(self._samples_in * rates.given_hz / rates.taken_hz) + self.delay_samples
        missing = in_all - self._samples_out
        silence = np.zeros(-self._pending.size % hop_samples + hop_samples, np.float32)
        rest = self._process(silence, None)[:missing]
        now = self._settings
        if now.on_heard is not None and self._speakers.hops_begun > _LEAST_REST_HOPS:
            now.on_heard(self._speakers.rest(now.named()))
        self._reset()
        return rest

    def reset(self) -> None:
        """Begin a new stream, with the same profiles and strength."""
        with self._alone():
            self._reset()

    def _reset(self) -> None:
        self._transforms.reset()
        self._begin_network()
        self._speakers.reset()
        self._level = LevelRange()
        self._recent.clear()
        self._pending = self._pending_far = np.empty(0, np.float32)
        self._samples_in = self._samples_out = self._samples_far = 0
        self._strength_before: float | None = None

    def enhance(self, samples: ArrayLike, sample_rate_hz: float, far_end: ArrayLike | None = None) -> Samples:
        """A whole recording -> one enhanced channel, as long, at the same rate, aligned with it.

        ``samples``: floating-point, full scale -1 to 1, shape (samples,) or (samples, channels), at
        ``sample_rate_hz``; several channels become one. ``far_end``: see ``process``; alike, of
        the same rate and as long, with channels of its own. Returns (samples,) float32. Begins and ends with
        ``reset``; the rates of the stream, which may be others, come back then.

        An EdgePseWarning tells of what sounds like speech of another rate. Raises AudioError for samples or a
        rate that can't be used and ModelError for a far end that the model does not take.
        """
        rate, model_rate = checked_rate(sample_rate_hz), self.model.contract.sample_rate_hz
        stream_rate = int(rate) if rate == model_rate else next_whole_hop_rate(rate)
        rates = Rates(stream_rate, stream_rate, stream_rate)
        recording = checked_recording(samples)
        near = choose(recording, rate).of(recording)
        far = None
        if far_end is not None:
            played = checked_recording(far_end)
            far = choose_in([played], played.shape[1], rate, far_end=True).of(played)
            self._check_far_end(near, far, rates)
        start = at_rate(near[: ceil(SECONDS * rate)], rate, model_rate)
        warn_of_pace(start, model_rate, rate, frame_powers_of(self.model))
        with self._alone():
            before = self._transforms
            self._transforms = Transforms(self.model.contract, rates, self._full_band)
            try:
                self._reset()
                out = self._process(
                    _raised(near, rate, stream_rate), None if far is None else _raised(far, rate, stream_rate)
                )
                aligned = np.concatenate([out, self._flush()])[self.delay_samples :]
            finally:
                self._transforms = before
                self._reset()
        return at_rate(aligned, stream_rate, rate)[: near.size]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While one thread is in here, ThreadError for everybody else."""
        if not self._working.acquire(blocking=False):
            raise ThreadError(
                "This stream is in the middle of another call: give each thread an Enhancer of its own, or let "
                "one thread run the stream."
            )
        try:
            yield
        finally:
            self._working.release()

    def _change(self, **changed: Any) -> None:
        with self._changing:
            self._settings = replace(self._settings, **changed)

    def _checked_far_end(self, near: Samples, far_end: ArrayLike | None) -> Samples | None:
        if far_end is None:
            return None
        far, rates = _mono(far_end), self._transforms.rates
        self._check_far_end(near, far, rates)
        self._samples_far += far.size
        return far

    def _silence_of_far_end(self) -> Samples:
        """As much as the stream has got longer, rounded up."""
        rates = self._transforms.rates
        missing = ceil(self._samples_in * rates.far_hz / rates.taken_hz) - self._samples_far
        self._samples_far += max(0, missing)
        return np.zeros(max(0, missing), np.float32)

    def _check_far_end(self, near: Samples, far: Samples, rates: Rates) -> None:
        if not self.model.contract.far_end:
            raise ModelError(
                f"The model {self.model.path.name} cancels no echo: give it no far end, or take a model that does."
            )
        if far.size * rates.taken_hz != near.size * rates.far_hz:
            raise AudioError(
                f"The far end has {far.size} samples and the microphone {near.size}: give as many of both, as far as "
                "they have one rate, and as much time in any case."
            )

    def _begin_network(self) -> None:
        self._states = [self.model.contract.initial_states() for _ in self._voices]
        self._no_profile_states = self.model.contract.initial_states()
        self._half_band_states = self.model.contract.initial_states()
        self._loudest = 0.0
        self._fault = ""

    def _process_hops(self, near: Samples, far: Samples | None, out: Samples) -> None:
        """Some hops of the stream, of the far end if the model takes one, and of the output, (hops, samples) each."""
        transforms = self._transforms
        spectra = transforms.analyse(near)
        fars = repeat(None) if far is None else transforms.analyse_far(far)
        enhanced, strengths = np.empty_like(spectra), []
        powers = self._speech.power(spectra).tolist()
        for hop, (spectrum, far_spectrum, power) in enumerate(zip(spectra, fars, powers, strict=False)):
            enhanced[hop], strength = self._step_hop(spectrum, far_spectrum, power)
            strengths.append(strength)
        transforms.synthesise(spectra, enhanced, out)
        # What is synthesised of the input is the input but for an offset, and the strength fades that in.
        for hop, strength in enumerate(strengths):
            if strength != 1 or self._strength_before != 1:
                self._mix(out[hop], transforms.dry[hop], strength)

    def _step_hop(self, spectrum: Samples, far: Samples | None, power: float) -> tuple[Samples, float]:
        """The enhanced spectrum of one hop, the input's own where there is a fault, and how much of it is taken.

        ``power``: what of it is in the band of speech.
        """
        now = self._settings
        if self._fault and now.voices is not self._faulty:
            self._begin_network()
        if now.voices is not self._voices:
            self._take(now.voices)
        features = None
        enhanced = spectrum
        if not self._fault:
            enhanced, features = self._in_range(spectrum, far, power, now)
        if features is not None:
            self._tell(features, now)
        return enhanced, 0.0 if self._fault else now.strength

    def _tell(self, features: FrameFeatures, now: _Settings) -> None:
        """To whoever wants to know of a hop."""
        if now.on_heard is not None:
            heard = self._speakers.add(features.embedding, *features.in_speech_band, now.named())
            if heard is not None:
                now.on_heard(heard)
        if now.observer is not None:
            now.observer(features)

    def _take(self, voices: tuple[KeptVoice, ...]) -> None:
        """Keep these from here on. The sound is cross-faded by the windows, which overlap by a hop."""
        before = list(zip(self._voices, self._states, strict=True))
        self._voices, self._states = voices, [self._states_of(voice, before) for voice in voices]

    def _states_of(self, voice: KeptVoice, before: list[tuple[KeptVoice, list[Samples]]]) -> list[Samples]:
        """Those to go on from, of what was there ``before``.

        What the network holds of the sound so far is about another voice to keep than a new one: with it, the new one
        would stay suppressed for a quarter of a minute.
        """
        for known, states in before:
            if voice.sounds_like(known):
                # What weights hold of the sound so far, those that have learnt from them understand. They are arrays of
                # the runtime's own, for the weights that made them.
                return states if voice.personal is known.personal else [state.copy() for state in states]
        return self.model.contract.initial_states()

    def _in_range(
        self, spectrum: Samples, far: Samples | None, power: float, now: _Settings
    ) -> tuple[Samples, FrameFeatures | None]:
        """Through the network, shown at a level that it was trained with."""
        changed = self._level.changes(power)
        gain = self._level.gain
        if changed:
            self._begin_network()
            for before, far_before in self._recent:
                if not self._fault:
                    self._through_network(np.float32(gain) * before, far_before, now)
        self._recent.append((spectrum.copy(), None if far is None else far.copy()))
        if self._fault:
            return spectrum, None
        if gain == 1:
            return self._through_network(spectrum, far, now)
        enhanced, features = self._through_network(np.float32(gain) * spectrum, far, now)
        return enhanced / np.float32(gain), None if features is None else features.without_gain(gain)

    def _through_network(
        self, spectrum: Samples, far: Samples | None, now: _Settings
    ) -> tuple[Samples, FrameFeatures | None]:
        """The enhanced spectrum, the input's own if that is no sound; and the features, if there is an observer."""
        power = self._power(spectrum)
        given = power if far is None else power + self._power(far)
        self._loudest = max(given, _FORGOTTEN * self._loudest)
        most = _MOST_GAIN * self._loudest + _FAINT_POWER
        each: list[Samples] = []
        noise = self._transforms.comfort_noise
        # What is said of a stream without a profile, and becomes one, is said of the stream alone.
        shown = spectrum if self._voices[0].profile is None else noise.filled(spectrum)
        for number, voice in enumerate(self._voices):
            step = self._step if voice.personal is None else voice.personal.backend.step
            kept, embedding, self._states[number] = step(shown, voice.embedding, self._states[number], far)
            kept = noise.emptied(kept)
            kept_power = self._power(kept)
            if not kept_power <= most:  # as of NaN
                self._go_wrong(voice)
                return spectrum, None
            each.append(kept)
        enhanced = combined(each)
        if now.observer is None and now.on_heard is None:
            return enhanced, None
        if self._voices[0].profile is not None:
            kept, embedding, self._no_profile_states = self._step(
                spectrum, self._no_profile, self._no_profile_states, far
            )
            kept_power = self._power(kept)
        half_band = embedding  # which nobody sees without an observer, or wants
        if now.observer is not None and now.observes_half_band:
            _, half_band, self._half_band_states = self._step(
                self._half.of(spectrum), self._no_profile, self._half_band_states, far
            )
        embeddings = np.concatenate([embedding, half_band])
        if not (
            kept_power <= most and np.vdot(embeddings, embeddings) <= embeddings.size * _MOST_EMBEDDED**2
        ):
            self._go_wrong(self._voices[0])
            return spectrum, None
        in_speech_band = self._speech.power(spectrum).item(), self._speech.power(kept).item()
        return enhanced, FrameFeatures(power, kept_power, embeddings[0], embeddings[1], in_speech_band)

    def _power(self, spectrum: Samples) -> float:
        """Mean square of the windowed samples."""
        return self._power_scale * float(np.vdot(spectrum, spectrum))

    def _go_wrong(self, voice: KeptVoice) -> None:
        whose = "" if voice.profile is None else f" with profile {voice.profile.name!r}"
        advice = "choose another model or install edge-pse anew"
        if voice.profile is not None:
            again = (
                "enroll that voice again" if voice.personal is None else "learn its personal weights again"
            )
            advice = f"{again}; if that does not help, {advice}"
        what = f"What {self.model.path.name} gives back{whose} is no sound"
        self._fault = f"{what}, so the input passes as it is: {advice}."
        self._faulty = self._voices
        # For whoever called process or enhance.
        warnings.warn(self._fault, EdgePseWarning, stacklevel=8)

    def _mix(self, out: Samples, dry: Samples, strength: float) -> None:
        """Bring the input, ``dry``, back into ``out``, a hop of both, as far as the strength says."""
        before, self._strength_before = self._strength_before, strength
        if before is not None and before != strength:
            out[:] = dry + (before + (strength - before) * self._transforms.rising) * (out - dry)
        elif strength == 0:
            out[:] = dry
        elif strength < 1:
            out -= dry
            out *= np.float32(strength)
            out += dry


def frame_powers_of(model: Model) -> FramePowers:
    """Gives, of a recording, the power of each frame and what the network keeps of it without a profile."""

    def frame_powers(mono: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        frames: list[FrameFeatures] = []
        stream = Enhancer(model)
        stream.observe(frames.append)
        stream.process(mono)
        return np.array([frame.power for frame in frames]), np.array([frame.kept_power for frame in frames])

    return frame_powers
