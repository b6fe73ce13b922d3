"""The command on a terminal: alone on one of its own, or as a job of a shell."""

import contextlib
import os
import pty
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.edge_pse.audio.running import COMMAND


class _Typist:
    """Somebody at a pseudo-terminal: types, and sees what is shown."""

    def __init__(self, terminal: int):
        self._terminal = terminal
        self.seen = ""
        """Since the last key."""

    def type(self, keys: str) -> None:
        self.seen = ""
        os.write(self._terminal, keys.encode())

    def wait_for(self, text: str, seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            self._look()

    def watch(self, seconds: float) -> str:
        """What is shown from now on, for some time."""
        self.seen, until = "", time.monotonic() + seconds
        while time.monotonic() < until:
            self._look()
        return self.seen

    def _look(self) -> None:
        if not select.select([self._terminal], [], [], 0.05)[0]:
            return
        try:
            self.seen += os.read(self._terminal, 65536).decode(errors="replace")
        except OSError:  # whoever wrote to it has ended
            time.sleep(0.05)


class Terminal(_Typist):
    """``edge-pse`` with arguments on a terminal of its own, or what ``program`` makes of them."""

    def __init__(self, *arguments: str, env: Mapping[str, str], program: Sequence[str] = COMMAND):
        ours, theirs = pty.openpty()
        super().__init__(ours)
        self.process = subprocess.Popen(
            [*program, *arguments], env={**env, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)


class Shell(_Typist):
    """An interactive bash on a terminal of its own, in which ``edge-pse`` is the command."""

    def __init__(self, env: Mapping[str, str], folder: Path):
        command = folder / "edge-pse"
        command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
        command.chmod(0o700)
        self.process_id, terminal = pty.fork()
        if not self.process_id:
            os.environ.clear()
            os.environ.update({**env, "TERM": "xterm", "PS1": "prompt", "PATH": f"{folder}:{env['PATH']}"})
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        super().__init__(terminal)
        self.wait_for("prompt")

    def line(self, command: str) -> None:
        self.type(f"{command}\r")

    def is_in_order(self) -> bool:
        """Lines are edited and shown by the terminal, as shells leave it to the programs that they start."""
        self.line("stty -a; echo do''ne")
        self.wait_for("done")
        return " icanon" in self.seen and " echo " in self.seen

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.process_id, signal.SIGHUP)
        os.close(self._terminal)
        os.waitpid(self.process_id, 0)
