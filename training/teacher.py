"""Speaker vectors from outside, for the first stages of a run: ``python -m training.teacher --speech DIR -o FILE``.

A pretrained d-vector encoder (Resemblyzer, whose weights come with its package) says how alike voices are; the network
learns to look for a profile from its vectors, then to make its own. Nothing of it ships. Resemblyzer pins packages
that this project has in newer versions, so it is installed beside its needs:
``pip install librosa webrtcvad-wheels && pip install --no-deps Resemblyzer==0.1.4``.

With ``--checkpoint`` the vectors are a trained network's own, without Resemblyzer: a run that goes on from it, and is
held to them, leaves the profiles that were made with it, and the networks that take them, of use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from rich.progress import track

from training.checkpoint import load_checkpoint
from training.network import CONFIGS, HOP_SAMPLES, Network
from training.options import supports_bfloat16
from training.simulation.corpus import VOICE_FACTORS, Bank, load_bank
from training.spectral import analyse
from training.step import REFERENCE_LEVEL

_WINDOW_SAMPLES = 25_600  # 1.6 s: what the encoder hears at once
_WINDOWS = 6
_ENCODER_LEVEL = 0.05  # of full scale: what the encoder was trained on
_CLIP_SAMPLES = 300 * HOP_SAMPLES  # of each voice's own vectors
_CLIPS, _AT_ONCE = 4, 16
_LEADING_SPREAD = 3.0  # standard deviation of the first component of the vectors that the network is given


def resemblyzer_encoder() -> Any:
    """The pretrained encoder as it comes. Raises click.ClickException when Resemblyzer is not installed."""
    try:
        from resemblyzer import VoiceEncoder
    except ImportError as error:
        raise click.ClickException(
            f"Resemblyzer is missing ({error}): the head of training/teacher.py says how to install it."
        ) from error
    return VoiceEncoder("cpu", verbose=False)


class DVectorEncoder:
    """The pretrained encoder at its level. Raises click.ClickException when Resemblyzer is not installed."""

    def __init__(self) -> None:
        self._encoder = resemblyzer_encoder()

    def of(self, clips: np.ndarray) -> np.ndarray:
        """(clip, sample), of unit power -> (clip, 256)."""
        level = np.float32(_ENCODER_LEVEL)
        return np.stack([self._encoder.embed_utterance(level * clip) for clip in clips])


def d_vectors(speech: Bank) -> np.ndarray:
    """One vector a voice (voice, 256), the mean over its first windows.

    Raises click.ClickException when Resemblyzer is not installed.
    """
    encoder = DVectorEncoder()
    vectors = []
    for voice, spoken in enumerate(track(speech.tracks, description="listening to voices")):
        windows = min(_WINDOWS, spoken.length // _WINDOW_SAMPLES)
        starts = np.arange(windows) * _WINDOW_SAMPLES
        clips = speech.cut(np.full(windows, voice), starts, _WINDOW_SAMPLES).numpy()
        vectors.append(encoder.of(clips).mean(axis=0))
    return np.stack(vectors)


@torch.no_grad()
def own_vectors(speech: Bank, network: Network) -> np.ndarray:
    """What a network makes of each voice (voice, embedding), the mean over a few clips."""
    random = np.random.default_rng(0)
    device = speech.samples.device
    lengths = np.array([spoken.length for spoken in speech.tracks])
    vectors = np.zeros((len(lengths), network.config.embedding_size), np.float32)
    voices = np.array_split(np.arange(len(lengths)), -(-len(lengths) // _AT_ONCE))
    for some in track(voices, description="listening to voices"):
        for _ in range(_CLIPS):
            starts = (random.random(len(some)) * lengths[some]).astype(int)
            clips = REFERENCE_LEVEL * speech.cut(some, starts, _CLIP_SAMPLES)
            with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
                vectors[some] += network.embed(analyse(clips)).float().cpu().numpy() / _CLIPS
    return vectors


@dataclass(frozen=True)
class Rotation:
    """To principal components, strongest first, all divided by one number: not whitened.

    The leading components, sex and pitch, then stand out, and are learnt first; whitened vectors, in which every
    detail is as loud as they are, were not learnt from at all.
    """

    centre: np.ndarray  # (before,)
    directions: np.ndarray  # (before, after)

    @classmethod
    def of(cls, vectors: np.ndarray, size: int) -> Rotation:
        """That of some vectors (voice, before), to ``size`` numbers; what they do not fill is zero."""
        centre = vectors.mean(0)
        _, spread, directions = np.linalg.svd(vectors - centre, full_matrices=False)
        kept = directions[:size].T * (_LEADING_SPREAD / (spread[0] / np.sqrt(len(vectors))))
        return cls(centre, np.pad(kept, ((0, 0), (0, size - kept.shape[1]))))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(vector, before) -> (vector, after)."""
        return ((vectors - self.centre) @ self.directions).astype(np.float32)


@click.command()
@click.option(
    "--speech", multiple=True, type=click.Path(path_type=Path), required=True, help="As for the training."
)
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"), show_default=True)
@click.option("--network", "name", type=click.Choice(sorted(CONFIGS)), default="pvqe-s", show_default=True)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    help="Of a network whose own vectors to write.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(speech: tuple[Path, ...], cache: Path, name: str, checkpoint: Path | None, output: Path) -> None:
    """Write the vectors of all training voices, in the order of the speech bank, as a NumPy file."""
    bank = load_bank("speech", speech, cache, VOICE_FACTORS)
    if checkpoint is not None:
        np.save(output, own_vectors(bank, load_checkpoint(checkpoint)[0]))
        return
    vectors = d_vectors(bank)
    np.save(output, Rotation.of(vectors, CONFIGS[name].taken_size)(vectors))


if __name__ == "__main__":
    main()
