"""The command, run in this process or as one of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_pse.cli.program import commands

PROGRAM = [sys.executable, "-c", "from edge_pse.cli import main; main()"]


@pytest.fixture
def run(home: Path) -> Callable[..., Result]:
    """``run("info")`` -> what the command printed and its exit status; profiles are those of the test."""

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "\x1b" not in result.output
        return result

    return invoke


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """``refused("info")`` -> the one sentence with which the command failed; nothing else was printed."""

    def invoke(*arguments: object, status: int = 1) -> str:
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (status, "")
        last = result.stderr.splitlines()[-1]
        assert status == 2 or result.stderr == f"{last}\n"
        assert last.startswith("Error: ")
        return last

    return invoke


@pytest.fixture
def start(home: Path) -> Callable[..., subprocess.Popen]:
    """``start("info")`` -> the command as a process of its own, its output as text in pipes."""

    def open_process(*arguments: object, stderr: int = subprocess.PIPE) -> subprocess.Popen:
        return subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "EDGE_PSE_HOME": str(home)},
        )

    return open_process


@pytest.fixture
def names_in() -> Callable[[Path], list[str]]:
    """``names_in(directory)`` -> all names in it, hidden ones too."""
    return lambda directory: sorted(path.name for path in directory.iterdir())


@pytest.fixture
def learner_folder(tmp_path: Path) -> Path:
    """Where a process that learns nothing is in the place of the learner; ``EDGE_PSE_CHILD`` says how it behaves."""
    folder = tmp_path / "learner"
    (folder / "personalisation").mkdir(parents=True)
    (folder / "personalisation/__init__.py").touch()
    shutil.copy(
        Path(__file__).with_name("personalisation") / "child.py", folder / "personalisation/__main__.py"
    )
    return folder


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Callable[..., tuple[list[int], str]]:
    """``shell("edge-pse info | wc")`` -> the exit status of each program, and what stood on stderr; in ``tmp_path``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "edge-pse"
    program.write_text(f'#!/bin/sh\nexec {PROGRAM[0]} {PROGRAM[1]} "{PROGRAM[2]}" "$@"\n')
    program.chmod(0o755)
    if shutil.which("bash") is None:
        pytest.skip("the lines are typed into bash")

    def typed(line: str, **environment: str) -> tuple[list[int], str]:
        env = {
            **os.environ,
            "EDGE_PSE_HOME": str(home),
            "PATH": f"{folder}:{os.environ['PATH']}",
            **environment,
        }
        done = subprocess.run(
            ["bash", "-c", f'{line}; echo "${{PIPESTATUS[@]}}" >statuses'],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr
        return [int(status) for status in (tmp_path / "statuses").read_text().split()], done.stderr

    return typed


@pytest.fixture
def ffmpeg() -> None:
    """Skips where there is none."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg: apt-get install ffmpeg")


@pytest.fixture
def filter_process(home: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """``filter_process("enhance", "-", "-o", "-")`` -> a process whose input and output are pipes of the test."""
    started: list[subprocess.Popen] = []

    def start(*arguments: object, **streams: int) -> subprocess.Popen:
        started.append(
            subprocess.Popen(
                [*PROGRAM, *map(str, arguments)],
                bufsize=0,
                env={**os.environ, "EDGE_PSE_HOME": str(home)},
                **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
