"""How many times faster than real time a file is enhanced, everything included: ``python -m tests.speed``.

Two minutes of real speech through ``edge-pse enhance``, with the start of Python, the loading of the model, reading and
writing. What counts is the time of the processor, so that it is that of one core; the best of a few runs, because other
programs make it longer. Exits with 1 below the bar.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

FIXTURES = Path(__file__).parent / "fixtures"
VOICES = ("ls367_speech", "ls2033_speech", "ls1688_speech")
SECONDS, RATE_HZ = 120, 16_000
RUNS = 5
LEAST_TIMES_REAL_TIME = 50.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def measure(directory: Path, *options: str) -> tuple[float, float]:
    """Seconds of the processor and megabytes, at their peak, of one run with these options."""
    speech = np.concatenate(
        [soundfile.read(FIXTURES / f"{voice}.opus", dtype="float32")[0] for voice in VOICES]
    )
    soundfile.write(directory / "in.wav", np.resize(speech, SECONDS * RATE_HZ), RATE_HZ)
    program = [sys.executable, "-c", "from edge_pse.cli import main; main()"]
    out = directory / "out.wav"
    out.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*program, "enhance", str(directory / "in.wav"), "-o", str(out), *options],
        stdout=subprocess.DEVNULL,
        env={**os.environ, **ONE_THREAD},
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"edge-pse enhance {' '.join(options)} failed.")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Print the figures; options of ``edge-pse enhance`` may be given."""
    with tempfile.TemporaryDirectory() as temporary:
        runs = [measure(Path(temporary), *sys.argv[1:]) for _ in range(RUNS)]
    seconds, megabytes = (min(values) for values in zip(*runs, strict=True))
    times = SECONDS / seconds
    print(
        f"{SECONDS} s in {seconds:.2f} s of one core: {times:.0f} times real time "
        f"(at least {LEAST_TIMES_REAL_TIME:.0f}), {megabytes:.0f} MB"
    )
    sys.exit(times < LEAST_TIMES_REAL_TIME)


if __name__ == "__main__":
    main()
