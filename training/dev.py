"""Dev scores of a network in training: the evaluation's quick set and, of a network with a far end, its echo set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.metrics.signal import erle_db, si_sdr
from evaluation.metrics.statistics import equal_error_rate
from evaluation.quick import QuickSet
from evaluation.sets import SETS_FOLDER
from evaluation.sets.render import Clip, render
from evaluation.sets.scene import read_scenes
from training.network import HOP_SAMPLES, SAMPLE_RATE_HZ, Network
from training.spectral import analyse, synthesise
from training.step import ProfileNetwork

_AT_ONCE = 8


@torch.no_grad()
def enhance(network: Network, samples: Tensor, profiles: Tensor, far_ends: Tensor | None = None) -> Tensor:
    """(clip, sample), any length, and (clip, embedding; zeros: no profile) -> (clip, sample), aligned.

    ``far_ends`` (clip, sample): the loopbacks, None where there is none.
    """
    length = samples.shape[1]
    spectrum, far = (
        None if x is None else analyse(torch.nn.functional.pad(x, (0, -length % HOP_SAMPLES)))
        for x in (samples, far_ends)
    )
    enhanced, _, _ = network(spectrum, profiles, far=far)
    return synthesise(enhanced)[:, :length]


@torch.no_grad()
def dev_scores(
    network: Network, data: Path, profile_network: ProfileNetwork | None = None
) -> dict[str, float]:
    """Scores on unseen dev speakers, see ``evaluation.quick``; "eer" is of the embeddings of enrollment halves.

    ``profile_network``: the network that makes the profiles, where it is not ``network`` itself.
    """
    profile_network = profile_network or network
    device = next(network.parameters()).device
    quick = QuickSet.load(data)
    clips = {
        task.enrolled_speaker: task.enrollment
        for task in quick.tasks
        if task.enrolled_speaker is not None and task.enrollment is not None
    }
    profiles = {name: _embed(profile_network, clip, device) for name, clip in clips.items()}
    no_profile = torch.zeros(network.config.taken_size, device=device)
    outputs: list[np.ndarray] = []
    for start in range(0, len(quick.tasks), _AT_ONCE):
        tasks = quick.tasks[start : start + _AT_ONCE]
        noisy = torch.from_numpy(np.stack([task.noisy for task in tasks])).to(device)
        batch = torch.stack([profiles.get(task.enrolled_speaker or "", no_profile) for task in tasks])
        outputs.extend(enhance(network, noisy, batch).cpu().numpy())
    halves = [np.array_split(clip, 2) for clip in clips.values()]
    first, second = (
        torch.stack([_embed(profile_network, half[i], device) for half in halves]) for i in (0, 1)
    )
    scores = {**quick.scores(outputs), "eer": _error_rate(first, second)}
    if network.config.far_channels is not None:
        scores |= echo_scores(network, data)
    return {name: round(value, 3) for name, value in scores.items()}


def echo_scores(network: Network, data: Path) -> dict[str, float]:
    """Of the evaluation's echo set, with no profile, means in dB: ERLE on far-end single talk, recorded and synthetic,
    and SI-SDR gain where the near end is known, in double talk and alone (where any loss is damage).
    """
    device = next(network.parameters()).device
    no_profile = torch.zeros(1, network.config.taken_size, device=device)
    scores: dict[str, list[float]] = {}
    for scene in read_scenes(SETS_FOLDER / "echo.jsonl"):
        assert scene.echo is not None
        source, kind = scene.tags["source"], scene.echo.talk_type
        if source == "real" and kind != "st":
            continue  # nobody knows the clean near end
        clip = render(scene, data)
        heard, far = (torch.from_numpy(x)[None].to(device) for x in (clip.mixture, clip.far_end))
        output = enhance(network, heard, no_profile, far)[0].cpu().numpy()
        if kind == "st":
            scores.setdefault(f"echo_erle_{source}", []).append(erle_db(clip.mixture, output))
        else:
            name = {"dt": "echo_double_talk_gain", "nst": "echo_near_end_gain"}[kind]
            scores.setdefault(name, []).append(_near_end_gain(clip, output))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _near_end_gain(clip: Clip, output: np.ndarray) -> float:
    """SI-SDR gain from the moment at which the near end begins to talk."""
    assert clip.reference is not None and clip.scene.target is not None
    start = round(clip.scene.target.at * SAMPLE_RATE_HZ)
    reference = clip.reference[start:]
    return si_sdr(reference, output[start:]) - si_sdr(reference, clip.mixture[start:])


def _embed(network: ProfileNetwork, clip: np.ndarray, device: torch.device) -> Tensor:
    whole = clip[: len(clip) // HOP_SAMPLES * HOP_SAMPLES]
    return network.embed(analyse(torch.from_numpy(whole)[None].to(device)))[0]


def _error_rate(first: Tensor, second: Tensor) -> float:
    """EER of telling whether ``first[i]`` and ``second[j]`` (speaker, embedding) are one speaker, by centred cosine."""
    centre = torch.cat([first, second]).mean(0)
    first, second = (torch.nn.functional.normalize(x - centre, dim=1) for x in (first, second))
    similarity = (first @ second.T).cpu().numpy()
    return equal_error_rate(similarity.ravel(), np.eye(len(similarity), dtype=bool).ravel())
