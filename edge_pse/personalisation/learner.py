"""The learner of personal weights: where it is, and a process of it at work.

The learner is no part of this package: it needs PyTorch and the workshop of the project. It runs as a process of its
own, which takes its memory with it when it ends, at low priority. The recordings go to it through a pipe, and nothing
of them to a disk; it ends at once when this process does.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import numpy as np

from edge_pse import strict_json
from edge_pse.errors import PersonalisationError
from edge_pse.spectral import Samples
from edge_pse.text import cleaned, shown

PACKAGE = "personalisation"
NEEDED = ("torch", "scipy", "onnxruntime")
"""What it imports that this package does not bring: the extra ``personal``."""
NICENESS = 10
"""Of its process, more than that of this one: whatever else runs goes first."""
MOST_THREADS = 4
"""What one voice gives to do at a time is too little for more."""

_LOOK_S = 0.1
_LAST_S = 5.0
"""From its result to its end."""
_SILENCE_S = 300.0
"""Without a word for so long it hangs: it says something every two seconds, but while it judges."""
_MOST_LINE_BYTES = 1 << 20
_MOST_WEIGHTS_BYTES = 64 << 20
_LONGEST_SENTENCE = 500
_KEPT_LINES = 5
_INSTALL = "run pip install '.[personal]' or targets/install.sh --personal in the checkout of edge-pse"


@dataclass(frozen=True)
class Task:
    """What is to be learnt."""

    network: str
    """Its name: ``pvqe-s``."""
    conditioning: Samples
    """``Profile.conditioning`` of the voice, (embedding_size,) float32."""
    profile_id: str
    """``Profile.id``."""
    reading: Sequence[Samples]
    """Recordings of the voice, (samples,) float32 each, mono at 16 kHz."""
    against: Sequence[Samples] = ()
    """The same of others, whom it learns to leave out above all."""
    start: bytes = b""
    """A file of personal weights to go on from; empty: from the general weights."""
    minutes: float = 10.0
    """For all of it: loading, learning, judging, writing."""
    threads: int = 1

    def header(self) -> bytes:
        """The line with which the learner is told what comes after it."""
        content = {
            "network": self.network,
            "minutes": self.minutes,
            "threads": self.threads,
            "profile": base64.b64encode(self.conditioning.astype("<f4").tobytes()).decode(),
            "profile_id": self.profile_id,
            "reading": [len(samples) for samples in self.reading],
            "against": [len(samples) for samples in self.against],
            "start": len(self.start),
        }
        return json.dumps(content).encode() + b"\n"


@dataclass(frozen=True)
class LearningProgress:
    """How learning goes."""

    minutes_left: float
    """Until the end, at most."""
    steps: int
    """Of learning, so far."""
    score_db: float | None
    """Mean gain over the general weights on pieces of the reading that are held out, in dB; None until it is known."""


@dataclass(frozen=True)
class Learnt:
    """What came of it."""

    sentences: tuple[str, ...]
    """What was gained, in plain words."""
    weights: bytes
    """A file of personal weights, with the one network; empty where nothing was better than the general weights."""


def usable_threads() -> int:
    """How many threads the learner is given unless somebody says otherwise."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MOST_THREADS)


def find() -> Path:
    """The folder that has the learner; PersonalisationError if there is none, or if Python lacks what it needs."""
    folder = next((folder for folder in _places() if (folder / PACKAGE / "__main__.py").is_file()), None)
    if folder is None:
        raise PersonalisationError(
            "The learner of personal weights is not on this machine: keep the checkout that edge-pse was installed "
            "from where it was, or run targets/install.sh --personal in one."
        )
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        names = "PyTorch" if missing[0] == "torch" else " and ".join(missing)
        raise PersonalisationError(f"Personal weights can't be learnt here without {names}: {_INSTALL}.")
    if not sys.executable:
        raise PersonalisationError(
            "Personal weights are learnt by a process of Python, and no Python is known here."
        )
    return folder


def _places() -> Iterator[Path]:
    yield Path(__file__).parents[2]
    yield from _installed_from()
    yield Path(sys.prefix) / "share" / "edge-pse"


def _installed_from() -> Iterator[Path]:
    """The folder that pip installed this package from, if pip says so (PEP 610)."""
    from importlib import metadata  # slow to load, and only for this

    with suppress(metadata.PackageNotFoundError, OSError, ValueError, KeyError, TypeError, AttributeError):
        said = json.loads(metadata.distribution("edge-pse").read_text("direct_url.json") or "")
        url = urlsplit(said["url"])
        if url.scheme == "file" and "dir_info" in said:
            path = unquote(url.path)
            yield Path(path.removeprefix("/") if os.name == "nt" else path)


def learn(
    task: Task,
    on_progress: Callable[[LearningProgress], None] | None = None,
    stop: threading.Event | None = None,
    folder: Path | None = None,
) -> Learnt:
    """Run a learner to its end.

    ``on_progress`` is called on this thread every two seconds or so. ``stop``, once set: it ends with the best so far.
    Whatever is raised meanwhile, KeyboardInterrupt among it, ends the learner at once. ``folder``: what ``find`` gives.
    Raises PersonalisationError for what the learner refuses and if it fails.
    """
    with _Process(task, folder or find()) as process:
        silence_s = 0.0
        while True:
            if stop is not None and stop.is_set():
                process.stop()
            try:
                event = process.events.get(timeout=_LOOK_S)
            except Empty:
                # Not by a clock, which goes on while Ctrl-Z has stopped this process, who then can hear nothing.
                silence_s += _LOOK_S
                if silence_s > _SILENCE_S:
                    raise PersonalisationError(
                        "The learner does not go on: end other programs and try again."
                    ) from None
                continue
            silence_s = 0.0
            if isinstance(event, Learnt):
                return event
            if isinstance(event, PersonalisationError):
                raise event
            if on_progress is not None:
                on_progress(event)


class _Process:
    """A learner and two threads, one that tells it what to do and one that listens. To be entered once."""

    def __init__(self, task: Task, folder: Path):
        self.events: SimpleQueue[LearningProgress | Learnt | PersonalisationError] = SimpleQueue()
        self._task = task
        self._told = threading.Event()
        self._leaving = False
        self._last_words: deque[str] = deque(maxlen=_KEPT_LINES)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        try:
            self._process = subprocess.Popen(
                # Nothing is imported from wherever the user happens to be.
                [sys.executable, "-P", "-m", PACKAGE],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **_apart(),
            )
        except OSError as error:
            raise PersonalisationError(
                f"The learner can't be started ({error.strerror}): free some memory."
            ) from error
        _lower_priority(self._process.pid)
        self._threads = [
            threading.Thread(target=work, name=f"learner: {work.__name__.strip('_')}", daemon=True)
            for work in (self._tell, self._listen, self._hear_failures)
        ]

    def __enter__(self) -> _Process:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._leaving = True
        if kind is None:  # it has said all, and goes by itself
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_S)
        self._kill()
        self._process.wait()
        self._told.set()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                _open(pipe).close()

    def stop(self) -> None:
        """Let it end with the best so far; again: nothing more."""
        self._told.set()

    def _kill(self) -> None:
        """It and whatever it has started."""
        if hasattr(os, "killpg"):
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def _tell(self) -> None:
        task, pipe = self._task, _open(self._process.stdin)
        with suppress(OSError):  # it has ended: the listener finds out why
            pipe.write(task.header())
            for samples in (*task.reading, *task.against):
                pipe.write(np.ascontiguousarray(samples, "<f4").data)
            pipe.write(task.start)
            pipe.flush()
            self._told.wait()
            if not self._leaving:
                pipe.write(b"stop\n")
                pipe.flush()

    def _listen(self) -> None:
        pipe = _open(self._process.stdout)
        try:
            while line := pipe.readline(_MOST_LINE_BYTES):
                event = self._understood(line, pipe)
                if event is not None:
                    self.events.put(event)
                if isinstance(event, Learnt | PersonalisationError):
                    return
            self.events.put(self._death())
        except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
            self.events.put(
                PersonalisationError(
                    "The learner says what can't be understood: it is not of the same release as this program, install "
                    "both from one checkout."
                )
            )

    def _understood(
        self, line: bytes, pipe: IO[bytes]
    ) -> LearningProgress | Learnt | PersonalisationError | None:
        said = strict_json.parse(line)
        kind = said["event"]
        if kind == "progress":
            score_db = said["score_db"]
            return LearningProgress(
                _number(said["minutes_left"]),
                int(said["steps"]),
                None if score_db is None else _number(score_db),
            )
        if kind == "error":
            return PersonalisationError(cleaned(said["message"], _LONGEST_SENTENCE))
        if kind == "result":
            size = said["bytes"]
            if type(size) is not int or not 0 <= size <= _MOST_WEIGHTS_BYTES or bool(size) != said["better"]:
                raise ValueError("a result of no sensible size")
            weights = pipe.read(size)
            if len(weights) < size:
                return self._death()
            return Learnt(tuple(cleaned(text, _LONGEST_SENTENCE) for text in said["sentences"]), weights)
        if kind != "started":
            raise ValueError("an event that is not known")
        return None

    def _hear_failures(self) -> None:
        for line in _open(self._process.stderr):
            if text := line.decode(errors="replace").strip():
                self._last_words.append(text)

    def _death(self) -> PersonalisationError:
        """What to say of a learner that ended without a result."""
        status = self._process.wait()
        self._threads[-1].join(_LOOK_S)
        if status == -9:
            return PersonalisationError(
                "The learner was killed, most likely for want of memory: end other programs and try again."
            )
        last = f": {shown(cleaned(self._last_words[-1], 200))}" if self._last_words else ""
        return PersonalisationError(f"The learner ended without a result (status {status}{last}).")


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("no number")
    return float(value)


def _apart() -> dict[str, Any]:
    """Ctrl-C at the terminal is for this process, not for the learner."""
    if os.name == "nt":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS  # type: ignore[attr-defined]
        return {"creationflags": flags}
    return {"process_group": 0}


def _lower_priority(pid: int) -> None:
    # Its first thread has it, and those that come later take it over from that.
    if hasattr(os, "setpriority"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS))
