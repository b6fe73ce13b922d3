"""A trained network on disk: sizes, weights in half precision, and where they come from."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from training.network import Network, NetworkConfig, fingerprint

SCHEMA_VERSION = 1
_KEYS = {"config", "weights", "profiles_of", "voice_space", "history"}
_ALIGN_GAIN = 0.03  # of similarities on their way into the softmax over delays: neither flat nor one alone


def save_checkpoint(path: Path, network: Network, history: dict[str, Any]) -> None:
    """Write ``network`` with ``history`` (hours presented, data, scores: plain values) to ``path``, atomically.

    Floating-point weights are kept in half precision: what ships is exported from what a checkpoint holds, so
    that the rounding is the same everywhere. Raises ValueError where what makes the profiles of an earlier id is
    not what made them.
    """
    check_profiles(network)
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
        "profile_weights": network.profile_weights,
        "voice_space": network.voice_space,
        "history": history,
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def load_checkpoint(path: Path) -> tuple[Network, dict[str, Any]]:
    """The network, in single precision and evaluation mode, and its history.

    Raises ValueError when the file is of another schema, or its weights are not what it says.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content.get("schema_version") != SCHEMA_VERSION or not content.keys() >= _KEYS:
        raise ValueError(
            f"{path} is not a checkpoint of schema {SCHEMA_VERSION}: train anew or use an older release."
        )
    network = Network(NetworkConfig(**content["config"]))
    network.profiles_of = content["profiles_of"]
    network.profile_weights = content.get("profile_weights")  # files from before it was kept have none
    network.voice_space = content["voice_space"]
    weights = {name: tensor.float() for name, tensor in content["weights"].items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"{path} does not fit its own configuration: missing {missing}, unexpected {unexpected}."
        )
    check_profiles(network)
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
    take_profiles(grown, network)
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
    """Name and fingerprint of all weights, whatever the precision of the file: what personal weights are bound to."""
    return f"{network.config.name}-{fingerprint(network.state_dict())[:12]}"


def profiles_id(network: Network) -> str:
    """Id of the weights with which the profiles that it takes were first made: what a voice profile is bound to."""
    return network.profiles_of or model_id(network)


def take_profiles(network: Network, other: Network) -> None:
    """From now on ``network`` takes the profiles that ``other`` makes or takes, and makes none."""
    network.profiles_of, network.profile_weights = profiles_id(other), None


def keep_profiles(network: Network, earlier: Network) -> bool:
    """Whether ``network`` makes the same profiles as ``earlier``, another training of it, to the bit.

    If so, they go on under their id, and where they are compared stays as it was. If not, they have the network's own
    id. Nothing is changed where one of them makes no profiles.
    """
    if not (network.makes_profiles and earlier.makes_profiles):
        return False
    weights = network.profile_fingerprint()
    if network.config != earlier.config or weights != earlier.profile_fingerprint():
        network.profiles_of, network.profile_weights = None, None
        return False
    network.profiles_of, network.profile_weights = profiles_id(earlier), weights
    if network.voice_space is None:
        network.voice_space = earlier.voice_space
    return True


def check_profiles(network: Network) -> None:
    """ValueError if it has the id of profiles of its own that these weights do not make."""
    if network.profile_weights not in (None, network.profile_fingerprint()):
        raise ValueError(
            f"{network.config.name} has learnt to make other profiles than those of {network.profiles_of}: they need "
            "an id of their own, so set profiles_of and profile_weights to None."
        )
