"""Voice profiles and where they live: small private files that hold numbers from the network, never audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_pse.profiles.personal import PersonalFile, PersonalNetwork, PersonalWeights
    from edge_pse.profiles.store import SUFFIX, ProfileStore
    from edge_pse.profiles.voice import MOST_RECORDINGS, Profile, Recording

__all__ = [
    "MOST_RECORDINGS",
    "SUFFIX",
    "PersonalFile",
    "PersonalNetwork",
    "PersonalWeights",
    "Profile",
    "ProfileStore",
    "Recording",
]

_MODULES = {
    "MOST_RECORDINGS": "voice",
    "SUFFIX": "store",
    "PersonalFile": "personal",
    "PersonalNetwork": "personal",
    "PersonalWeights": "personal",
    "Profile": "voice",
    "ProfileStore": "store",
    "Recording": "voice",
}


def __getattr__(name: str) -> Any:
    """Loaded when it is first named: who only asks where the folder is has no use for what a profile is made of."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
