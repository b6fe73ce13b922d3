"""Samples in, enhanced samples out, in blocks of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_pse.bundle import DEFAULT_MODEL, Bundle
from edge_pse.errors import AudioError, BundleError, ProfileError
from edge_pse.profiles import Profile
from edge_pse.spectral import Analysis, Samples, Synthesis

PEAK_LIMIT = 100.0
"""Loudest sample taken, 40 dB over full scale: beyond it are integers that nobody scaled, not loud sounds."""


def checked_samples(samples: ArrayLike) -> NDArray[Any]:
    """The samples as a floating-point array; AudioError if they are integers, not finite or not scaled.

    Whatever gets past here can't overflow in the network, whose states would keep a NaN for ever.
    """
    samples = np.asarray(samples)
    if samples.dtype.kind != "f":
        raise AudioError(
            f"Samples must be floating-point numbers from -1 to 1, not {samples.dtype}: "
            "divide integers by their full scale first (32768 for 16 bits)."
        )
    if not samples.size:
        return samples
    peak = max(samples.max(), -samples.min())
    if not np.isfinite(peak):  # a NaN anywhere makes max and min NaN
        raise AudioError("The samples hold NaN or infinite values: mend the recording or its source.")
    if peak > PEAK_LIMIT:
        raise AudioError(f"Samples reach {peak:.0f}, but full scale is 1: divide by their full scale first.")
    return samples


@dataclass(frozen=True)
class Heard:
    """One hop of a stream as the network hears it without a profile: what enrollments are made of."""

    power: float
    """Mean square of the windowed samples."""
    kept: float
    """What is left of it without a profile, which keeps every voice and takes noise away."""
    embedding: Samples
    """Of this hop, (embedding_size,) float32; a profile is a mean of these."""


def _one_channel(samples: ArrayLike) -> Samples:
    samples = checked_samples(samples)
    if samples.ndim != 1:
        raise AudioError(f"Samples must be one channel (one-dimensional), not of shape {samples.shape}.")
    return samples.astype(np.float32, copy=False)


class Enhancer:
    """One stream of audio through the network: removes noise and, with a profile, all voices but that one.

    A model that takes a far end removes the echo of what the loudspeaker plays as well.

    ``bundle``: a loaded model, or the name or path of one (see ``Bundle.load``); share a loaded one between
    several streams. ``profile``: the voice to keep, None to keep every voice. ``strength``: 0 (the input) to
    1 (the network's output). The stream is mono, at ``sample_rate_hz``. Not to be used by two threads at
    once.

    Raises BundleError for a model that can't be used and ProfileError for a profile of another model.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path = DEFAULT_MODEL,
        profile: Profile | None = None,
        strength: float = 1.0,
    ):
        self.bundle = Bundle.of(bundle)
        contract = self.bundle.contract
        self._hop = contract.hop_samples
        self._analysis = Analysis(contract.window_samples, contract.first_bin)
        self._far_analysis = Analysis(contract.window_samples, contract.first_bin)
        self._synthesis = Synthesis(contract.window_samples, contract.first_bin)
        self._step = self.bundle.backend.step
        self._rising = np.arange(1, self._hop + 1, dtype=np.float32) / np.float32(self._hop)
        # Parseval: the bins hold half the energy of the windowed samples; the window's squares sum to one hop.
        self._power_scale = 2 / (contract.window_samples * self._hop)
        self._nobody = np.zeros((1, contract.profile_size), np.float32)
        self.on_heard: Callable[[Heard], None] | None = None
        """Called in each hop; while a profile is set, listening without one costs a second step of the network."""
        self._nothing: Samples = np.empty((1 + contract.far_end, 0), np.float32)
        self._pending = self._nothing
        self.profile = profile
        self.strength = strength
        self.reset()

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the samples taken and given."""
        return self.bundle.contract.sample_rate_hz

    @property
    def delay_samples(self) -> int:
        """How many samples the output stream lags the input stream."""
        return self.bundle.contract.delay_samples

    @property
    def latency_ms(self) -> float:
        """The delay and the hop that must be gathered before it can be run, in milliseconds."""
        return self.bundle.contract.latency_ms

    @property
    def profile(self) -> Profile | None:
        """The voice to keep; a new one acts from the next hop. ProfileError if it is of another model."""
        return self._profile

    @profile.setter
    def profile(self, profile: Profile | None) -> None:
        contract = self.bundle.contract
        embedding = np.zeros((1, contract.profile_size), np.float32)
        if profile is not None:
            if profile.model_id != contract.profiles_of or profile.embedding.size != contract.profile_size:
                raise ProfileError(
                    f"Profile {profile.name!r} was made with model {profile.model_id}, not with "
                    f"{contract.profiles_of}: enroll the voice again with this model, or choose the other one."
                )
            embedding[0] = profile.embedding
        self._profile, self._embedding = profile, embedding

    @property
    def strength(self) -> float:
        """0 (the input, delayed) to 1 (the network's output), mixed sample by sample.

        A new value is reached in the course of the next hop, without a step in the sound. ValueError outside
        0 to 1.
        """
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, not {strength}")
        self._strength = float(strength)

    def process(self, samples: ArrayLike, far_end: ArrayLike | None = None) -> Samples:
        """The next samples of the stream, as many as there are -> the output that they complete, whole hops.

        ``samples``: one-dimensional, floating-point, full scale -1 to 1. ``far_end``: what the loudspeaker
        was given meanwhile, alike, as long and by the same clock; its echo may come up to a second later, but
        not before it. None is silence. Returns float32. What comes out in the long run does not depend on the
        size of the blocks. Raises AudioError for samples that can't be used and BundleError for a far end
        that the model does not take; the stream is then as it was before the call.
        """
        stream = np.concatenate([self._pending, self._checked_inputs(samples, far_end)], axis=1)
        self._samples_in += stream.shape[1] - self._pending.shape[1]
        whole = stream.shape[1] - stream.shape[1] % self._hop
        out = np.empty(whole, np.float32)
        for start in range(0, whole, self._hop):
            hop = slice(start, start + self._hop)
            self._process_hop(stream[:, hop], out[hop])
        self._pending = stream[:, whole:].copy()
        self._samples_out += whole
        return out

    def flush(self) -> Samples:
        """The rest of the stream, then ``reset``: in all, as many samples as went in, and the delay."""
        missing = self._samples_in + self.delay_samples - self._samples_out
        silence = np.zeros(-self._pending.shape[1] % self._hop + self.delay_samples, np.float32)
        rest = self.process(silence)[:missing]
        self.reset()
        return rest

    def reset(self) -> None:
        """Begin a new stream, with the same profile and strength."""
        self._analysis.reset()
        self._far_analysis.reset()
        self._synthesis.reset()
        self._states = self.bundle.contract.initial_states()
        self._listening = self.bundle.contract.initial_states()
        self._pending = self._nothing
        self._samples_in = self._samples_out = 0
        self._strength_before: float | None = None

    def enhance(self, samples: ArrayLike, far_end: ArrayLike | None = None) -> Samples:
        """A whole recording -> as many samples, aligned with the input. Begins and ends with ``reset``.

        ``samples`` and ``far_end``: see ``process``.
        """
        self.reset()
        out = np.concatenate([self.process(samples, far_end), self.flush()])
        return out[self.delay_samples :]

    def _checked_inputs(self, samples: ArrayLike, far_end: ArrayLike | None) -> Samples:
        """The microphone and, where the model takes one, the far end: (1 or 2, samples) float32."""
        near = _one_channel(samples)
        if not self.bundle.contract.far_end:
            if far_end is not None:
                raise BundleError(
                    f"The model {self.bundle.path.name} cancels no echo: give it no far end, or take a model "
                    "that does."
                )
            return near[None]
        far = np.zeros_like(near) if far_end is None else _one_channel(far_end)
        if far.size != near.size:
            raise AudioError(
                f"The far end has {far.size} samples and the microphone {near.size}: give as many of both."
            )
        return np.stack([near, far])

    def _process_hop(self, hop: Samples, out: Samples) -> None:
        """``hop``: (1 or 2, samples), see ``_checked_inputs``."""
        spectrum = self._analysis(hop[0])
        far = self._far_analysis(hop[1]) if len(hop) > 1 else None
        enhanced, embedding, self._states = self._step(spectrum, self._embedding, self._states, far)
        self._synthesis(enhanced, out)
        self._mix(out)
        if self.on_heard is not None:
            if self._profile is not None:
                enhanced, embedding, self._listening = self._step(
                    spectrum, self._nobody, self._listening, far
                )
            self.on_heard(self._heard(spectrum, enhanced, embedding))

    def _heard(self, spectrum: Samples, enhanced: Samples, embedding: Samples) -> Heard:
        power, kept = (self._power_scale * float(np.vdot(s, s)) for s in (spectrum, enhanced))
        return Heard(power, kept, embedding[0])

    def _mix(self, out: Samples) -> None:
        """Bring the input back into ``out`` as far as the strength says."""
        before, strength = self._strength_before, self._strength
        self._strength_before = strength
        dry = self._analysis.previous_hop
        if before is not None and before != strength:
            out[:] = dry + (before + (strength - before) * self._rising) * (out - dry)
        elif strength == 0:
            out[:] = dry
        elif strength < 1:
            out -= dry
            out *= np.float32(strength)
            out += dry
