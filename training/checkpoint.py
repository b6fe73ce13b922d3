"""A trained network on disk: sizes, weights in half precision, and where they come from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from training.network import Network, NetworkConfig

SCHEMA_VERSION = 1


def save_checkpoint(path: Path, network: Network, history: dict[str, Any]) -> None:
    """Write ``network`` with ``history`` (hours presented, data, scores: plain values) to ``path``, atomically.

    Floating-point weights are kept in half precision: what ships is exported from what a checkpoint holds, so
    that the rounding is the same everywhere.
    """
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    content = {
        "schema_version": SCHEMA_VERSION,
        "config": asdict(network.config),
        "weights": weights,
        "history": history,
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def load_checkpoint(path: Path) -> tuple[Network, dict[str, Any]]:
    """The network, in single precision and evaluation mode, and its history.

    Raises ValueError when the file is of another schema.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} is not a checkpoint of schema {SCHEMA_VERSION}: train anew or use an older release."
        )
    network = Network(NetworkConfig(**content["config"]))
    weights = {name: tensor.float() for name, tensor in content["weights"].items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"{path} does not fit its own configuration: missing {missing}, unexpected {unexpected}."
        )
    return network.eval(), content["history"]


def model_id(network: Network) -> str:
    """Name and fingerprint of the weights: what a voice profile is bound to, whatever the precision of the file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return f"{network.config.name}-{digest.hexdigest()[:12]}"
