"""Starts and ends the stream: the service where it is installed, else a process that the panel may leave."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from platformdirs import user_config_path

from edge_pse.control import Control
from edge_pse.errors import ControlError
from edge_pse.panel import options
from edge_pse.panel.commands import COMMAND, environment
from edge_pse.panel.options import Options

UNIT = "edge-pse.service"
_ANSWER_S, _START_S, _END_S, _LOOK_S = 10.0, 30.0, 15.0, 0.1


class Stream:
    """The one stream of this user. What it does waits for the other, whoever asks."""

    def __init__(self, control: Control):
        self._control = control
        self._changing = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self.is_service = self._shown("LoadState") == "loaded"
        """Whether it is the service of this user's systemd."""
        self.options_path = self._options_path()
        """The file that keeps the options."""

    def options(self) -> Options:
        """With which it starts."""
        return options.read(self.options_path)

    def keep(self, **values: Sequence[str] | None) -> None:
        """Start with these from now on: ``on_demand=[""]`` is ``--on-demand``; None is what was there before."""
        with self._changing:
            self._keep(values)

    def runs(self) -> bool:
        """Whether it answers."""
        try:
            self._control.status()
        except ControlError:
            return False
        return True

    def start(self) -> None:
        """Returns when it answers; ControlError says why it does not."""
        with self._changing:
            self._start()

    def stop(self) -> None:
        """Returns when it has ended."""
        with self._changing:
            self._stop()

    def change(self, **values: Sequence[str] | None) -> None:
        """``keep``, and start it again if it runs, as it was set meanwhile; what can't be is taken back."""
        with self._changing:
            before = self.options()
            self._keep(values)
            if not self.runs():
                return
            was = self._control.status()
            self._stop()
            try:
                self._start()
            except ControlError:
                options.write(self.options_path, before)
                self._start()
                self._set_again(was)
                raise
            self._set_again(was)

    def _set_again(self, was: dict[str, Any]) -> None:
        """What ``edge-pse ctl`` and the keys of a terminal have set is in no file of options."""
        self._control.set(bypass=was["bypass"], strength=was["strength"])
        if self._control.status()["profiles"] != was["profiles"]:
            self._control.set(profiles=was["profiles"])

    def _keep(self, values: dict[str, Sequence[str] | None]) -> None:
        kept = self.options()
        for name, value in values.items():
            if value is not None:
                kept.set(f"--{name.replace('_', '-')}", value)
        options.write(self.options_path, kept)

    def _start(self) -> None:
        if self.runs():
            return
        if self.is_service:
            # It may have failed too often for another try.
            self._systemctl("reset-failed", UNIT)
            self._systemctl("start", "--no-block", UNIT)
        else:
            self._begin()
        until = time.monotonic() + _START_S
        while not self._has_begun():
            reason = self._failure()
            if reason or time.monotonic() > until:
                raise ControlError(reason or "The stream does not begin to answer: see what `doctor` says.")
            time.sleep(_LOOK_S)

    def _has_begun(self) -> bool:
        """Whether its devices are open, or it has said what it waits for: before, it may yet end."""
        try:
            status = self._control.status()
        except ControlError:
            return False
        return status["stream"] is not None or bool(status["sentences"])

    def _begin(self) -> None:
        """Start a process that stays when this one ends, and that has no terminal."""
        if self._complaints is not None:
            self._complaints.close()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [*COMMAND, "run", *self.options().words()],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            start_new_session=True,
        )
        # Whoever ends it, it is not kept as a process that nobody has asked for.
        threading.Thread(target=self._process.wait, name="edge-pse panel stream", daemon=True).start()

    def _stop(self) -> None:
        if self.is_service and self._shown("ActiveState") in ("active", "activating", "reloading"):
            self._systemctl("stop", UNIT)
        elif self.runs():
            self._control.stop()
        until = time.monotonic() + _END_S
        while self.runs() or (self._process is not None and self._process.poll() is None):
            if time.monotonic() > until:
                raise ControlError(
                    "The stream does not end: it hangs, perhaps in a sound device. Unplug that one."
                )
            time.sleep(_LOOK_S)
        self._process = None

    def _failure(self) -> str:
        """Why it does not run, if it has ended."""
        if self.is_service:
            if self._shown("Result") == "success":
                return ""
            self._systemctl("stop", UNIT)  # else it is tried again and again
            return self._said_last() or f"The service fails: journalctl --user -u {UNIT} says why."
        if self._process is None or self._process.poll() is None:
            return ""
        self._process = None
        assert self._complaints is not None
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").splitlines()
        return lines[-1].removeprefix("Error: ") if lines else "The stream has ended at once."

    @staticmethod
    def _said_last() -> str:
        """The error that the service ended with, as the journal has it."""
        said = _answer("journalctl", "--user", "-u", UNIT, "-n", "20", "-o", "cat", "--no-pager")
        errors = [line for line in said.splitlines() if line.startswith("Error: ")]
        return errors[-1].removeprefix("Error: ") if errors else ""

    def _options_path(self) -> Path:
        """Where the service has them: its manager may have other variables than this process."""
        named = self._shown("EnvironmentFiles").partition(" (")[0] if self.is_service else ""
        return Path(named) if named.startswith("/") else user_config_path("edge-pse") / "service.conf"

    @staticmethod
    def _shown(name: str) -> str:
        """A property of the service; empty where no systemd runs for this user."""
        return _answer("systemctl", "--user", "show", f"--property={name}", "--value", UNIT).strip()

    @staticmethod
    def _systemctl(*words: str) -> None:
        _answer("systemctl", "--user", *words, patience_s=_START_S)


def _answer(*command: str, patience_s: float = _ANSWER_S) -> str:
    """What a program says; empty if it fails or is not there."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
