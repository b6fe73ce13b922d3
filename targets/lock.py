"""Writes what ``install.sh`` installs, each file with its hashes: ``python targets/lock.py``; needs ``pip install uv``.

One file for each inference runtime, one for what builds the wheel, one for what speaks with assistants, one for what
serves the panel, and one for what the learner of personal weights needs beside PyTorch, of which each machine needs
another build. All lie beside
this script. They hold for Python 3.11 and later on x86_64 and aarch64. Versions that are locked stay as long as they
fit; ``--upgrade`` takes the newest.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
RUNTIMES = {"litert": "ai-edge-litert", "onnx": "onnxruntime"}
"""As ``install.sh --backend`` calls them -> the distribution."""
BUILD, PERSONAL, ASSISTANT, PANEL = "build", "personal", "assistant", "panel"
# Its later versions are not for Python 3.11 and newer, which uv does not look at, and pip does.
_NEEDED_BY_LITERT = "backports-strenum<1.3"
_ELSEWHERE = ("torch", "edge-pse")
"""Of what the learner needs: the one has a build for each machine, the other is what is installed."""
_HEADER = "# Written by targets/lock.py; see `python targets/lock.py --help`.\n"


def file_of(name: str) -> Path:
    """The lock file of a runtime, of what builds the wheel, of an assistant, of the panel, or of the learner."""
    return HERE / f"requirements-{name}.txt"


def requirements() -> dict[str, list[str]]:
    """What is to be locked: for each file what ``pyproject.toml`` asks for, of the runtimes only one."""
    pyproject = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    asked = [*project["dependencies"], *extras]
    others = [line for line in project["dependencies"] if not line.startswith(tuple(RUNTIMES.values()))]
    wanted = {BUILD: pyproject["build-system"]["requires"]}
    for name, distribution in RUNTIMES.items():
        runtime = next(line for line in asked if line.startswith(distribution))
        wanted[name] = [*others, runtime.partition(";")[0].strip()]
    wanted["litert"].append(_NEEDED_BY_LITERT)
    for extra in (ASSISTANT, PANEL):
        wanted[extra] = project["optional-dependencies"][extra]
    learner = project["optional-dependencies"][PERSONAL]
    wanted[PERSONAL] = [*wanted["onnx"], *(line for line in learner if not line.startswith(_ELSEWHERE))]
    return wanted


def main() -> None:
    """Write them all."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    for name, lines in requirements().items():
        path = file_of(name)
        subprocess.run(
            ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version", "3.11",
             "--no-header", "--no-annotate", *sys.argv[1:], "--output-file", path, "-"],
            input="\n".join(lines), text=True, check=True,
        )  # fmt: skip
        path.write_text(_HEADER + path.read_text())


if __name__ == "__main__":
    main()
