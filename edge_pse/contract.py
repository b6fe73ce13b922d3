"""The contract of a model: what its graph takes and gives, checked before anything relies on it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from edge_pse.backends import FRAMES, Backend, Frame, Shapes
from edge_pse.errors import ModelError
from edge_pse.text import shown
from edge_pse.voice_space import VoiceSpace

SCHEMA_VERSION = 1

LIMITS = {
    "sample_rate_hz": (8_000, 96_000),
    "hop_samples": (16, 8_192),
    "window_samples": (32, 16_384),
    "first_bin": (1, 8_192),
    "bins": (1, 8_192),
    "profile_size": (1, 8_192),
    "embedding_size": (1, 8_192),
}
"""Least and most of each number. The networks of this project are far from all of them; beyond them a description would
have this program ask for memory or time that no machine has."""
MOST_STATES = 256
MOST_STATE_AXES = 8
MOST_STATE_FLOATS = 1 << 22
"""In all states together: 16 MB for each stream."""

_LONGEST_NAME = 64
_MOST_NAMED = 8
_STATE_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{_LONGEST_NAME - 1}}}")
# What becomes part of a file name or is shown; a licence may be an expression of several.
_NAMES = {
    name: re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}") for name in ("network", "model_id", "profiles_of")
}
_NAMES["precision"] = _NAMES["network"]
_NAMES["licence"] = re.compile(r"[A-Za-z0-9(][A-Za-z0-9 ._+()-]{0,199}")


@dataclass(frozen=True)
class StateSpec:
    """One state tensor that a step leaves for the next; zeros before the first."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Contract:
    """What an exporter promises about a model, field by field: its description.

    The graph takes ``spectrum`` (1, 2, 1, bins), real and imaginary part of the bins from ``first_bin`` up of
    an unnormalised ``window_samples``-point transform under a square-root Hann window; where there is a far
    end, ``far``, the same of what the loudspeaker is given, zeros for nothing; ``profile`` (1,
    profile_size), zeros for no profile; and the states by name. It gives ``enhanced``, shaped as
    ``spectrum``, ``embedding`` (1, embedding_size), and each state as ``<name>_next``. All are float32.
    """

    network: str
    model_id: str
    """Shared by all precisions of the same weights; personal weights are bound to it."""
    profiles_of: str
    """What a voice profile is bound to: the id of the weights with which such profiles were first made. They are of
    this network, today's or earlier ones that made the same profiles, or of the network beside it."""
    precision: str
    licence: str
    sample_rate_hz: int
    hop_samples: int
    window_samples: int
    first_bin: int
    bins: int
    profile_size: int
    embedding_size: int
    far_end: bool
    """It cancels the echo of a far end, and so takes ``far``."""
    states: tuple[StateSpec, ...]
    voice_space: VoiceSpace = field(repr=False)
    """Where its embeddings are compared."""

    @classmethod
    def of(cls, description: dict[str, Any]) -> Contract:
        """From the fields of a model's description; ModelError says what is wrong with them."""
        schema = description.get("schema_version")
        if type(schema) is not int or schema != SCHEMA_VERSION:
            found = schema if type(schema) is int and 0 <= schema < 1000 else "of no number"
            raise ModelError(
                f"its description has schema {found}, this program reads {SCHEMA_VERSION}: "
                "use the edge-pse that the model was made for."
            )
        try:
            contract = cls(**{field.name: _read_field(description, field.name) for field in fields(cls)})
        except KeyError as error:
            raise ModelError(f"its description lacks {error}: export it again.") from None
        except (TypeError, ValueError) as error:
            raise ModelError(f"its description can't be used: {error}. Export it again.") from None
        contract._check()
        return contract

    @property
    def makes_profiles(self) -> bool:
        """Whether its embeddings are the profiles that it takes."""
        return self.profile_network_name == self.network

    @property
    def profile_network_name(self) -> str:
        """Name of the network that makes the profiles."""
        return self.profiles_of.rpartition("-")[0]

    @property
    def delay_samples(self) -> int:
        """How many samples the output stream lags the input stream."""
        return self.window_samples - self.hop_samples

    @property
    def latency_ms(self) -> float:
        """From a sound to its enhanced sound at best: the delay, and a hop to gather before it is run."""
        return 1000 * (self.delay_samples + self.hop_samples) / self.sample_rate_hz

    def initial_states(self) -> list[Frame]:
        """The states before the first frame, in order."""
        return [np.zeros(state.shape, np.float32) for state in self.states]

    def check_graph(self, backend: Backend) -> None:
        """ModelError unless the graph takes and gives exactly what the description promises, in that order."""
        for kind, promised, found in (
            ("inputs", self._inputs(), backend.inputs),
            ("outputs", self._outputs(), backend.outputs),
        ):
            if list(promised.items()) != list(found.items()):
                wrong = sorted(dict(promised.items() ^ found.items())) or ["their order"]
                named = ", ".join(shown(name)[:_LONGEST_NAME] for name in wrong[:_MOST_NAMED])
                raise ModelError(
                    f"its {kind} are not what its description promises ({named}): export it again."
                )

    def _check(self) -> None:
        if self.window_samples != 2 * self.hop_samples:
            raise ModelError("its window is not twice its hop, so overlap-add can't give the signal back.")
        if self.bins != self.window_samples // 2 + 1 - self.first_bin:
            raise ModelError("its bins do not reach from the first one to the Nyquist frequency.")
        # Of other hops, few rates beside the model's own have whole ones; see ``edge_pse.spectral``.
        if self.sample_rate_hz != 100 * self.hop_samples:
            raise ModelError("its hop is not 10 ms, in which this program takes streams of any rate apart.")

    def _inputs(self) -> Shapes:
        frame = (1, 2, 1, self.bins)
        states = {state.name: state.shape for state in self.states}
        far = {"far": frame} if self.far_end else {}
        return {"spectrum": frame, **far, "profile": (1, self.profile_size), **states}

    def _outputs(self) -> Shapes:
        states = {f"{state.name}_next": state.shape for state in self.states}
        return {"enhanced": (1, 2, 1, self.bins), "embedding": (1, self.embedding_size), **states}


def _read_field(content: dict[str, Any], name: str) -> Any:
    value = content[name]
    if name == "voice_space" and isinstance(value, str):
        return VoiceSpace.decode(value, _read_field(content, "embedding_size"))
    if name == "states":
        return _read_states(value)
    if name in _NAMES:
        fits = isinstance(value, str) and _NAMES[name].fullmatch(value) is not None
    elif name in ("far_end", "voice_space"):
        fits = name == "far_end" and isinstance(value, bool)
    else:
        least, most = LIMITS[name]
        fits = type(value) is int and least <= value <= most
    if not fits:
        raise ValueError(_refusal(name, value))
    return value


def _read_states(value: Any) -> tuple[StateSpec, ...]:
    if not isinstance(value, list) or len(value) > MOST_STATES:
        raise ValueError(f"states are a list of at most {MOST_STATES}")
    states = tuple(_read_state(state) for state in value)
    if len({state.name for state in states}) < len(states):
        raise ValueError("two states have one name")
    if sum(math.prod(state.shape) for state in states) > MOST_STATE_FLOATS:
        raise ValueError(f"its states have more than {MOST_STATE_FLOATS} numbers")
    return states


def _read_state(value: Any) -> StateSpec:
    if not isinstance(value, dict) or not {"name", "shape"} <= value.keys():
        raise ValueError(_refusal("a state", value))
    name, shape = value["name"], value["shape"]
    if not isinstance(name, str) or not _STATE_NAME.fullmatch(name) or name in FRAMES:
        raise ValueError(_refusal("the name of a state", name))
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= MOST_STATE_AXES
        or not all(type(size) is int and 1 <= size <= MOST_STATE_FLOATS for size in shape)
    ):
        raise ValueError(_refusal(f"the shape of {name}", shape))
    return StateSpec(name, tuple(shape))


def _refusal(name: str, value: Any) -> str:
    try:
        found = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        found = "absurd"
    return f"{name} is {shown(found)[:60]}"
