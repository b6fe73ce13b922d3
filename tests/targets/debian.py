"""Fresh Debian systems to install into, and the wheels that are installed; kept in ``.cache``."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / ".cache"
SHIPPED = ("edge_pse", "targets", "pyproject.toml", "README.md", "LICENSE")
LOCKS = {
    name: PROJECT / f"targets/requirements-{name}.txt"
    for name in ("litert", "onnx", "build", "personal", "assistant", "panel")
}
"""What is installed, builds the wheel, learns, speaks with assistants, serves pages; by ``targets/lock.py``."""
PYTHON = {"bookworm": "3.11", "trixie": "3.13"}


def run(*command: str | Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], check=True, **options)


def need(programs: dict[str, str]) -> None:
    """Skips where there is no root, or a program is missing; ``programs``: program -> packages that bring it."""
    if os.geteuid() != 0:
        pytest.skip("a Debian of the test's own needs root, to change the root")
    missing = [packages for program, packages in programs.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"a Debian of the test's own needs: apt-get install {' '.join(missing)}")


def built_root(name: str, *arguments: str) -> Path:
    """A minimal Debian, built once; ``arguments`` of mmdebstrap."""
    root = CACHE / name
    if not root.exists():
        building = CACHE / f"{name}.building"
        remove_tree(building)
        CACHE.mkdir(exist_ok=True)
        run("mmdebstrap", "--variant=minbase", *arguments, building)
        building.rename(root)
    return root


def remove_tree(path: Path) -> None:
    """Remove it, unless something is mounted inside: what is removed there may be the machine's own."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [place for place in mounted if Path(place).is_relative_to(path)]
    assert not inside, f"umount {' '.join(inside)}, which an earlier run has left"
    if path.exists():
        shutil.rmtree(path)


def copy_checkout(to: Path) -> Path:
    """What a user has after a download, without what was built here."""
    remove_tree(to)
    to.mkdir(parents=True)
    for name in SHIPPED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    return to


def downloaded_wheels(release: str, machine: str) -> Path:
    """What is locked, for another Python and processor; pip refuses what has another hash."""
    wheels = CACHE / f"wheels-{release}-{machine}"
    wanted = "".join(lock.read_text() for lock in LOCKS.values())
    complete = wheels / "complete"
    if not complete.exists() or complete.read_text() != wanted:
        remove_tree(wheels)
        wheels.mkdir(parents=True)
        platforms = (f"manylinux_2_28_{machine}", f"manylinux_2_27_{machine}", f"manylinux2014_{machine}")
        for lock in LOCKS.values():
            those = wheels / lock.name
            those.write_text(those_for(lock.read_text(), PYTHON[release], machine))
            run(
                sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--require-hashes",
                *(word for platform in platforms for word in ("--platform", platform)),
                f"--python-version={PYTHON[release]}", "--implementation=cp", "-d", wheels, "-r", those,
            )  # fmt: skip
        complete.write_text(wanted)
    return wheels


def those_for(lock: str, python: str, machine: str) -> str:
    """The lines of a lock file that hold for a Python and a processor: pip asks those that it runs on itself."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
    }
    chosen = []
    for entry in re.split(r"^(?=[a-z])", lock, flags=re.MULTILINE)[1:]:  # the first is a comment
        first, *hashes = entry.splitlines()
        requirement, _, marker = first.removesuffix("\\").partition(";")
        if not marker or Marker(marker).evaluate(environment):
            chosen += [f"{requirement} \\", *hashes]
    return "\n".join(chosen) + "\n"


def locked(lock: str, python: str, machine: str) -> dict[str, str]:
    """Distribution -> version, for a Python and a processor."""
    return dict(re.findall(r"^(\S+)==(\S+)", those_for(lock, python, machine), re.MULTILINE))
