"""The voices that a stream keeps: the network makes a step for each, and what the steps give becomes one sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_pse.errors import ProfileError
from edge_pse.model import Model
from edge_pse.personal_model import personal_model
from edge_pse.profiles import Profile
from edge_pse.spectral import Samples


@dataclass(frozen=True, eq=False)
class KeptVoice:
    """One voice as the network is given it."""

    profile: Profile | None
    """None for every voice."""
    embedding: Samples
    """Of the profile, (1, profile_size); zeros without one."""
    personal: Model | None = None
    """With the weights that are of the profile; None where the general ones run."""

    def sounds_like(self, other: KeptVoice) -> bool:
        """Whether what the network holds of the sound so far is right for this voice if it was made for that one."""
        return np.array_equal(self.embedding, other.embedding)


def kept_voices(model: Model, profiles: Sequence[Profile]) -> tuple[KeptVoice, ...]:
    """Those of the profiles, in their order; the one that stands for every voice if there are none.

    Raises ProfileError for a profile of another model. Opens the model anew for those with personal weights, see
    ``personal_model``.
    """
    for profile in profiles:
        check_profile(model, profile)
    if not profiles:
        return (KeptVoice(None, np.zeros((1, model.contract.profile_size), np.float32)),)
    return tuple(
        KeptVoice(profile, profile.conditioning[None].copy(), personal_model(model, profile))
        for profile in profiles
    )


def check_profile(model: Model, profile: Profile) -> None:
    """ProfileError unless the model can use it."""
    contract = model.contract
    if profile.model_id == contract.profiles_of and profile.embedding.size != contract.profile_size:
        raise ProfileError(
            f"Profile {profile.name!r} holds {profile.embedding.size} numbers of a voice, and its model makes "
            f"{contract.profile_size}: enroll the voice again, or export and copy the profile again."
        )
    if profile.model_id != contract.profiles_of:
        raise ProfileError(
            f"Profile {profile.name!r} was made with model {profile.model_id}, not with "
            f"{contract.profiles_of}: enroll the voice again with this model, or choose the other one."
        )


def combined(enhanced: Sequence[Samples]) -> Samples:
    """What is kept of several voices: of each bin what is kept of it for the voice that keeps most.

    ``enhanced``: for each voice a spectrum (1, 2, 1, bins), real and imaginary part. Sums would be louder than a voice
    that more than one profile keeps a part of, and noise would come through once for each.
    """
    kept, *others = enhanced
    if not others:
        return kept
    most = np.square(kept).sum(axis=1, keepdims=True)
    for other in others:
        power = np.square(other).sum(axis=1, keepdims=True)
        more = power > most
        kept, most = np.where(more, other, kept), np.where(more, power, most)
    return kept
