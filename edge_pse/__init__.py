"""Personalised speech enhancement on the device: enroll a voice, then keep only that one.

>>> import edge_pse
>>> profile = edge_pse.enroll(ten_seconds_of_one_voice, sample_rate_hz)
>>> enhanced = edge_pse.Enhancer(profile=profile).enhance(noisy, sample_rate_hz)

Arrays hold floating-point samples, full scale -1 to 1; ``Enhancer.process`` takes a stream in blocks. The
inference runtime is loaded with the first model, not with this package.
"""

from importlib import metadata

from edge_pse.bundle import Bundle
from edge_pse.enhancer import Enhancer
from edge_pse.enrollment import enroll
from edge_pse.errors import EdgePseError
from edge_pse.profiles import Profile, ProfileStore

try:
    __version__ = metadata.version("edge-pse")
except metadata.PackageNotFoundError:  # run from a checkout that was not installed
    __version__ = "0.1.0"

__all__ = ["Bundle", "EdgePseError", "Enhancer", "Profile", "ProfileStore", "__version__", "enroll"]
