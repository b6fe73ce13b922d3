"""Voice profiles and where they live: small private files that hold numbers from the network, never audio."""

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
