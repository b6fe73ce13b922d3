"""Which files are enhanced into which, where many are named: folders keep their structure, and no two share a place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from edge_pse.audio.files.writing import OTHER_ENDINGS, is_written
from edge_pse.errors import AudioError
from edge_pse.paths import is_file, is_folder
from edge_pse.text import shown

THROUGH_FFMPEG = frozenset((
"3g2", "3gp", "aac", "ac3", "amr", "ape", "avi", "dts", "eac3", "flv", "m4a", "m4b", "m4r", "m4v", "mka", "mkv",
"mov", "mp4", "mpeg", "mpg", "mxf", "oma", "ra", "spx", "ts", "tta", "vob", "weba", "webm", "wma", "wmv", "wv"
))  # fmt: skip
"""Endings of sound and films that libsndfile does not read."""
_OTHER_NAMES = frozenset(("aifc", "bwf", "mp2", "wave"))
"""Endings of what it reads that are not the names of formats."""
_MOST_NAMED = 3


@dataclass(frozen=True)
class Job:
    """One file to be enhanced into another."""

    source: Path
    target: Path


def is_sound(path: Path) -> bool:
    """Whether the ending of a name is one of sound, or of a film."""
    ending = path.suffix.lower().removeprefix(".")
    known = (
        ending in OTHER_ENDINGS or ending in _OTHER_NAMES or ending.upper() in soundfile.available_formats()
    )
    return ending != "raw" and (known or ending in THROUGH_FFMPEG)


def jobs_of(sources: Sequence[Path], folder: Path) -> list[Job]:
    """What becomes of ``sources``, files and folders, in ``folder``: in that order, each once.

    A file that is named goes right into ``folder``. Of a folder, all that is sound by the ending of its name goes into
    the same folders below ``folder`` as it is in, links to folders and hidden files left out. A file keeps its name, to
    which ``.wav`` is added where its ending is not one that can be written. AudioError, with nothing done, where
    ``folder`` is a file, no sound is in a folder, two files would share one place, or one would take the place of a
    source.
    """
    if is_file(folder):
        raise AudioError(f"{shown(folder)} is a file: name a folder for so many files.")
    jobs: dict[Path, Job] = {}
    for source in sources:
        for path, below in _found(source, folder):
            name = path.name if is_written(path) else f"{path.name}.wav"
            job = Job(path, folder / below / name)
            jobs.setdefault(path.resolve() / below, job)
    chosen = list(jobs.values())
    _check_places(chosen)
    return chosen


def _found(source: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """The files of a source, and in which folder each goes below the one for all."""
    if not is_folder(source):
        yield source, Path()
        return
    left_out = folder.resolve()
    any_found = False
    for where, folders, names in os.walk(source, onerror=_refuse):
        here = Path(where)
        # What lies where the outputs go was made by a run before.
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != left_out
        )
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and is_sound(path) and is_file(path):
                any_found = True
                yield path, here.relative_to(source)
    if not any_found:
        raise AudioError(f"There is no sound in {shown(source)}: name a folder with audio files.")


def _refuse(error: OSError) -> None:
    raise AudioError(f"Can't read the folder {shown(error.filename)}: {error.strerror}.") from error


def _check_places(jobs: Sequence[Job]) -> None:
    places: dict[str, Job] = {}
    shared: list[str] = []
    for job in jobs:
        # As the system compares names; some don't tell a from A.
        before = places.setdefault(os.path.normcase(job.target), job)
        if before is not job:
            shared.append(f"{shown(before.source)} and {shown(job.source)}")
    if shared:
        more = "" if len(shared) <= _MOST_NAMED else f", and {len(shared) - _MOST_NAMED} more pairs"
        raise AudioError(
            f"One would take the place of the other: {'; '.join(shared[:_MOST_NAMED])}{more}. "
            "Enhance files of the same name in separate runs, each with a folder of its own."
        )
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if job.target.resolve() in sources:
            raise AudioError(
                f"{shown(job.target)} is itself to be enhanced, and is never overwritten where many files are named: "
                "choose another folder."
            )
