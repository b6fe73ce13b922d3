"""Any two folders of clean and noisy recordings as a set."""

from __future__ import annotations

import re
from pathlib import Path

import soundfile

from evaluation.sets.scene import Scene, Segment

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def _key(path: Path) -> str:
    """What a clean and a noisy file have in common: 'fileid_12' as in the DNS challenge, else the name."""
    numbered = re.search(r"fileid_\d+$", path.stem)
    return numbered.group() if numbered else path.stem


def _audio_files(folder: Path) -> dict[str, Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return {_key(path): path.resolve() for path in files}


def pair_scenes(clean: Path, noisy: Path) -> list[Scene]:
    """One scene per noisy file that has a clean one. Raises ValueError that says what was looked for."""
    references, recordings = _audio_files(clean), _audio_files(noisy)
    scenes = []
    for key in sorted(references.keys() & recordings.keys()):
        seconds = min(soundfile.info(path).duration for path in (references[key], recordings[key]))
        scenes.append(
            Scene(
                f"pairs_{recordings[key].stem}",
                "pairs",
                seconds,
                {},
                recording=Segment(str(recordings[key]), 0.0, seconds),
                reference=Segment(str(references[key]), 0.0, seconds),
            )
        )
    if not scenes:
        raise ValueError(
            f"No file in {noisy} ({len(recordings)} audio files) has a clean one of the same name, or of the "
            f"same fileid_N, in {clean} ({len(references)} audio files)."
        )
    return scenes
