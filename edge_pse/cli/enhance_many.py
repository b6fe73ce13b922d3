"""``edge-pse enhance`` where OUT is a folder: many files, some at a time, and what became of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import click

import edge_pse
from edge_pse.audio.files import Done, Event, Failed, Job, Manner, Progress, enhance_many, jobs_of
from edge_pse.cli import notices, output
from edge_pse.cli.progress import progress_bar
from edge_pse.paths import is_file
from edge_pse.text import shown


def enhance_into(
    folder: Path, sources: Sequence[Path], manner: Manner, workers: int, overwrite: bool
) -> None:
    """Enhance files and folders into ``folder``, and tell what became of them; exit status 1 if any of them failed."""
    jobs = jobs_of(sources, folder)
    edge_pse.Model.load(manner.model, manner.backend)  # what is wrong with it is said once
    there = [] if overwrite else [job for job in jobs if is_file(job.target)]
    left = set(there)
    run = _Run([job for job in jobs if job not in left], manner.channel is None)
    started = time.monotonic()
    try:
        with (
            progress_bar() as draw,
            closing(enhance_many(run.jobs, manner, workers)) as events,
        ):
            for event in events:
                run.note(event)
                draw(f"{run.ended} of {len(run.jobs)} files", run.bytes_done(), run.bytes, True)
    except BaseException:
        click.echo(f"Ended after {len(run.done)} of {len(run.jobs)} files: run it again to go on.", err=True)
        raise
    _tell(run, folder, time.monotonic() - started, there)
    if run.failed:
        sys.exit(1)


@dataclass
class _Run:
    """How far it is."""

    jobs: list[Job]
    channels_are_chosen: bool
    done: list[Done] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sizes = {job: _size_of(job.source) for job in self.jobs}
        self._shares: dict[Job, float] = {}
        self.bytes = float(sum(self._sizes.values()))
        """Of all files: how long each of them plays would be known only after all had been opened."""

    @property
    def ended(self) -> int:
        """Files that are done or failed."""
        return len(self.done) + len(self.failed)

    def bytes_done(self) -> float:
        """Of all files, how much is done."""
        return sum(self._sizes[job] * share for job, share in self._shares.items())

    def note(self, event: Event) -> None:
        """One more thing that happened; what must be said of a file is said at once."""
        if isinstance(event, Progress):
            total = event.total_seconds
            self._shares[event.job] = min(1.0, event.seconds / total) if total else 0.0
            return
        self._shares[event.job] = 1.0
        if isinstance(event, Failed):
            self.failed.append(event)
            return
        self.done.append(event)
        for sentence in (*event.file.notes, *event.warnings):
            _say(event.job, sentence)
        selection = event.file.selection
        if self.channels_are_chosen and selection is not None and selection.partial:
            _say(event.job, notices.chosen_channels(selection, from_start=False))


def _tell(run: _Run, folder: Path, took: float, there: Sequence[Job]) -> None:
    if run.failed:
        click.echo(f"{len(run.failed)} of {_files(len(run.jobs))} failed:", err=True)
        for failed in run.failed:
            click.echo(f"  {shown(failed.reason)}", err=True)
    if run.done:
        seconds = sum(done.file.seconds for done in run.done)
        click.echo(
            f"Wrote {_files(len(run.done))} into {shown(folder)}: {output.duration(seconds)} in "
            f"{output.duration(took)}, {seconds / took:.0f} times real time."
        )
    if there:
        old = sum(_is_older(job) for job in there)
        older = f", {old} of them older than what it was made of" if old else ""
        were = "was" if len(there) == 1 else "were"
        click.echo(
            f"Left {_files(len(there))} that {were} there already{older}; --overwrite makes them anew."
        )


def _say(job: Job, sentence: str) -> None:
    name = str(job.source)
    click.echo(shown(sentence if sentence.startswith(name) else f"{name}: {sentence}"), err=True)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _size_of(path: Path) -> int:
    try:
        return max(1, path.stat().st_size)
    except OSError:
        return 1


def _is_older(job: Job) -> bool:
    try:
        return job.target.stat().st_mtime < job.source.stat().st_mtime
    except OSError:
        return False
