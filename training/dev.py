"""Dev scores of a network in training: the evaluation's quick set, run through PyTorch in batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.quick import QuickSet
from training.network import HOP_SAMPLES, Network
from training.spectral import analyse, synthesise

_AT_ONCE = 8


@torch.no_grad()
def enhance(network: Network, samples: Tensor, profiles: Tensor) -> Tensor:
    """(clip, sample), any length, and (clip, embedding; zeros: no profile) -> (clip, sample), aligned."""
    length = samples.shape[1]
    padded = torch.nn.functional.pad(samples, (0, -length % HOP_SAMPLES))
    enhanced, _, _ = network(analyse(padded), profiles)
    return synthesise(enhanced)[:, :length]


@torch.no_grad()
def dev_scores(network: Network, data: Path) -> dict[str, float]:
    """Scores on unseen dev speakers, see ``evaluation.quick``; "eer" is of the embeddings of enrollment halves."""
    device = next(network.parameters()).device
    quick = QuickSet.load(data)
    clips = {
        task.enrolled_speaker: task.enrollment
        for task in quick.tasks
        if task.enrolled_speaker is not None and task.enrollment is not None
    }
    profiles = {name: _embed(network, clip, device) for name, clip in clips.items()}
    nobody = torch.zeros(network.config.embedding_size, device=device)
    outputs: list[np.ndarray] = []
    for start in range(0, len(quick.tasks), _AT_ONCE):
        tasks = quick.tasks[start : start + _AT_ONCE]
        noisy = torch.from_numpy(np.stack([task.noisy for task in tasks])).to(device)
        batch = torch.stack([profiles.get(task.enrolled_speaker or "", nobody) for task in tasks])
        outputs.extend(enhance(network, noisy, batch).cpu().numpy())
    halves = [np.array_split(clip, 2) for clip in clips.values()]
    first, second = (torch.stack([_embed(network, half[i], device) for half in halves]) for i in (0, 1))
    scores = {**quick.scores(outputs), "eer": equal_error_rate(first, second)}
    return {name: round(value, 3) for name, value in scores.items()}


def _embed(network: Network, clip: np.ndarray, device: torch.device) -> Tensor:
    whole = clip[: len(clip) // HOP_SAMPLES * HOP_SAMPLES]
    return network.embed(analyse(torch.from_numpy(whole)[None].to(device)))[0]


def equal_error_rate(first: Tensor, second: Tensor) -> float:
    """Of telling whether ``first[i]`` and ``second[j]`` (speaker, embedding) are one speaker, by centred cosine."""
    centre = torch.cat([first, second]).mean(0)
    first, second = (torch.nn.functional.normalize(x - centre, dim=1) for x in (first, second))
    similarity = (first @ second.T).cpu().numpy()
    same = np.eye(len(similarity), dtype=bool)
    thresholds = np.sort(similarity, axis=None)
    missed = (similarity[same][:, None] < thresholds).mean(0)
    accepted = (similarity[~same][:, None] >= thresholds).mean(0)
    return float((missed + accepted)[np.argmin(np.abs(missed - accepted))] / 2)
