"""Speaker vectors from outside, for the first stages of a run: ``python -m training.teacher --speech DIR -o FILE``.

A pretrained d-vector encoder (Resemblyzer, whose weights come with its package) says how alike voices are; the network
learns to look for a profile from its vectors, then to make its own. Nothing of it ships. Resemblyzer pins packages
that this project has in newer versions, so it is installed beside its needs:
``pip install librosa webrtcvad-wheels && pip install --no-deps Resemblyzer==0.1.4``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.progress import track

from training.corpus import VOICE_FACTORS, Bank, load_bank
from training.network import CONFIGS

_WINDOW_SAMPLES = 25_600  # 1.6 s: what the encoder hears at once
_WINDOWS = 6
_LEVEL = 0.05  # of full scale: what the encoder was trained on
_LEADING_SPREAD = 3.0  # standard deviation of the first component of the vectors that the network is given


class DVectorEncoder:
    """The pretrained encoder. Raises click.ClickException when Resemblyzer is not installed."""

    def __init__(self) -> None:
        try:
            from resemblyzer import VoiceEncoder
        except ImportError as error:
            raise click.ClickException(
                f"Resemblyzer is missing ({error}): see the head of training/teacher.py."
            ) from error
        self._encoder = VoiceEncoder("cpu", verbose=False)

    def of(self, clips: np.ndarray) -> np.ndarray:
        """(clip, sample), of unit power -> (clip, 256)."""
        level = np.float32(_LEVEL)
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
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(speech: tuple[Path, ...], cache: Path, name: str, output: Path) -> None:
    """Write the vectors of all training voices, in the order of the speech bank, as a NumPy file."""
    bank = load_bank("speech", speech, cache, VOICE_FACTORS)
    vectors = d_vectors(bank)
    np.save(output, Rotation.of(vectors, CONFIGS[name].taken_size)(vectors))


if __name__ == "__main__":
    main()
