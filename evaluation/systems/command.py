"""An external command as a system: it reads a noisy file and writes an enhanced one."""

from __future__ import annotations

import resource
import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.systems.process import TIMEOUT_PER_AUDIO_SECOND, Output
from evaluation.systems.spec import SystemFailure, SystemInfo

PLACEHOLDERS = ("noisy", "enroll", "far", "out")


class CommandSystem:
    """Runs a template such as ``mytool {noisy} --voice {enroll} -o {out}`` once per clip, without a shell.

    Files are mono WAV of 32-bit floats at the rate of the scene; the output may have any rate and any number of
    channels.
    """

    alive = True

    def __init__(self, template: str) -> None:
        try:
            self._words = shlex.split(template)
            used = {name for name in PLACEHOLDERS if "{" + name + "}" in template}
            self._filled({name: name for name in PLACEHOLDERS})
        except (ValueError, KeyError, IndexError) as error:
            raise SystemFailure(
                f"the command template cannot be read ({error}); it may hold "
                f"{', '.join('{' + name + '}' for name in PLACEHOLDERS)}"
            ) from error
        if not {"noisy", "out"} <= used:
            raise SystemFailure("the command template needs {noisy} and {out}")
        self.info = SystemInfo(
            description=template,
            uses_profile="enroll" in used,
            needs_far_end="far" in used,
            streams=False,
            full_band=True,
        )

    def enhance(
        self,
        mixture: np.ndarray,
        enrollment: np.ndarray | None,
        far_end: np.ndarray | None,
        rate_hz: int = SAMPLE_RATE_HZ,
    ) -> Output:
        """Run the command on one clip. SystemFailure if it fails, hangs, or writes nothing readable."""
        if self.info.uses_profile and enrollment is None:
            raise SystemFailure("the command needs an enrollment and this run has none")
        with tempfile.TemporaryDirectory(prefix="evaluation-") as name:
            folder = Path(name)
            files = {name: str(folder / f"{name}.wav") for name in PLACEHOLDERS}
            for key, samples in (("noisy", mixture), ("enroll", enrollment), ("far", far_end)):
                if samples is not None:
                    soundfile.write(files[key], samples, rate_hz, subtype="FLOAT")
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            self._run(files, 30.0 + TIMEOUT_PER_AUDIO_SECOND * len(mixture) / rate_hz)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return Output(_read_output(Path(files["out"]), rate_hz), cpu)

    def close(self) -> None:
        """Nothing stays open between clips."""

    def _filled(self, files: dict[str, str]) -> list[str]:
        return [word.format(**files) for word in self._words]

    def _run(self, files: dict[str, str], timeout: float) -> None:
        try:
            done = subprocess.run(self._filled(files), capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise SystemFailure("the command did not end in time and was stopped") from None
        except OSError as error:
            raise SystemFailure(f"the command cannot be started: {error.strerror}") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            last = f": {said[-1][:200]}" if said else ""
            raise SystemFailure(f"the command ended with status {done.returncode}{last}")


def _read_output(path: Path, rate_hz: int) -> np.ndarray:
    if not path.exists():
        raise SystemFailure("the command ended well but wrote no {out}")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        raise SystemFailure("the command wrote something to {out} that is no audio file") from None
    mono = samples.mean(axis=1)
    return mono if rate == rate_hz else soxr.resample(mono, rate, rate_hz)
