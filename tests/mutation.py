"""Break the code on purpose, one place at a time, and ask the tests that are meant for it.

``python -m tests.mutation --share 0.2`` works on a copy, draws that share of the mutants with a seed, runs for each
the quick test files of its module until one fails, and lists the mutants that lived. Not a part of the test suite.
"""

from __future__ import annotations

import ast
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import click
import numpy  # noqa: F401  what all tests need is loaded once, before a process is made for each mutant
import pytest
import soundfile  # noqa: F401
import soxr  # noqa: F401

ROOT = Path(__file__).parents[1]

_EDGE = "tests/edge_pse"
TESTS = {
    "enhancer": ("enhancer_faults", "enhancer_threads", "enhancer", "far_end"),
    "channels": ("channels",),
    "pace": ("pace",),
    "samples": ("enhancer", "enrollment/offline"),
    "audio/live/engine": ("audio/live/joins", "audio/live/engine"),
    "audio/live/bypass": ("audio/live/joins",),
    "audio/live/splicing": ("audio/live/joins", "audio/live/engine"),
    "audio/live/jitter_buffer": ("audio/live/engine",),
    "audio/live/far_end": ("audio/live/engine", "audio/live/echo_delay"),
    "audio/live/echo_delay": ("audio/live/echo_delay",),
    "audio/files/reading": ("audio/files/files", "audio/files/offline"),
    "audio/files/enhancing": ("audio/files/offline", "audio/files/far_end_files"),
    "audio/stream": ("pcm_stream",),
    "resampling": ("resampling", "pcm_stream", "audio/files/offline"),
    "comfort_noise": ("comfort_noise",),
}
"""Module of ``edge_pse`` -> the test files that are asked, the quickest first."""

_COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One module with one place changed."""

    module: str
    line: int
    change: str
    source: str

    def __str__(self) -> str:
        return f"edge_pse/{self.module}.py:{self.line}: {self.change[:100]}"


def count(source: str) -> int:
    """How many mutants a module's text has."""
    return sum(1 for _ in _changes(ast.parse(source)))


def mutant(module: str, source: str, number: int) -> Mutant:
    """One of them, counted from 0."""
    tree = ast.parse(source)
    node, what, apply = next(islice(_changes(tree), number, None))
    before = ast.unparse(node)
    apply()
    change = what(before) if what else f"{before} -> {ast.unparse(node)}"
    return Mutant(module, node.lineno, " ".join(change.split()), ast.unparse(tree))


def _changes(tree: ast.AST) -> Iterator[tuple]:
    """(node, function from its text to what changes, None for its text after that, function that changes it)."""
    unseen = set(map(id, _annotations(tree)))
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
            yield node, None, lambda node=node: _set(node.ops, 0, _COMPARISONS[type(node.ops[0])]())
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OPERATORS:
            yield node, None, lambda node=node: setattr(node, "op", _OPERATORS[type(node.op)]())
        elif isinstance(node, ast.BoolOp):
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield node, None, lambda node=node, other=other: setattr(node, "op", other())
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node, None, lambda node=node: setattr(node, "value", node.value * 2 or 1)
        elif isinstance(node, ast.Constant) and type(node.value) is bool:
            yield node, None, lambda node=node: setattr(node, "value", not node.value)
        elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
            for answer in (False, True):
                what = f"condition always {answer}: {{}}".format
                yield node, what, lambda node=node, answer=answer: setattr(node, "test", ast.Constant(answer))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("min", "max"):
            other = "max" if node.func.id == "min" else "min"  # type: ignore[attr-defined]
            yield node, None, lambda node=node, other=other: setattr(node.func, "id", other)
        for body in _bodies(node):
            for place, statement in enumerate(body):
                if _does_something(statement):
                    apply = partial(_set, body, place, ast.Pass())
                    yield statement, "without {}".format, apply


def _annotations(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            annotation = getattr(node, name, None)
            if annotation is not None:
                yield from ast.walk(annotation)


def _bodies(node: ast.AST) -> Iterator[list]:
    for name in ("body", "orelse"):
        body = getattr(node, name, None)
        if isinstance(body, list) and not isinstance(node, (ast.Module, ast.ClassDef)):
            yield body


def _does_something(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Call)
    return isinstance(statement, (ast.AugAssign, ast.Raise)) or (
        isinstance(statement, ast.Assign) and isinstance(statement.targets[0], (ast.Attribute, ast.Subscript))
    )


def _set(items: list, place: int, value: ast.AST) -> None:
    items[place] = value


def killed(mutant: Mutant, copy: Path, timeout_s: float) -> bool:
    """Whether a test of its module fails, or does not end in time."""
    path = copy / "edge_pse" / f"{mutant.module}.py"
    original = path.read_text()
    path.write_text(mutant.source)
    try:
        return _tests_fail(mutant.module, copy, timeout_s)
    finally:
        path.write_text(original)


def _tests_fail(module: str, copy: Path, timeout_s: float) -> bool:
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        sys.dont_write_bytecode = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        # The tests of this module may be known already, by their old place.
        for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "edge_pse")]:
            del sys.modules[name]
        files = [f"{_EDGE}/{'/'.join([*parts[:-1], 'test_' + parts[-1]])}.py" for parts in
                 (name.split("/") for name in TESTS[module])]  # fmt: skip
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(copy), *files]))
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _source(copy: Path, module: str) -> str:
    return (copy / "edge_pse" / f"{module}.py").read_text()


@click.command()
@click.option("--module", "chosen", multiple=True, type=click.Choice(list(TESTS)), help="Only these.")
@click.option("--share", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Of all mutants.")
@click.option("--seed", default=0, show_default=True)
@click.option("--timeout", "timeout_s", default=60.0, show_default=True, help="For the tests of one, s.")
@click.option("--minutes", default=40.0, show_default=True, help="Ends then, with what was tried.")
def main(chosen: tuple[str, ...], share: float, seed: int, timeout_s: float, minutes: float) -> None:
    """Break the code on purpose and list what no test saw."""
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in ("edge_pse", "tests", "pyproject.toml"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, copy / name)
        modules = chosen or tuple(TESTS)
        places: list[tuple[str, int]] = []
        for module in modules:
            if _tests_fail(module, copy, timeout_s):
                raise click.ClickException(f"The tests of {module} fail or take too long as it is.")
            places += [(module, number) for number in range(count(_source(copy, module)))]
        drawn = random.Random(seed).sample(places, round(share * len(places)))
        dead = dict.fromkeys(modules, 0)
        tried = dict.fromkeys(modules, 0)
        for module, number in drawn:
            if time.monotonic() > end:
                break
            changed = mutant(module, _source(copy, module), number)
            tried[module] += 1
            if killed(changed, copy, timeout_s):
                dead[module] += 1
            else:
                click.echo(f"lives  {changed}")
    for module in modules:
        click.echo(f"{module}: {dead[module]} of {tried[module]} died")
    click.echo(f"{sum(dead.values())} of {sum(tried.values())} died; there are {len(places)} mutants.")


if __name__ == "__main__":
    main()
