"""The evaluation's side of a system's process: start it, ask it, and say plainly when it fails."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.systems.protocol import read_message, write_message
from evaluation.systems.spec import SystemFailure, SystemInfo, SystemSpec

PROJECT_FOLDER = Path(__file__).parents[2]
PEERS_PYTHON_VARIABLE = "EDGE_PSE_PEERS_PYTHON"
START_TIMEOUT_SECONDS = 120.0
TIMEOUT_PER_AUDIO_SECOND = 20.0
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def peers_python() -> str:
    """The interpreter for peers: $EDGE_PSE_PEERS_PYTHON, else the project's `.venv-peers`, else this one."""
    named = os.environ.get(PEERS_PYTHON_VARIABLE)
    if named:
        return named
    beside = PROJECT_FOLDER / ".venv-peers" / "bin" / "python"
    return str(beside) if beside.exists() else sys.executable


@dataclass(frozen=True)
class Output:
    """What a system made of one clip."""

    samples: np.ndarray
    cpu_seconds: float | None = None
    peak_rss_mb: float | None = None


class SystemProcess:
    """A model or a peer in its own process. Raises SystemFailure with a reason, never anything else."""

    def __init__(self, spec: SystemSpec) -> None:
        self.spec = spec
        self.info = SystemInfo()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._deadline = 0.0
        python = peers_python() if spec.kind == "peer" else sys.executable
        band = [] if spec.full_band else ["8"]
        search = [str(PROJECT_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            self._process = subprocess.Popen(
                [
                    python,
                    "-m",
                    "evaluation.systems.worker",
                    spec.kind,
                    spec.argument,
                    *band,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(search)},
            )
        except OSError as error:
            raise SystemFailure(f"cannot start {python}: {error.strerror}") from error
        header, _ = self._receive(START_TIMEOUT_SECONDS)
        if header["error"]:
            self.close()
            raise SystemFailure(header["error"])
        self.info = SystemInfo.from_dict(header["info"])

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = SAMPLE_RATE_HZ,
    ) -> Output:
        """Send one clip, get its output. After a failure the process may be gone: see `alive`."""
        assert self._process.stdin is not None
        arrays = {"mixture": mixture, "enrollment": enrollment, "far_end": far_end}
        try:
            write_message(self._write, {"rate_hz": rate_hz}, arrays)
        except BrokenPipeError:
            raise SystemFailure(self._obituary()) from None
        seconds = (len(mixture) + (0 if enrollment is None else len(enrollment))) / rate_hz
        header, answer = self._receive(30.0 + TIMEOUT_PER_AUDIO_SECOND * seconds)
        if header["error"]:
            raise SystemFailure(header["error"])
        samples = answer["output"]
        if samples is None:
            raise SystemFailure("it returned nothing")
        return Output(samples, header["cpu_seconds"], header["peak_rss_mb"])

    @property
    def alive(self) -> bool:
        """Whether the process can still take a clip."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        try:
            self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _receive(self, timeout: float) -> tuple[dict[str, Any], dict[str, np.ndarray | None]]:
        self._deadline = time.monotonic() + timeout
        try:
            return read_message(self._readline, self._read)
        except EOFError:
            raise SystemFailure(self._obituary()) from None

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        data = b""
        while len(data) < count:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self._process.kill()
                raise SystemFailure("it did not answer in time and was stopped")
            chunk = os.read(self._process.stdout.fileno(), count - len(data))
            if not chunk:
                break
            data += chunk
        return data

    def _readline(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._read(1)
            if not byte:
                return b""
            line += byte
        return line

    def _obituary(self) -> str:
        """How the process ended, with the last thing it said."""
        status = self._process.wait()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with {how}" + (f": {said[-1][:200]}" if said else "")
