"""A booted Debian, systemd and PipeWire included, whose every change is gone with it."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

USER = "pi"
# Sinks and a microphone, as PipeWire has them on a machine with cards: `desk` hears what is played to `room`.
_SOUND = """pulse.cmd = [
    { cmd = "load-module" args = "module-null-sink sink_name=room rate=48000 channels=2" }
    { cmd = "load-module" args = "module-remap-source source_name=desk master=room.monitor channels=1" }
]
"""
_SET_UP = f"""
useradd --create-home --shell /bin/bash --groups sudo,audio {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
mkdir -p /etc/pipewire/pipewire-pulse.conf.d
echo '{_SOUND}' >/etc/pipewire/pipewire-pulse.conf.d/cards.conf
loginctl enable-linger {USER}
"""


class Container:
    """Started on creation; ``see``: directories of this machine -> where they are to be seen, read-only."""

    def __init__(self, root: Path, see: dict[Path, str], log: Path):
        binds = [f"--bind-ro={here}:{there}" for here, there in see.items()]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["systemd-nspawn", "--quiet", f"--directory={root}", "--volatile=overlay", "--register=no",
                 "--keep-unit", "--resolv-conf=bind-host", "--boot", *binds],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._log, self._leader = log, ""
        try:
            self._leader = self._wait_for_leader()
            self.wait_until("systemctl is-system-running | grep -E 'running|degraded'", user="root")
            self.run(_SET_UP, user="root")
            self.wait_until("test -S $XDG_RUNTIME_DIR/pulse/native")
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Pull the plug: nothing in there is worth an orderly end, for which a hanging process is waited for."""
        if self._leader:
            os.kill(int(self._leader), signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def run(
        self, script: str, user: str = USER, status: int | None = 0, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """A shell script in there, in the session of a user; ``status``: its exit status, None for any."""
        done = subprocess.run(self._inside(script, user), capture_output=True, text=True, timeout=seconds)
        assert status in (None, done.returncode), (
            f"{script}\n-> {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def output(self, script: str, user: str = USER) -> str:
        """What a script prints."""
        return self.run(script, user).stdout.strip()

    def start(self, script: str, user: str = USER) -> subprocess.Popen[bytes]:
        """A script in the background; its output, as bytes, is to be read."""
        return subprocess.Popen(self._inside(script, user), stdout=subprocess.PIPE)

    def wait_until(self, script: str, seconds: float = 40, user: str = USER) -> str:
        """Try until it succeeds -> what it printed."""
        until = time.monotonic() + seconds
        while True:
            done = self.run(script, user, status=None)
            if done.returncode == 0:
                return done.stdout.strip()
            assert time.monotonic() < until, f"not within {seconds} s: {script}\n{done.stdout}{done.stderr}"
            time.sleep(0.3)

    def _inside(self, script: str, user: str) -> list[str]:
        home = "/root" if user == "root" else f"/home/{user}"
        environment = [f"HOME={home}", f"USER={user}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        enter = ["nsenter", f"--target={self._leader}", "--all", "env", "-i", *environment]
        if user == "root":
            return [*enter, "sh", "-ec", script]
        session = f"export XDG_RUNTIME_DIR=/run/user/$(id -u); cd; {script}"
        return [
            *enter,
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            "--init-groups",
            "sh",
            "-ec",
            session,
        ]

    def _wait_for_leader(self) -> str:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for _ in range(100):
            assert self._process.poll() is None, self._log.read_text()
            for child in children.read_text().split():
                # Between its birth and the start of systemd it is not yet in the new root.
                with contextlib.suppress(FileNotFoundError):  # some end at once
                    own_root = not Path(f"/proc/{child}/root").samefile("/")
                    if own_root and Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        return child
            time.sleep(0.1)
        raise AssertionError(f"systemd-nspawn started nothing: {self._log.read_text()}")
