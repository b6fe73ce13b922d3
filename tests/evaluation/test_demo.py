"""``make demo``, with no more than it installs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

PROJECT = Path(__file__).parents[2]
WORKSHOP = (
    "onnxruntime",
    "scipy",
    "torch",
    "onnx",
    "librosa",
    "speechmos",
    "pystoi",
    "pyroomacoustics",
    "pytest",
)
"""What the extras have beyond the demo's; a newcomer has none of it."""


def level_db(path: Path, lowest_hz: int, highest_hz: int) -> float:
    """Of what lies there in a file of 48 kHz."""
    samples, rate = soundfile.read(path)
    assert rate == 48_000
    frequencies = np.fft.rfftfreq(samples.size, 1 / rate)
    spectrum = np.fft.rfft(samples)[(frequencies >= lowest_hz) & (frequencies < highest_hz)]
    return float(10 * np.log10(np.sum(np.abs(spectrum) ** 2)))


@pytest.mark.parametrize("compiler", [True, False])
def test_it_lifts_a_voice_out_with_what_a_newcomer_has(tmp_path: Path, compiler: bool) -> None:
    pytest.importorskip("ai_edge_litert", reason="the demo runs on LiteRT where nothing else is installed")
    missing = WORKSHOP if compiler else (*WORKSHOP, "pesq")
    program = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({missing!r})); "
        "runpy.run_module('evaluation.demo', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", program, "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    rows = {row[0]: row[1:] for row in cells if len(row) == 3}
    si_sdr_db = {name: float(row[0]) for name, row in rows.items()}
    assert si_sdr_db["his profile"] > si_sdr_db["input"] + 3
    assert si_sdr_db["the other talker's profile"] < si_sdr_db["his profile"] - 5
    assert all((row[1] == "-") != compiler for row in rows.values())
    assert ("PESQ is not installed" in done.stdout) != compiler
    assert {path.name for path in tmp_path.iterdir()} >= {"input.wav", "his-profile.wav", "spectrograms.png"}
    files = [tmp_path / f"{name}.wav" for name in ("input", "reference", "his-profile")]
    given, wanted, kept = (level_db(path, 8_200, 20_000) for path in files)
    assert wanted - 12 < kept < given - 3
    # Nothing shows that the network ends at 8 kHz.
    steps = [level_db(path, 7_400, 7_900) - level_db(path, 8_100, 8_600) for path in files[1:]]
    assert abs(steps[1] - steps[0]) < 3
