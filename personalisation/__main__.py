"""The learner's process: ``python -m personalisation``, started by ``edge_pse.personalisation``.

Standard input: a line of JSON, then the recordings, float32 little-endian PCM at 16 kHz, and a file of personal weights
to go on from; later perhaps a line ``stop``, which ends it with the best so far. The end of the input before the result
is written means that whoever started it is gone: it goes at once, too. Standard output: a line of JSON for each event,
and after the last one, ``result``, a file of personal weights. No sound is ever written anywhere.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edge_pse.errors import EdgePseError

if TYPE_CHECKING:
    from personalisation.learner import Progress

_EVERY_S = 2.0
_ORPHANED = 3
_MOST_LINE_BYTES = 1 << 20
_TOO_LITTLE_MEMORY = "There is too little memory to learn in: end other programs and try again."


class Parent:
    """Whoever started this process: what it asks for, and what it is told."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        # A thread that waits in a buffered reader keeps Python from ending.
        self._input = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - of this process all along
        # What a library prints must not come between the events.
        self._output = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._telling = threading.Lock()

    def task(self) -> tuple[dict[str, Any], list[np.ndarray], list[np.ndarray], bytes]:
        """What is asked for: the line, the reading, the recordings of others, earlier weights."""
        task = json.loads(self._input.readline(_MOST_LINE_BYTES) or self._leave())
        sounds = [
            [np.frombuffer(self._exactly(4 * samples), "<f4").astype(np.float32) for samples in task[kind]]
            for kind in ("reading", "against")
        ]
        return task, sounds[0], sounds[1], self._exactly(task["start"])

    def listen(self) -> None:
        """Heed ``stop``, and the end of the input, from now on."""
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, event: str, more: bytes = b"", **content: Any) -> None:
        """One event."""
        line = json.dumps({"event": event, **content}).encode() + b"\n"
        try:
            with self._telling:
                self._output.write(line + more)
                self._output.flush()
        except OSError:
            self._leave()

    def _listen(self) -> None:
        while line := self._input.readline(_MOST_LINE_BYTES):
            if line == b"stop\n":
                self.stopped.set()
        self._leave()

    def _exactly(self, size: int) -> bytes:
        content = bytearray(size)
        view = memoryview(content)
        while view:
            read = self._input.readinto(view)
            if not read:
                self._leave()
            view = view[read:]
        return bytes(content)

    def _leave(self) -> NoReturn:
        """Nobody is there any more: no tidying up could outlast them."""
        os._exit(_ORPHANED)


def main() -> int:
    """Learn what the parent asks for; the exit status."""
    began_s = time.monotonic()
    parent = Parent()
    task, reading, against, start = parent.task()
    parent.listen()
    parent.tell("started")
    # PyTorch reads these when it is loaded.
    os.environ["OMP_NUM_THREADS"] = str(task["threads"])
    # Nothing is compiled here; without this an empty folder for that would be left where temporary files are.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(__file__).parent)
    from training.memory import keep_freed_memory

    keep_freed_memory()
    from personalisation.learner import Learner, Request
    from personalisation.others import load_others
    from training import options

    options.start(task["threads"], 0, "cpu")
    profile = np.frombuffer(base64.b64decode(task["profile"]), "<f4").astype(np.float32)
    request = Request(task["network"], task["minutes"], profile, task["profile_id"], reading, against, start)
    learner = Learner(request, began_s, load_others, parent.stopped.is_set)
    reporter = Reporter(parent, learner.progress)
    try:
        result = learner.run()
    except (EdgePseError, MemoryError, RuntimeError) as error:
        reporter.end()
        parent.tell("error", message=_sentence(error))
        return 1
    reporter.end()
    parent.tell(
        "result", result.weights, better=bool(result.weights), sentences=result.sentences, scores=result.scores,
        bytes=len(result.weights),
    )  # fmt: skip
    return 0


class Reporter:
    """Tells the parent every two seconds where the learner is."""

    def __init__(self, parent: Parent, progress: Progress):
        self._parent, self._progress = parent, progress
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No more of it."""
        self._over.set()
        self._thread.join()

    def _report(self) -> None:
        progress = self._progress
        while not self._over.wait(_EVERY_S):
            score_db = progress.score_db
            self._parent.tell(
                "progress",
                minutes_left=round(progress.minutes_left(), 2),
                steps=progress.steps,
                score_db=None if score_db is None else round(score_db, 2),
            )


def _sentence(error: Exception) -> str:
    """What to tell of it; what nobody has foreseen goes on to standard error."""
    if isinstance(error, EdgePseError):
        return str(error)
    if isinstance(error, RuntimeError) and "memory" not in str(error):  # so PyTorch says that there is none
        raise error
    return _TOO_LITTLE_MEMORY


if __name__ == "__main__":
    sys.exit(main())
