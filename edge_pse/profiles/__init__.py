"""Voice profiles and where they live: small private files that hold numbers from the network, never audio."""

from edge_pse.profiles.encoding import SCHEMA_VERSION
from edge_pse.profiles.folder import HOME_VARIABLE
from edge_pse.profiles.store import SUFFIX, ProfileStore
from edge_pse.profiles.voice import MOST_RECORDINGS, Profile, Recording

__all__ = [
    "HOME_VARIABLE",
    "MOST_RECORDINGS",
    "SCHEMA_VERSION",
    "SUFFIX",
    "Profile",
    "ProfileStore",
    "Recording",
]
