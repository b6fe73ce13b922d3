"""What a model file says about itself, written once for every format; the device library reads it back."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from torch import Tensor

from edge_pse.voice_space import direction_type
from training.checkpoint import check_profiles, model_id, profiles_id
from training.network import BINS, HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, Network

WEIGHTS_LICENCE = "CC-BY-SA-4.0"  # the strictest of the licences of the recordings it was trained on


def description(network: Network, precision: str) -> dict[str, Any]:
    """What the description of one exported file says, ready for JSON.

    Raises ValueError for a network with the id of profiles of its own that these weights do not make.
    """
    check_profiles(network)
    profiles_of = profiles_id(network)
    if not network.makes_profiles and profiles_of.rpartition("-")[0] == network.config.name:
        raise ValueError(
            f"These weights of {network.config.name} don't make the profiles that they take: they are of one voice, "
            "and go into its personal weights."
        )
    return {
        "schema_version": 1,
        "network": network.config.name,
        "model_id": model_id(network),
        "profiles_of": profiles_of,
        "precision": precision,
        "licence": WEIGHTS_LICENCE,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "hop_samples": HOP_SAMPLES,
        "window_samples": WINDOW_SAMPLES,
        "first_bin": 1,
        "bins": BINS,
        "profile_size": network.config.taken_size,
        "embedding_size": network.config.embedding_size,
        "far_end": network.config.far_channels is not None,
        "voice_space": _encoded(network.voice_space),
        "states": [{"name": name, "shape": list(shape)} for name, shape in network.state_shapes().items()],
    }


def _encoded(voice_space: Tensor | None) -> str:
    """As ``edge_pse.voice_space`` decodes it."""
    if voice_space is None:
        return ""
    directions, offset = voice_space[:, :-1].float().numpy(), voice_space[:, -1].float().numpy()
    scale = np.abs(directions).max(axis=1) / np.iinfo(np.int8).max
    rows = np.zeros(len(directions), direction_type(directions.shape[1]))
    rows["steps"] = np.rint(directions / scale[:, None])
    # A common factor changes no angle: it keeps all scales within half precision.
    rows["scale"], rows["offset"] = scale / scale.max(), offset / scale.max()
    return base64.b64encode(rows.tobytes()).decode()
