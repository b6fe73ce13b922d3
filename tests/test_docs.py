"""What the pages name exists: links, their anchors and paths, and every module and name of the architecture."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MADE = {"build", "dist", "demo-output", "report", "node_modules"}
"""Folders that commands make and git ignores."""
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in MADE for part in page.relative_to(ROOT).parts)
)
ARCHITECTURE = ROOT / "docs/architecture.md"
HISTORY = ROOT / "docs/history.md"
ROOMS = "edge_pse|training|export|quantization|personalisation|evaluation|studies|tests"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(rf"(?<![\w/.-])((?:{ROOMS}|docs|targets|examples)/[\w./*-]*[\w/])")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _prose(page), flags=re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.resolve().is_relative_to(ROOT), f"{link} leads out of the project"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"{link} names no heading"


@pytest.mark.parametrize("page", [page for page in PAGES if page != HISTORY], ids=_name)
def test_paths_exist(page: Path) -> None:
    """All but those of the history, which are of their time."""
    named = set(_PATH.findall(page.read_text(encoding="utf-8")))
    assert not [path for path in named if not any(ROOT.glob(path))]
    assert page != ARCHITECTURE or len(named) > 40


def test_every_module_and_name_of_the_architecture_exists() -> None:
    named = set(re.findall(rf"\b((?:{ROOMS})(?:\.\w+)+)\b", ARCHITECTURE.read_text("utf-8")))
    assert len(named) > 25
    assert not [name for name in named if not _is_there(name)]


def _is_there(name: str) -> bool:
    """Whether it is a module, or a name in one, or a name of a class in one."""
    parts = name.split(".")
    if parts[-1] in ("py", "md", "toml", "json"):
        return True  # the end of a path
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.util.find_spec(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        if found is not None:
            break
    else:
        return False
    if count == len(parts):
        return True  # a module, which may stand on a package that is not installed here
    here: object = importlib.import_module(".".join(parts[:count]))
    for part in parts[count:]:
        if not hasattr(here, part):
            return False
        here = getattr(here, part)
    return True


def test_every_target_of_make_that_the_architecture_names_exists() -> None:
    """Commands of Python are the matter of ``tests/test_commands.py``."""
    targets = set(re.findall(r"`make ([\w-]+)", ARCHITECTURE.read_text("utf-8")))
    assert len(targets) > 2
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert not [name for name in targets if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)]


def test_the_layers_of_the_architecture_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["edge_pse"])
    drawn = [
        {name.removeprefix("edge_pse.") for name in line.split()}
        for line in ARCHITECTURE.read_text("utf-8").splitlines()
        if re.fullmatch(r"edge_pse\.\w+( +edge_pse\.\w+)*", line)
    ]
    assert drawn == [set(layer.split(" | ")) for layer in layers]
