"""Nothing leaves the machine, and nothing is kept but where docs/privacy.md says so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from edge_pse.backends import RUNTIMES

PROJECT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from edge_pse.cli import main; main()"]
SPEECH = PROJECT / "tests/fixtures/ls367_enrollment.opus"
NAMED = (
    ".local/share/edge-pse/profiles/me.profile.json",
    ".local/share/edge-pse/profiles/.lock",
    ".config/pulse/",
)
"""Where docs/privacy.md says that something is written: profiles, and what the sound server's library keeps."""
LIBRARIES = r"""(?:^\s*(?:import|from) |\(")(?:onnx|onnxruntime|speechmos|neural_compressor)\b"""
"""What loads ONNX Runtime, or may: a line that imports, or a call that imports by name."""
SECONDS_UNTIL_IT_SENDS = 14
"""ONNX Runtime waits for ten seconds before it tries to send what it counted."""


@pytest.fixture
def stranger(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has nothing yet, and in whose shell the telemetry is asked for."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    kept = {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV") if name in os.environ
    }
    return {**kept, "HOME": str(home), "TMPDIR": str(temporary), "ORT_DISABLE_TELEMETRY": "0"}


def files_below(directory: Path) -> Iterator[str]:
    for path in directory.rglob("*"):
        if not path.is_dir() or path.is_symlink():
            yield path.relative_to(directory).as_posix()


def test_no_command_writes_but_where_it_is_named(stranger: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    soundfile.write(work / "speech.wav", *soundfile.read(SPEECH, dtype="float32"))
    backends = [name for name, runtime in RUNTIMES.items() if runtime.installed_version()]
    enhance = "enhance speech.wav -o enhanced.wav --profile me"
    commands = [
        "enroll me --from speech.wav",
        "enroll me --verify --from speech.wav",
        *(f"{enhance} --backend {backend}".replace("enhanced", backend) for backend in backends),
        "profiles list",
        "profiles export me exported.json",
        "bench --seconds 0.1",
        "info",
        "devices",
        "doctor",
        "run --profile me --input no-such-device",
        "virtual-mic status",
    ]
    for command in commands:
        done = subprocess.run(
            [*PROGRAM, *command.split()], cwd=work, env=stranger, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr, f"{command}: {done.stderr}"
        assert done.returncode == 0 or command.startswith(("doctor", "run")), f"{command}: {done.stderr}"
    left = [path for path in files_below(Path(stranger["HOME"])) if not path.startswith(NAMED)]
    assert not left, "written outside the places that docs/privacy.md names"
    assert set(files_below(work)) == {
        "speech.wav",
        "exported.json",
        *(f"{backend}.wav" for backend in backends),
    }
    # A sound server that can't be reached lets its library make an empty folder for it.
    assert not list(files_below(Path(stranger["TMPDIR"])))


def modules_that_load_it() -> list[str]:
    """All modules of the project that import ONNX Runtime themselves, or something that does."""
    return [
        path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".")
        for package in (
            "edge_pse",
            "evaluation",
            "export",
            "personalisation",
            "quantization",
            "studies",
            "training",
        )
        for path in sorted((PROJECT / package).rglob("*.py"))
        if re.search(LIBRARIES, path.read_text(encoding="utf-8"), re.MULTILINE)
    ]


@pytest.mark.skipif(not RUNTIMES["onnx"].installed_version(), reason="ONNX Runtime is not installed here")
def test_whatever_loads_onnx_runtime_has_switched_its_telemetry_off(stranger: dict[str, str]) -> None:
    modules = modules_that_load_it()
    assert {"edge_pse.backends.onnx", "evaluation.metrics.perceptual", "quantization.onnx_int8"} <= set(
        modules
    )
    code = (
        "import contextlib, importlib, sys\n"
        "with contextlib.suppress(ImportError): importlib.import_module(sys.argv[1])\n"
        "import onnxruntime\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, module], cwd=PROJECT, env=stranger)
        for module in modules
    ]
    assert [process.wait(timeout=120) for process in running] == [0] * len(modules)
    left = [path for path in files_below(Path(stranger["HOME"])) if "onnx" in path.lower()]
    assert not left, f"one of {modules} lets ONNX Runtime keep an id of this machine"


def test_no_runtime_tries_to_reach_a_network(stranger: dict[str, str], tmp_path: Path) -> None:
    """A loaded model of each runtime, in a namespace without a network, and every call about networks traced."""
    for tool in ("unshare", "strace"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}, to see what is tried without a network")
    alone = subprocess.run(["unshare", "-n", "strace", "-qq", "true"], capture_output=True, text=True)
    if alone.returncode:
        pytest.skip(f"no process can be traced without a network here: {alone.stderr.strip()}")
    code = (
        "import sys, time, numpy, edge_pse\n"
        "streams = [edge_pse.Enhancer(edge_pse.Model.load(backend=name)) for name in sys.argv[2:]]\n"
        "for stream in streams: stream.process(numpy.zeros(16_000, numpy.float32))\n"
        "time.sleep(float(sys.argv[1]))\n"
    )
    backends = [name for name, runtime in RUNTIMES.items() if runtime.installed_version()]
    log = tmp_path / "calls"
    tracing = ["unshare", "-n", "strace", "-f", "-qq", "-e", "trace=%network", "-o", str(log)]
    python = [sys.executable, "-c", code, str(SECONDS_UNTIL_IT_SENDS), *backends]
    subprocess.run([*tracing, *python], env=stranger, check=True, cwd=PROJECT)
    tried = [line for line in log.read_text(errors="replace").splitlines() if "AF_INET" in line]
    assert not tried
