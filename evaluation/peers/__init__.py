"""Open suppressors and echo cancellers to stand beside, each a small adapter around a package from PyPI.

They run in an environment of their own (`requirements.txt` here; `make peers` makes it), which holds numpy
and the peers and none of this project's dependencies.
"""

from __future__ import annotations

import importlib

from evaluation.systems.spec import Hosted

PEERS = {
    "rnnoise": "RNNoise",
    "webrtc-ns": "WebRtcSuppressor",
    "speex-ns": "SpeexSuppressor",
    "nsnet2": "NsNet2",
    "noisereduce": "NoiseReduce",
    "deepfilternet3": "DeepFilterNet3",
    "voxlock": "VoxLock",
    "webrtc-aec3": "WebRtcEchoCanceller",
    "speex-mdf": "SpeexEchoCanceller",
}
"""Names on the command line, and the class in the module of the same name (with _ for -)."""


def open_peer(name: str) -> Hosted:
    """Load a peer. Raises ImportError or OSError when it is not installed, KeyError for an unknown name."""
    module = importlib.import_module("evaluation.peers." + name.replace("-", "_"))
    peer: Hosted = getattr(module, PEERS[name])()
    return peer
