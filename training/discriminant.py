"""Where the voices of a trained network are best compared: ``python -m training.discriminant CHECKPOINT``.

Linear discriminant analysis of the profiles that the network makes of the training voices, each enrolled through
several microphones, in several rooms and noises: the directions in which voices differ by most in comparison with what
differs between enrollments of one. It goes into the checkpoint, and with it into what is exported; the network, its id
and its profiles stay the same.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from training import options
from training.checkpoint import load_checkpoint, save_checkpoint
from training.network import SAMPLE_RATE_HZ
from training.options import Corpora
from training.simulation.scenes import SceneSettings, SceneSimulator
from training.spectral import analyse
from training.step import REFERENCE_LEVEL, ProfileNetwork

DIRECTIONS = 48
_SECONDS = 5.0  # of an enrollment
_SHRINKAGE = 0.02  # of the covariance within voices towards a multiple of the identity
_SETTINGS = SceneSettings(
    speakers=3, single_mixtures=0, unprofiled_outputs=0, absent_outputs=1, extra_voices=24, clip_s=_SECONDS,
    enrollment_clips=(1, 1), equaliser_db=4.0,
)  # fmt: skip


def discriminant(
    embeddings: NDArray[np.floating], voices: NDArray[np.integer], directions: int
) -> NDArray[np.float32]:
    """What compares embeddings (n, size) of ``voices`` (n,): (directions, size + 1), for an embedding and a one.

    Fisher's discriminant directions, the strongest first, with the mean voice at the origin. ``directions`` may not be
    more than size.
    """
    names, own, counts = np.unique(voices, return_inverse=True, return_counts=True)
    means = np.zeros((len(names), embeddings.shape[1]))
    np.add.at(means, own, embeddings)
    means /= counts[:, None]
    within = (embeddings - means[own]).T @ (embeddings - means[own]) / max(1, len(own) - len(names))
    between = np.cov(means.T)
    size = len(within)
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.trace(within) / size * np.eye(size)
    _, vectors = scipy.linalg.eigh(between, within, subset_by_index=[size - directions, size - 1])
    rows = vectors.T[::-1]
    matrix = np.concatenate([rows, -(rows @ means.mean(0))[:, None]], axis=1)
    # Angles do not depend on the scale, which is that of half precision.
    return np.asarray(matrix / np.abs(matrix).max(), np.float32)


@torch.no_grad()
def enrolled(
    profile_network: ProfileNetwork, scenes: SceneSimulator, draws: int
) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Profiles (n, size) of enrollments of five seconds, each voice's in pairs, and whose they are (n,)."""
    made, voices = [], []
    others = sum(t.length >= 2 * _SECONDS * SAMPLE_RATE_HZ for t in scenes.speech.tracks) - _SETTINGS.speakers
    settings = replace(_SETTINGS, extra_voices=min(_SETTINGS.extra_voices, others))
    for _ in range(draws):
        batch = scenes.draw(settings)
        level = batch.enrollments.square().mean(1, keepdim=True).sqrt()
        profiles = profile_network.embed(analyse(REFERENCE_LEVEL * batch.enrollments / level.clamp_min(1e-5)))
        made.append(profiles.cpu().numpy())
        voices.append(batch.enrollment_voices)
    return np.concatenate(made), np.concatenate(voices)


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.corpora
@click.option("--draws", default=200, show_default=True, help="Of 27 voices each, enrolled twice.")
@click.option("--directions", default=DIRECTIONS, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    checkpoint: Path, corpora: Corpora, draws: int, directions: int, device: str, threads: int, seed: int
) -> None:
    """Write into CHECKPOINT where its profiles are compared."""
    where = options.start(threads, seed, device)
    network, history = load_checkpoint(checkpoint)
    if not network.makes_profiles:
        raise click.UsageError(
            f"{checkpoint} takes the profiles of {network.profiles_of}: name that one's file."
        )
    scenes = corpora.scenes(where, seed)
    profiles, voices = enrolled(network.to(where), scenes, draws)
    usable = np.isfinite(profiles).all(axis=1)
    network.cpu().voice_space = torch.from_numpy(
        discriminant(profiles[usable], voices[usable], directions)
    ).half()
    save_checkpoint(checkpoint, network, history)
    click.echo(
        f"{checkpoint}: {directions} directions from {usable.sum()} profiles of {len(np.unique(voices))} voices."
    )


if __name__ == "__main__":
    main()
