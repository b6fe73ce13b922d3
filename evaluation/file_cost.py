"""What a file costs ``edge-pse enhance``, everything included: ``python -m evaluation.file_cost``.

Two minutes of real speech, with the start of Python, the loading of the model, reading and writing. What counts is the
time of the processor, so that it is that of one core; the least of a few runs, because other programs make it longer.
Models take turns. Exits with 1 below the bar, unless the figures are to be published.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import soundfile

from evaluation.published import FileCost, Published

RECORDINGS = Path(__file__).parents[1] / "tests/fixtures"
VOICES = ("ls367_speech", "ls2033_speech", "ls1688_speech")
SECONDS, RATE_HZ = 120, 16_000
RUNS = 5
LEAST_TIMES_REAL_TIME = 50.0
"""Of what is taken where nothing else is asked for."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
DEFAULT = ""
"""No options at all."""
OPTIONS = (DEFAULT, "--model pvqe-s.fp32 --backend onnx")
"""Of ``edge-pse enhance``, each measured."""


def measure_files(options: tuple[str, ...] = OPTIONS, runs: int = RUNS) -> list[FileCost]:
    """The least of some runs for each of ``options``, in turns. Raises RuntimeError where a run fails."""
    speech = np.concatenate(
        [soundfile.read(RECORDINGS / f"{voice}.opus", dtype="float32")[0] for voice in VOICES]
    )
    with tempfile.TemporaryDirectory() as temporary:
        sound = Path(temporary) / "in.wav"
        soundfile.write(sound, np.resize(speech, SECONDS * RATE_HZ), RATE_HZ)
        turns = [[_run(sound, words) for words in options] for _ in range(runs)]
    least = np.min(turns, axis=0)
    return [FileCost(words, *map(float, costs)) for words, costs in zip(options, least, strict=True)]


# A process starts with the peak memory of the one that started it, so a small one does that.
_MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(status != 0)
"""


def _run(sound: Path, options: str) -> tuple[float, float]:
    """Seconds of the processor and megabytes at the peak."""
    out = sound.with_name("out.wav")
    out.unlink(missing_ok=True)
    program = [sys.executable, "-c", "from edge_pse.cli import main; main()"]
    enhance = [*program, "enhance", str(sound), "-o", str(out), *options.split()]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *enhance],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ONE_THREAD},
    )
    if done.returncode:
        raise RuntimeError(f"edge-pse enhance {options} failed: see what it says above.")
    cpu_s, peak_rss_mb = map(float, done.stdout.split())
    return cpu_s, peak_rss_mb


@click.command()
@click.option("--publish", is_flag=True, help="Write the figures into evaluation/results.json.")
def main(publish: bool) -> None:
    """Measure what two minutes of sound cost edge-pse enhance, in time and memory."""
    try:
        files = measure_files()
        if publish:
            published = Published.load()
            published.files = files
            published.files_command = "python -m evaluation.file_cost"
            published.write()
    except (OSError, ValueError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    for file in files:
        click.echo(
            f"{SECONDS} s in {file.cpu_s:.2f} s of one core, {SECONDS / file.cpu_s:.0f} times real time, "
            f"{file.peak_rss_mb:.0f} MB: {file.options or 'no options'}"
        )
    if not publish and SECONDS / files[0].cpu_s < LEAST_TIMES_REAL_TIME:
        raise click.ClickException(f"Less than {LEAST_TIMES_REAL_TIME:.0f} times real time.")


if __name__ == "__main__":
    main()
