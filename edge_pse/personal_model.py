"""A model with the personal weights of a profile in the place of its own, where there are some that fit."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field
from pathlib import PurePath
from weakref import WeakKeyDictionary

import numpy as np

from edge_pse.backends import RUNTIMES
from edge_pse.errors import EdgePseWarning, ModelError
from edge_pse.model import Model
from edge_pse.profiles import PersonalNetwork, PersonalWeights, Profile

_WARM_UP_STEPS = 3  # a runtime takes several times as long for its first one


@dataclass
class _Known:
    """Of some personal weights: what was opened with them, and what was said of them."""

    opened: list[Model] = field(default_factory=list)
    said: set[str] = field(default_factory=set)


_KNOWN: WeakKeyDictionary[PersonalWeights, _Known] = WeakKeyDictionary()
_OPENING = threading.Lock()


def personal_model(model: Model, profile: Profile) -> Model | None:
    """The model with the weights that its network has learnt of the voice of ``profile``; None for general ones.

    It is open and warm, and streams share it. An EdgePseWarning, once for these weights, tells why those that are there
    can't be used: the profile has changed since, or the model file is another one.
    """
    weights = profile.personal
    network = None if weights is None else weights.networks.get(model.contract.network)
    # Whoever gave a model that has other weights already wants these.
    if weights is None or network is None or model.general is not None:
        return None
    with _OPENING:
        known = _KNOWN.setdefault(weights, _Known())
        try:
            return _open(model, profile, network, known)
        except ModelError as error:
            sentence = (
                f"Profile {profile.name!r} goes without its personal weights: {error} Run `edge-pse personalise "
                f"{profile.name}` again."
            )
    if sentence not in known.said:
        known.said.add(sentence)
        warnings.warn(sentence, EdgePseWarning, stacklevel=4)  # for whoever set the profile
    return None


def why_unfit(model_file: str, sha256: str, profile: Profile, network: PersonalNetwork) -> str:
    """Why what ``network`` has learnt of a profile can't be put into a model file, a sentence; empty if it can."""
    if profile.personal is None or not profile.personal.fits(profile):
        return "the profile has changed since."
    if model_file not in network.files:
        return _why_not_for(model_file, network)
    if network.files[model_file].base_sha256 != sha256:
        return f"they are of an earlier {model_file}."
    return ""


def _why_not_for(model_file: str, network: PersonalNetwork) -> str:
    """They are made for the runtimes that there are where they are learnt."""
    formats = {runtime.suffix for runtime in RUNTIMES.values()}
    known = sorted(file for file in network.files if PurePath(file).suffix in formats)
    if not known or PurePath(model_file).suffix in {PurePath(file).suffix for file in known}:
        return f"they are not for {model_file}."
    return (
        f"they are for {' and '.join(known)}, whose runtime alone was installed where they were learnt, not for "
        f"{model_file}: choose that runtime with --backend, or install the other one there, too."
    )


def _open(model: Model, profile: Profile, network: PersonalNetwork, known: _Known) -> Model:
    reason = why_unfit(model.file_name, model.sha256, profile, network)
    if reason:
        raise ModelError(reason)
    for opened in known.opened:
        if opened.general is model:
            return opened
    opened = model.with_weights(network.files[model.file_name].weights)
    contract = opened.contract
    silence = np.zeros((1, 2, 1, contract.bins), np.float32)
    nobody, states = np.zeros((1, contract.profile_size), np.float32), contract.initial_states()
    for _ in range(_WARM_UP_STEPS):
        _, _, states = opened.backend.step(silence, nobody, states)
    known.opened.append(opened)
    return opened
