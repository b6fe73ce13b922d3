"""Fresh Debian systems to install into, and the wheels that are installed; kept in ``.cache``."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / ".cache"
SHIPPED = ("edge_pse", "targets", "pyproject.toml", "README.md", "LICENSE")
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
    """What edge-pse declares that it needs, and what builds it, for another Python and processor."""
    wheels = CACHE / f"wheels-{release}-{machine}"
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    litert = project["project"]["optional-dependencies"]["litert"]
    requirements = project["project"]["dependencies"] + litert + project["build-system"]["requires"]
    complete = wheels / "complete"
    if not complete.exists() or complete.read_text() != str(requirements):
        platforms = (f"manylinux_2_28_{machine}", f"manylinux_2_27_{machine}", f"manylinux2014_{machine}")
        run(
            sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:",
            *(word for platform in platforms for word in ("--platform", platform)),
            f"--python-version={PYTHON[release]}", "--implementation=cp", "-d", wheels, *requirements,
        )  # fmt: skip
        complete.write_text(str(requirements))
    return wheels
