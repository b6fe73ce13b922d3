"""A trained network on disk: sizes, weights in half precision, and where they come from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from training.network import Network, NetworkConfig

SCHEMA_VERSION = 1
_KEYS = {"config", "weights", "profiles_of", "voice_space", "history"}
_ALIGN_GAIN = 0.03  # of similarities on their way into the softmax over delays: neither flat nor one alone


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
        "profiles_of": network.profiles_of,
        "voice_space": network.voice_space,
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
    if content.get("schema_version") != SCHEMA_VERSION or not content.keys() >= _KEYS:
        raise ValueError(
            f"{path} is not a checkpoint of schema {SCHEMA_VERSION}: train anew or use an older release."
        )
    network = Network(NetworkConfig(**content["config"]))
    network.profiles_of = content["profiles_of"]
    network.voice_space = content["voice_space"]
    weights = {name: tensor.float() for name, tensor in content["weights"].items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"{path} does not fit its own configuration: missing {missing}, unexpected {unexpected}."
        )
    return network.eval(), content["history"]


def with_far_branch(network: Network, config: NetworkConfig) -> Network:
    """A network of ``config``, which has a far end, from one of the same sizes without: equal to it at first.

    The far branch begins as a part of the microphone's, so that echo looks alike in both and the delay shows from the
    first step; the first joint layer begins with weights of zero for its channels.
    Profiles are still those that ``network`` takes. Raises ValueError when the two
    differ in more than the far branch.
    """
    kept = replace(
        network.config,
        name=config.name,
        far_channels=config.far_channels,
        align_channels=config.align_channels,
        align_frames=config.align_frames,
    )
    config = replace(config, profile_size=network.config.profile_size)
    if network.config.far_channels is not None or config.far_channels is None or kept != config:
        raise ValueError(f"{config.name} is not {network.config.name} with a far branch.")
    grown = Network(config)
    weights = network.state_dict()
    joint = weights["joint1.conv.conv.weight"]
    weights["joint1.conv.conv.weight"] = F.pad(joint, (0, 0, 0, 0, 0, config.far_channels[1]))
    grown.load_state_dict(weights, strict=False)
    _hear_alike(grown)
    grown.profiles_of = network.profiles_of or model_id(network)
    return grown.train(network.training)


@torch.no_grad()
def follow(grown: Network, old: Network, new: Network) -> None:
    """Add to a network with a far branch what the one it was grown from has learnt since: ``old`` then, ``new`` now.

    Variances of norms are multiplied, for they must stay positive. It is a place to go on from: what it has lost by it
    comes back in a few hundred steps.
    """
    before, after = old.state_dict(), new.state_dict()
    for name, tensor in grown.state_dict().items():
        if name not in before or not tensor.is_floating_point():
            continue
        if name.endswith("running_var"):
            tensor.mul_(after[name] / before[name].clamp_min(1e-8))
            continue
        change = after[name] - before[name]
        if name == "joint1.conv.conv.weight":  # its last inputs are the far end's
            tensor[:, : change.shape[1]] += change
        else:
            tensor += change


@torch.no_grad()
def _hear_alike(network: Network) -> None:
    """Far branch and alignment from the microphone's branch: the channels with most weight, compared one with one."""
    first, second = network.mic1, network.mic2
    far1, far2, align = network.far1, network.far2, network.align
    loudest = second.conv.conv.weight.square().sum((0, 2, 3)).argsort(descending=True)
    inputs, outputs = loudest[: far1.norm.num_features], torch.arange(far2.norm.num_features)
    far1.conv.conv.weight.copy_(first.conv.conv.weight[inputs])
    far2.conv.conv.weight.copy_(second.conv.conv.weight[outputs][:, inputs])
    for norm, source, chosen in ((far1.norm, first.norm, inputs), (far2.norm, second.norm, outputs)):
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, name).copy_(getattr(source, name)[chosen])
    for parameter in align.parameters():
        parameter.zero_()
    for projection in (align.query, align.key):
        projection.weight[:, :, 0, 0].fill_diagonal_(1)
    align.smooth.weight[:, :, :, 1] = _ALIGN_GAIN


def model_id(network: Network) -> str:
    """Name and fingerprint of the weights: what a voice profile is bound to, whatever the precision of the file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return f"{network.config.name}-{digest.hexdigest()[:12]}"
