"""Many files through the network, some at a time, each in a process of its own.

Processes and not threads: LiteRT keeps Python's lock while it runs a network, so that two threads were measured to take
twice as long as one (ONNX Runtime lets go of it). And what a damaged file does to a decoder ends one process only.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType

from edge_pse.audio.files.enhancing import EnhancedFile, enhance_file
from edge_pse.audio.files.places import Job
from edge_pse.errors import AudioError, EdgePseError, EdgePseWarning
from edge_pse.model import Model
from edge_pse.profiles import Profile

_END_S = 5.0
"""So long a process has to take back what it was writing."""


@dataclass(frozen=True)
class Manner:
    """How each of the files is enhanced, see ``enhance_file``."""

    model: str
    backend: str
    profiles: tuple[Profile, ...] = ()
    strength: float = 1.0
    keep_channels: bool = False
    channel: int | None = None
    full_band: bool = True


@dataclass(frozen=True)
class Progress:
    """So much of a file is done."""

    job: Job
    seconds: float
    total_seconds: float | None
    """None where the file does not tell."""


@dataclass(frozen=True)
class Done:
    """A file is in its place, whole."""

    job: Job
    file: EnhancedFile
    warnings: tuple[str, ...]
    """What the library warned of, a sentence each."""


@dataclass(frozen=True)
class Failed:
    """A file could not be enhanced, and what was in its place is there still."""

    job: Job
    reason: str
    """A sentence or two."""


Event = Progress | Done | Failed


def enhance_many(jobs: Sequence[Job], manner: Manner, workers: int) -> Generator[Event]:
    """Enhance files, at most ``workers`` at a time, and tell of each as it goes on; each ends as Done or Failed.

    Folders for the targets are made. What is in the place of a target is replaced. Memory does not grow with the number
    or the length of the files. When the generator is closed, or an exception passes through it (as at Ctrl-C), all the
    processes take back what they were writing and end.
    """
    waiting = list(reversed(jobs))
    running: dict[Connection, _Worker] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                try:
                    worker = _Worker(manner)
                except OSError as error:
                    if not running:
                        raise AudioError(
                            f"Can't start a process that enhances ({error.strerror}): close other programs, or give a "
                            "smaller --jobs."
                        ) from error
                    workers = len(running)  # those that run do the rest
                    break
                running[worker.connection] = worker
                worker.give(waiting.pop())
            for ready in connection.wait(list(running)):
                assert isinstance(ready, Connection)
                worker = running[ready]
                event = worker.receive()
                yield event
                if isinstance(event, Progress):
                    continue
                if worker.ended or not waiting:
                    del running[ready]
                    worker.end()
                else:
                    worker.give(waiting.pop())
    finally:
        for worker in running.values():
            worker.tell_to_end()
        for worker in running.values():
            worker.end()


class _Worker:
    """One process, which enhances one file after the other."""

    def __init__(self, manner: Manner):
        # A fork would carry the locks of the runtimes' threads along.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.ended = False
        self._job: Job | None = None
        self._process: BaseProcess = context.Process(target=_work, args=(theirs, manner), daemon=True)
        try:
            with _without_interrupts():
                self._process.start()
        except OSError:
            self.connection.close()
            raise
        finally:
            theirs.close()

    def give(self, job: Job) -> None:
        """The next file."""
        self._job = job
        with suppress(OSError):  # it ended, as ``receive`` will tell
            self.connection.send(job)

    def receive(self) -> Event:
        """What it tells of its file; Failed where it ended in the middle of it."""
        try:
            event: Event = self.connection.recv()
        except (EOFError, OSError):
            self.ended = True
            assert self._job is not None
            self._process.join(_END_S)
            return Failed(self._job, f"{self._job.source}: {_end_of(self._process.exitcode)}.")
        return event

    def tell_to_end(self) -> None:
        """Have it take back what it writes, without waiting for that."""
        self._process.terminate()

    def end(self) -> None:
        """Wait until it has ended, not for ever."""
        self.connection.close()  # at which it ends
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that start in here hear no Ctrl-C, which goes to all that the terminal runs.

    Which of them end, and when, is for the first one to say.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It starts with the first process, and lets interrupts through again: better before than in the middle.
    resource_tracker.ensure_running()
    # Another thread may hear it meanwhile, and raise it here, in the middle, where a process has begun and does not yet
    # know what to do: it is raised afterwards. None: a handler that is not Python's, which could not be put back.
    heard: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    waits = handler is not None and threading.current_thread() is threading.main_thread()
    if waits:
        signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if waits:
            signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


def _end_of(status: int | None) -> str:
    """What is known of a process that is gone."""
    why = f"status {status}"
    if status is not None and status < 0:
        why = signal.Signals(-status).name
    advice = "try it alone; if it happens again, convert the file to WAV first"
    if status == -getattr(signal, "SIGKILL", 0):
        advice = "the memory may have been full; try it with --jobs 1"
    return f"the process that enhanced it ended in the middle ({why}): {advice}"


def _work(jobs: Connection, manner: Manner) -> None:
    """What a process does until nobody is there any more to give it files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be kept away
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    model: Model | None = None
    with suppress(EOFError, OSError):
        while True:
            job: Job = jobs.recv()
            event, model = _outcome(job, manner, model, jobs)
            jobs.send(event)


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _outcome(job: Job, manner: Manner, model: Model | None, jobs: Connection) -> tuple[Event, Model | None]:
    """Enhance one file; also the model, for the next one."""

    def tell(seconds: float, total_seconds: float | None) -> None:
        try:
            jobs.send(Progress(job, seconds, total_seconds))
        except OSError:  # nobody waits for this file any more
            sys.exit(1)

    try:
        model = model or Model.load(manner.model, manner.backend)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", EdgePseWarning)
            file = enhance_file(
                job.source,
                job.target,
                model,
                manner.profiles,
                manner.strength,
                manner.keep_channels,
                tell,
                channel=manner.channel,
                full_band=manner.full_band,
            )
    except EdgePseError as error:
        return Failed(job, str(error)), model
    except OSError as error:
        return Failed(job, f"Can't write {job.target}: {error.strerror or error}."), model
    except Exception as error:  # a fault of this program in one file is none of the others
        return Failed(job, f"{job.source}: {type(error).__name__} ({error})."), model
    sentences = [str(one.message) for one in said if issubclass(one.category, EdgePseWarning)]
    return Done(job, file, tuple(sentences)), model


def available_cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
