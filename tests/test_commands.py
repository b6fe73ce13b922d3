"""Commands that texts name: each ``python -m`` of a package of the project exists, and its words parse.

Looked for in documents, docstrings, comments, recipes and the Makefile. What stands between backticks or quotes, or
begins a line, is a whole command; in the middle of a sentence only the module is.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

HERE = Path(__file__)
PROJECT = HERE.parents[1]
PACKAGES = (
    "edge_pse",
    "training",
    "export",
    "quantization",
    "personalisation",
    "evaluation",
    "studies",
    "tests",
)
PLACES = (*PACKAGES, "docs", "targets")
SUFFIXES = (".md", ".py", ".sh", ".toml", ".txt")
NAMED = re.compile(r"(``?|[\"'])?([\w./$()~-]*python[\d.]*) -m ([a-z]\w*(?:\.[a-z_]\w*)*)")
BEFORE_A_COMMAND = re.compile(r"[\s#$@]*")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*|.*[{}].*")


def texts() -> Iterator[Path]:
    """Files of the project that name commands, perhaps."""
    yield from (PROJECT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml"))
    for place in PLACES:
        yield from (
            path for path in sorted((PROJECT / place).rglob("*")) if path.suffix in SUFFIXES and path != HERE
        )


def commands_in(text: str) -> Iterator[str]:
    """``MODULE WORDS...`` of each command of a package of the project that a text names."""
    for found in NAMED.finditer(text):
        delimiter, _, module = found.groups()
        if module.split(".")[0] not in PACKAGES:
            continue
        words = ""
        line = text.rfind("\n", 0, found.start()) + 1
        if delimiter:
            words = text[found.end() : text.find(delimiter, found.end())]
        elif BEFORE_A_COMMAND.fullmatch(text, line, found.start()):
            words = re.match(r"(?:\\\n|.)*", text[found.end() :]).group()
        yield " ".join([module, *split(words)])


def split(words: str) -> list[str]:
    """Up to the end of a command, without what make and texts put around words."""
    words = re.sub(r"\s*\\?\n[ \t]*(?:#[ \t]*)?", " ", words)
    words = re.sub(r"\$\(if [^,]*,([^()]*)\)", r"\1", re.sub(r"\$\(\w+\)|\$[*@<]", "VALUE", words))
    words = re.split(r" (?:&&|\||>) |;", words.replace("[", " ").replace("]", " "))[0]
    return [word for word in shlex.split(words, comments=True) if word != "..."]


def check(command: str) -> None:
    """Fail where a ``MODULE WORDS...`` is not there or would be refused; words in capitals stand for anything."""
    module, *words = command.split()
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    if spec.submodule_search_locations:
        module = f"{module}.__main__"
        spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, f"{module} is not to be run"
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert '__name__ == "__main__"' in source, f"{module} is not to be run"
    try:
        command_line = getattr(importlib.import_module(module), "main", None)
    except ModuleNotFoundError as error:
        assert error.name is not None and error.name.split(".")[0] not in PACKAGES
        command_line = None  # it stands on a package that is not installed here
    if isinstance(command_line, click.Command):
        check_words(command_line, words)
    else:
        for word in words:
            assert not word.startswith("--") or f'"{word}"' in source, f"{module} has no {word}"


def check_words(command: click.Command, words: list[str]) -> None:
    """The words are options and arguments of a command, or of one in its group."""
    context = click.Context(command)
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        assert inner is not None, f"there is no {words[0]}"
        return check_words(inner, words[1:])
    values, left, _ = command.make_parser(context).parse_args(words)
    assert not left, f"{' '.join(left)} is too much"
    for parameter in command.params:
        given = values.get(parameter.name)
        for value in given if isinstance(given, list | tuple) else [given]:
            if isinstance(parameter.type, click.Choice) and isinstance(value, str):
                known = value in parameter.type.choices or PLACEHOLDER.fullmatch(value)
                assert known, f"{value} is none of {parameter.name}"
    return None


NAMED_WHERE = {
    command: str(path.relative_to(PROJECT))
    for path in texts()
    for command in commands_in(path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("command", sorted(NAMED_WHERE))
def test_a_command_that_is_named_can_be_given(command):
    try:
        check(command)
    except (AssertionError, click.UsageError) as error:
        pytest.fail(f"python -m {command}, in {NAMED_WHERE[command]}: {error}")


def test_commands_are_found_as_texts_write_them():
    text = """Run python -m evaluation.tables. Or `python -m studies questions overlap --data
    DIR --out docs`, ``python -m pip install x``.
    # ../venv/bin/python -m export.tflite A.pt \\
    #     -o FILE  # here
    \t$(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED))
    """
    assert list(commands_in(text)) == [
        "evaluation.tables",
        "studies questions overlap --data DIR --out docs",
        "export.tflite A.pt -o FILE",
        "tests.fuzz --seed VALUE",
    ]


@pytest.mark.parametrize(
    "command",
    [
        "studies.embedding", "studies none", "studies size --data DIR", "studies questions none",
        "evaluation --peer none", "evaluation.none", "tests.fuzz --none", "training.train X",
    ],
)  # fmt: skip
def test_what_is_not_there_is_seen(command):
    with pytest.raises((AssertionError, click.UsageError)):
        check(command)
