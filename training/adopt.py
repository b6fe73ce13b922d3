"""Let weights that were trained elsewhere ship: ``python -m training.adopt RESULTS --data DATA --speech DIR --noise DIR
--rooms DIR --tflite-python PYTHON``.

RESULTS holds ``NAME.pt`` of each network, as ``training.budget`` leaves them. First they are scored against the weights
that ship, on the evaluation's quick set (``training.dev``), and those that are not better by the rule of
``training.verdict`` are refused. Where a network that makes profiles is replaced by one that makes others, those that
take its profiles go with it: with their new weights, or else with their old ones, whichever are better; if both are
worse than before, nothing is replaced. Where what makes profiles is the same to the bit, they stay of use, whatever
else is new. Then all that follows is done, one command after the other: voice space, model files, int8 and its bars,
evaluation, figures, curves and pages. What is done is not done again: the same command goes on where one failed.
"""

from __future__ import annotations

import copy
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from evaluation.data import data_option, data_root
from training import options
from training.budget import CHECKPOINTS, Progress, RunProgress
from training.checkpoint import (
    keep_profiles,
    load_checkpoint,
    model_id,
    profiles_id,
    save_checkpoint,
    take_profiles,
)
from training.dev import dev_scores
from training.network import Network
from training.options import Corpora
from training.recipe_page import Replaced, commit_of, renamed, with_line
from training.schedule import RECIPES
from training.verdict import Verdict, compare

PROJECT = Path(__file__).parents[1]
JOURNAL = "journal.json"


@dataclass(frozen=True)
class Weights:
    """A network with what its file says of it."""

    network: Network
    history: dict[str, Any]

    @property
    def id(self) -> str:
        """Of the weights."""
        return model_id(self.network)

    @property
    def profiles(self) -> str:
        """Id of those that it takes."""
        return profiles_id(self.network)

    @property
    def maker(self) -> str | None:
        """The network that makes the profiles; None: itself."""
        return None if self.network.makes_profiles else self.profiles.rpartition("-")[0]

    def bound(self, maker: Weights | None, shipped: Weights) -> Weights:
        """The same, taking the profiles of ``maker``'s weights; None: its own, which may be those of what ships."""
        network = copy.deepcopy(self.network)
        if maker is None:
            keep_profiles(network, shipped.network)
        else:
            take_profiles(network, maker.network)
        return Weights(network, self.history)

    @classmethod
    def load(cls, path: Path) -> Weights:
        return cls(*load_checkpoint(path))


class Judge:
    """Decides which weights ship. What was measured is kept in ``work``."""

    def __init__(self, results: Path, shipped: dict[str, Weights], data: Path, work: Path, anyway: bool):
        self.results, self.shipped, self.data, self.anyway = results, shipped, data, anyway
        self.chosen: dict[str, Weights] = {}
        self._known = work / "scores.json"

    def choose(self) -> None:
        """Fill ``chosen``, those that make profiles first. Raises ClickException where nothing may be replaced."""
        for name in sorted(self.shipped, key=lambda name: self.shipped[name].maker is not None):
            self.chosen[name] = self._of(name)
        if all(self.chosen[name] is self.shipped[name] for name in self.chosen):
            raise click.ClickException(
                "No weights measure better than those that ship: nothing is replaced. --anyway takes them as they are."
            )

    def _of(self, name: str) -> Weights:
        old = self.shipped[name]
        maker = self.chosen[old.maker] if old.maker else None
        follows = maker is not None and maker.profiles != old.profiles
        candidates = {}
        if (path := self.results / f"{name}.pt").exists():
            candidates["its new weights"] = Weights.load(path).bound(maker, old)
        if follows:
            candidates["its old weights, with the new profiles,"] = old.bound(maker, old)
        if not candidates:
            return old
        before = self._scores(old, self.shipped[old.maker] if old.maker else None)
        verdicts = {}
        for what, weights in candidates.items():
            verdicts[what] = compare(before, self._scores(weights, maker))
            click.echo(f"{name}: {what} against what ships: {verdicts[what]}.")
        if self.anyway:
            return next(iter(candidates.values()))
        may_ship = [what for what, verdict in verdicts.items() if _may_ship(verdict, follows)]
        if may_ship:
            return candidates[max(may_ship, key=lambda what: verdicts[what].gain_db)]
        if follows:
            raise click.ClickException(
                f"{name} would be worse with the new profiles of {old.maker}, by its old weights and by its new ones: "
                "nothing is replaced. --anyway takes the new ones as they are."
            )
        return old

    def _scores(self, weights: Weights, maker: Weights | None) -> dict[str, float]:
        known = json.loads(self._known.read_text(encoding="utf-8")) if self._known.exists() else {}
        name = f"{weights.id}, profiles of {(maker or weights).profiles}"
        if name not in known:
            click.echo(f"Scoring {name}.", err=True)
            known[name] = dev_scores(weights.network, self.data, maker.network if maker else None)
            _write(self._known, known)
        return dict(known[name])


def _write(path: Path, content: dict[str, Any]) -> None:
    """As JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _may_ship(verdict: Verdict, follows: bool) -> bool:
    return verdict.harmless if follows else verdict.better


@dataclass
class Journal:
    """What has been done, in a file."""

    path: Path
    results: dict[str, str]  # ids of the weights that were given, by network
    replaced: list[Replaced]
    done: list[str]

    @classmethod
    def load(cls, path: Path) -> Journal | None:
        if not path.exists():
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        replaced = [Replaced(**entry) for entry in content.pop("replaced")]
        return cls(path, replaced=replaced, **content)

    def write(self) -> None:
        """Whole or not at all."""
        content = {
            "results": self.results,
            "replaced": [entry.__dict__ for entry in self.replaced],
            "done": self.done,
        }
        _write(self.path, content)


def carry_out(commands: Iterator[tuple[str, ...]], journal: Journal) -> None:
    """Run commands that are not done yet, from the root of the project. Raises ClickException where one fails."""
    for command in commands:
        line = shlex.join(command)
        if line in journal.done:
            continue
        click.echo(f"$ {line}")
        status = subprocess.run(command, cwd=PROJECT).returncode
        if status:
            raise click.ClickException(
                f"That command ended with status {status}; the same command of training.adopt goes on with it."
            )
        journal.done.append(line)
        journal.write()


@dataclass(frozen=True)
class Chain:
    """All that follows from new weights."""

    replaced: list[Replaced]
    results: Path
    corpora: Corpora
    data: Path
    tflite_python: Path

    def commands(self) -> Iterator[tuple[str, ...]]:
        """In order."""
        names = [entry.network for entry in self.replaced]
        makers = [e.network for e in self.replaced if e.makes_profiles and not e.keeps_profiles]
        for name in makers:
            yield _python("training.discriminant", _checkpoint(name), *self._corpora())
        for name in names:
            yield from self._model_files(name)
        for name in names:
            yield _python("quantization.check", "--short", "--network", name)
        if makers:
            yield _python("personalisation.likeness")
            yield _python("studies", "enrollment", *self._data(), "--write")
        yield from self._figures(names, bool(makers))
        for entry in self.replaced:
            yield from self._curves(entry)

    def _model_files(self, name: str) -> Iterator[tuple[str, ...]]:
        tflite = str(self.tflite_python)
        yield _python("export.onnx", _checkpoint(name))
        yield _python("export.tflite", _checkpoint(name), python=tflite)
        yield _python("quantization.quantize", f"edge_pse/models/{name}.fp32.onnx")
        yield _python("quantization.quantize", f"edge_pse/models/{name}.fp32.tflite", python=tflite)

    def _figures(self, names: list[str], profiles: bool) -> Iterator[tuple[str, ...]]:
        without_echo = [name for name in names if not name.endswith("-far")]
        if without_echo:
            yield _python("evaluation", *without_echo, "--band", "8", *self._data(), "--no-cost", "--publish")
        for name in names:
            if name.endswith("-far"):
                systems = name, f"{name}.fp32"
                yield _python(
                    "evaluation", *systems, "--sets", "echo", *self._data(), "--no-cost", "--publish"
                )
        yield _python("quantization.publish")
        if profiles:
            yield _python("studies", "embedding", *self._data(), "--publish")
        yield _python("evaluation.tables")

    def _curves(self, entry: Replaced) -> Iterator[tuple[str, ...]]:
        """Of a run's log, if there is one, after the hours of all runs before."""
        name, log = entry.network, self._log(entry)
        if not log.exists() or entry.old_id == entry.new_id:
            return
        file, run = f"training/curves/{name}.jsonl", entry.new_id
        rows = [json.loads(line) for line in (PROJECT / file).read_text(encoding="utf-8").splitlines()]
        after = max((row["hours"] for row in rows if row["run"] != run), default=0.0)
        place = file, "--run", run, "--after", str(after)
        maker = entry.profiles_of.rpartition("-")[0]
        profiles = () if entry.makes_profiles else ("--profile-network", _checkpoint(maker))
        yield _python("studies", "curves", "log", *place, str(log))
        yield _python("studies", "curves", "score", *place, *profiles, *self._data(), _checkpoint(name))
        yield _python("studies", "curves", "plot", file, "-o", f"docs/curves-{name}.png")

    def _log(self, entry: Replaced) -> Path:
        return self.results / f"{entry.network}.jsonl"

    def _data(self) -> tuple[str, str]:
        return "--data", str(self.data)

    def _corpora(self) -> Iterator[str]:
        corpora = self.corpora
        for option, folders in (
            ("--speech", corpora.speech), ("--noise", corpora.noise), ("--rooms", corpora.rooms),
        ):  # fmt: skip
            for folder in folders:
                yield from (option, str(folder.resolve()))
        yield from (
            "--simulated-rooms",
            str(corpora.simulated_rooms),
            "--cache",
            str(corpora.cache.resolve()),
        )


def _python(module: str, *words: str, python: str = sys.executable) -> tuple[str, ...]:
    return python, "-m", module, *words


def _checkpoint(name: str) -> str:
    return f"training/checkpoints/{name}.pt"


def begin(results: Path, work: Path, data: Path, anyway: bool) -> Journal:
    """Judge the weights in ``results``; those that are to ship are then in ``work``, and in its journal."""
    shipped = {path.stem: Weights.load(path) for path in sorted(CHECKPOINTS.glob("*.pt"))}
    given = {
        path.stem: Weights.load(path).id for path in sorted(results.glob("*.pt")) if path.stem in shipped
    }
    if not given:
        raise click.ClickException(
            f"{results} has no weights of {', '.join(shipped)}: name the folder that has."
        )
    journal = Journal.load(work / JOURNAL)
    if journal is not None:
        if journal.results != given:
            raise click.ClickException(f"{work} is of other weights: give another --work, or remove it.")
        return journal
    judge = Judge(results, shipped, data, work, anyway)
    judge.choose()
    replaced = []
    for name, weights in judge.chosen.items():
        if weights is not shipped[name]:
            save_checkpoint(work / f"{name}.pt", weights.network, weights.history)
            replaced.append(_replaced(name, shipped[name], weights, results))
    journal = Journal(work / JOURNAL, given, replaced, [])
    journal.write()
    return journal


def _replaced(name: str, old: Weights, new: Weights, results: Path) -> Replaced:
    run = Progress.load(results).runs.get(name, RunProgress())
    return Replaced(
        network=name,
        old_id=old.id,
        new_id=new.id,
        profiles_before=old.profiles,
        profiles_of=new.profiles,
        stage=run.stage or "a stage of another name",
        steps=new.history.get("steps", 0),
        hours=new.history.get("hours_presented", 0.0),
        machine=f"one {run.device}" if run.device else "another machine",
    )


def replace(journal: Journal, work: Path) -> None:
    """Put the chosen weights, and their names in the recipes, in the place of those before."""
    if "weights" in journal.done:
        return
    pages = {
        page: page.read_text(encoding="utf-8")
        for page in [RECIPES / "README.md", *sorted(RECIPES.glob("*/README.md"))]
    }
    for page in pages:
        network = None if page.parent == RECIPES else page.parent.name
        pages[page] = renamed(pages[page], network, journal.replaced)
    for entry in journal.replaced:
        page = RECIPES / entry.network / "README.md"
        pages[page] = with_line(pages[page], entry, commit_of(CHECKPOINTS / f"{entry.network}.pt"))
    for entry in journal.replaced:
        target = CHECKPOINTS / f"{entry.network}.pt"
        partial = target.with_suffix(".partial")
        shutil.copyfile(work / target.name, partial)
        partial.replace(target)
    for page, text in pages.items():
        page.write_text(text, encoding="utf-8")
    journal.done.append("weights")
    journal.write()


_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("results", type=click.Path(path_type=Path, exists=True, file_okay=False))
@data_option
@options.corpora
@click.option(
    "--tflite-python", type=_PATH, required=True,
    help="Python of the environment of export/requirements-tflite.txt.",
)  # fmt: skip
@click.option("--anyway", is_flag=True, help="Whatever they measure.")
@click.option("--work", type=_PATH, default=Path(".cache/adopt"), show_default=True, help="For its journal.")
@click.option("--threads", default=2, show_default=True)
def main(
    results: Path, data: Path | None, corpora: Corpora, tflite_python: Path, anyway: bool, work: Path, threads: int,
) -> None:  # fmt: skip
    """Let the weights in RESULTS ship, if they are better, and do all that follows from it."""
    options.start(threads, 0, "cpu")
    try:
        root = data_root(data).resolve()
        journal = begin(results, work, root, anyway)
        replace(journal, work)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    # Not resolved: an environment is known by its link to Python.
    chain = Chain(journal.replaced, results.resolve(), corpora, root, tflite_python.absolute())
    carry_out(chain.commands(), journal)
    for entry in journal.replaced:
        click.echo(f"{entry.old_id} is now {entry.new_id}.")
        if entry.makes_profiles and entry.keeps_profiles:
            click.echo(f"Profiles stay of use: it makes those of {entry.profiles_of} to the bit.")
        elif entry.makes_profiles:
            click.echo(
                f"Profiles of {entry.profiles_before} are of no use with it: voices are to be enrolled again."
            )
    click.echo(
        "What is left to a person: docs/history.md, the sentences of the model cards, the tests, the commit."
    )


if __name__ == "__main__":
    main()
