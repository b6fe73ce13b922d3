"""What edge-pse takes on a disk and in memory with one runtime: ``make footprint``.

Exits with 1 beyond the limits. Installs into an environment of its own, which goes again, as `targets/install.sh`
does. Memory is that of ``edge-pse bench``; that of the service is looked at by ``make test-install``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).parents[1]
INSTALLED_MB = {"onnx": 210, "litert": 200}
"""Millions of bytes in the whole environment, pip included: 32 of them are the files of three networks for both
runtimes, 80 are ONNX Runtime."""
RESIDENT_MB = 120


def measure(backend: str, wheel: Path, directory: Path) -> tuple[float, dict[str, float]]:
    """Megabytes on the disk, and in memory for each model that the runtime has."""
    venv.create(directory, with_pip=True)
    program = directory / "bin"
    pip = [program / "python", "-m", "pip"]
    install = [*pip, "install", "--quiet", "--no-compile"]
    locked = PROJECT / f"targets/requirements-{backend}.txt"
    subprocess.run([*install, "--require-hashes", "--requirement", locked], check=True)
    subprocess.run([*install, "--no-deps", wheel], check=True)
    bench = [program / "edge-pse", "bench", "--all", "--seconds", "2", "--json"]
    results = json.loads(subprocess.run(bench, check=True, capture_output=True, text=True).stdout)
    # Only now: what was used has compiled itself.
    files = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    installed_mb = sum(path.stat().st_size for path in files) / 1e6
    return installed_mb, {result["model"]: result["resident_mb"] for result in results}


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description="What edge-pse takes on a disk and in memory.").parse_args()
    within = True
    with tempfile.TemporaryDirectory() as temporary:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", temporary, PROJECT]
        subprocess.run(build, check=True)
        (wheel,) = Path(temporary).glob("edge_pse-*.whl")
        for backend in ("onnx", "litert"):
            installed_mb, resident_mb = measure(backend, wheel, Path(temporary) / backend)
            print(f"{backend}: {installed_mb:.0f} MB installed (limit {INSTALLED_MB[backend]})")
            for model, size_mb in resident_mb.items():
                print(f"    {model:24} {size_mb:4.0f} MB resident (limit {RESIDENT_MB})")
            within &= installed_mb < INSTALLED_MB[backend] and max(resident_mb.values()) < RESIDENT_MB
    sys.exit(not within)


if __name__ == "__main__":
    main()
