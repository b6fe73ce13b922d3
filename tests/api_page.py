"""Writes what ``docs/api.md`` says of each public name, from signatures and docstrings: ``python -m tests.api_page``.

What stands between ``<!-- api: NAME -->`` and ``<!-- end of api -->`` is written anew; the rest of the page, its
examples among it, is left as it is.
"""

import argparse
import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

PAGE = Path(__file__).parents[1] / "docs/api.md"
MARKED = re.compile(r"(<!-- api: ([\w.]+) -->\n).*?(<!-- end of api -->)", re.DOTALL)
LONGEST_SIGNATURE = 90
Function = ast.FunctionDef


def written_anew(page: str) -> str:
    """The page with what the code says now."""
    return MARKED.sub(lambda found: f"{found[1]}\n{described(found[2])}\n{found[3]}", page)


def described(name: str) -> str:
    """Markdown of a public name: ``enroll``, or ``profiles.Recording`` for what lies deeper in the package."""
    *path, last = name.split(".")
    value = getattr(importlib.import_module(".".join(["edge_pse", *path])), last)
    if inspect.isclass(value) and issubclass(value, Exception):
        return f"- `{last}({value.__bases__[0].__name__})`: {indented(prose(value.__doc__))}\n"
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    module = inspect.getmodule(value)
    assert module is not None
    title = f"### `{last}`\n\n"
    if isinstance(definition, Function):
        return f"{title}{block(signature(last, definition, module))}\n{prose(value.__doc__)}\n"
    assert isinstance(definition, ast.ClassDef)
    return title + "\n".join(class_parts(value, definition, module))


def class_parts(value: Any, definition: ast.ClassDef, module: ModuleType) -> Iterator[str]:
    """How it is made, what it is, and its public members."""
    members = {node.name: node for node in definition.body if isinstance(node, Function)}
    constructor = members.get("__init__")
    if constructor is not None:
        yield block(signature(value.__name__, constructor, module))
    yield f"{prose(value.__doc__)}\n"
    if constructor is not None and (said := ast.get_docstring(constructor)):
        yield f"{prose(said)}\n"
    attributes = [*fields(definition.body)]
    if constructor is not None:
        attributes += fields(constructor.body)
    setters = {node.name for node in definition.body if isinstance(node, Function) and is_setter(node)}
    alike: list[str] = []  # the text below the last of several fields is for all of them
    for name, text in (*attributes, *functions(definition, setters, module)):
        alike.append(f"`{name}`")
        if text:
            yield f"- {', '.join(alike)}: {indented(text)}\n"
            alike = []
    assert not alike, f"{value.__name__} has members that nothing is said of: {', '.join(alike)}"


def fields(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Attributes of a class, or those that its constructor sets, and what the string below says of each."""
    for node, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        said = following.value if isinstance(following, ast.Expr) else None
        text = prose(said.value) if isinstance(said, ast.Constant) and isinstance(said.value, str) else ""
        if isinstance(node, ast.AnnAssign):
            target: ast.expr = node.target
            kind = f": {ast.unparse(node.annotation)}"
        elif isinstance(node, ast.Assign) and text:
            target, kind = node.targets[0], ""
        else:
            continue
        name = target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)
        if name.startswith("_") or (isinstance(target, ast.Attribute) and not text):
            continue
        yield f"{name}{kind}", text


def functions(definition: ast.ClassDef, setters: set[str], module: ModuleType) -> Iterator[tuple[str, str]]:
    """Public methods and properties, and what they say of themselves."""
    for node in definition.body:
        if not isinstance(node, Function) or is_setter(node):
            continue
        text = prose(ast.get_docstring(node) or "")
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if node.name == "__contains__":
            yield "name in store", text
        elif node.name.startswith("_"):
            continue
        elif "property" in decorators:
            kind = ast.unparse(node.returns) if node.returns else ""
            yield f"{node.name}: {kind}", text if node.name in setters else f"{text} Read-only."
        else:
            owner = f"{definition.name}." if "classmethod" in decorators else ""
            yield signature(owner + node.name, node, module), text


def is_setter(node: Function) -> bool:
    return any(ast.unparse(decorator).endswith(".setter") for decorator in node.decorator_list)


def signature(name: str, node: Function, module: ModuleType) -> str:
    """``enroll(audio: ArrayLike, ...) -> Profile``, of as many lines as it needs where it stands in a block."""
    given = node.args
    positional = given.args[1:] if given.args and given.args[0].arg in ("self", "cls") else given.args
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    parts = [parameter(*pair, module) for pair in zip(positional, defaults, strict=True)]
    if given.kwonlyargs:
        parts += [
            "*",
            *(parameter(*pair, module) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)),
        ]
    result = "" if node.returns is None or node.name == "__init__" else f" -> {type_of(node.returns, module)}"
    return f"{name}({', '.join(parts)}){result}"


def parameter(argument: ast.arg, default: ast.expr | None, module: ModuleType) -> str:
    kind = f": {type_of(argument.annotation, module)}" if argument.annotation else ""
    return f"{argument.arg}{kind}" + ("" if default is None else f" = {default_of(default, module)}")


def type_of(node: ast.expr, module: ModuleType) -> str:
    """As it is written, but for another name of a list."""
    value = getattr(module, node.id, None) if isinstance(node, ast.Name) else None
    return str(value) if get_origin(value) is list else ast.unparse(node)


def default_of(node: ast.expr, module: ModuleType) -> str:
    """As a caller would write it: the value of a constant, not its name; of what is private the text tells."""
    value = getattr(module, node.id, None) if isinstance(node, ast.Name) else None
    written = ast.unparse(node) if value is None else repr(value)
    return "..." if written.startswith("_") else written


def block(line: str) -> str:
    """A block of Python; a long signature with a line for each parameter."""
    if len(line) > LONGEST_SIGNATURE:
        name, _, rest = line.partition("(")
        inner, _, result = rest.rpartition(")")
        # A comma in brackets belongs to a type.
        parts = re.split(r", (?![^\[(]*[\])])", inner)
        line = "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){result}"])
    return f"```text\n{line}\n```\n"


def prose(docstring: str | None) -> str:
    """Paragraphs of a docstring as Markdown, without its examples: the page has those that are run."""
    paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(part for part in paragraphs if not part.startswith(">>>")).replace("``", "`")


def indented(text: str) -> str:
    """As the rest of a list's item."""
    return textwrap.indent(text, "  ").lstrip()


if __name__ == "__main__":
    argparse.ArgumentParser(description="Write docs/api.md anew, as the code says.").parse_args()
    PAGE.write_text(written_anew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
