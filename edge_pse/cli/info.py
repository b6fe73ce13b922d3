"""``edge-pse info``: what is here, what is missing, and how to get it."""

from __future__ import annotations

import platform
from dataclasses import asdict

import click
from rich.table import Table

from edge_pse import Model, ProfileStore, __version__, targets
from edge_pse.backends import RUNTIMES
from edge_pse.cli import output
from edge_pse.errors import ModelError, ProfileError
from edge_pse.model import available_models
from edge_pse.text import shown


@click.command()
def info() -> None:
    """Show what is installed and what is missing."""
    system = f"{platform.system()} {platform.machine()}"
    click.echo(f"edge-pse {__version__}, Python {platform.python_version()}, {system}\n")
    output.show(_runtimes())
    click.echo()
    _show_models()
    click.echo()
    _show_target()
    click.echo()
    _show_profiles()


def _show_profiles() -> None:
    try:
        store = ProfileStore()
        names = store.list()
    except ProfileError as error:  # all else that was asked for is said
        click.echo(str(error))
        return
    if names:
        click.echo(f"{len(names)} {'profile' if len(names) == 1 else 'profiles'} in {shown(store.root)}")
    else:
        click.echo(f"No profiles in {shown(store.root)}. To make one: edge-pse enroll NAME --from FILE")


def _runtimes() -> Table:
    table = output.table("runtime", "runs", "version")
    installed = {runtime.suffix for runtime in RUNTIMES.values() if runtime.installed_version()}
    for name, runtime in RUNTIMES.items():
        version = runtime.installed_version()
        if version:
            found = version
        elif runtime.suffix in installed:
            found = "missing, not needed"
        else:
            found = f"missing: pip install {runtime.distribution}"
        table.add_row(name, f"*{runtime.suffix}", found)
    return table


def _show_target() -> None:
    target = targets.choose()
    board = targets.board() or "a machine without a board name"
    click.echo(f"Target {target.name}, chosen for {board}; --target takes another.")
    table = output.table("setting", "value", "rests on")
    for name, value in asdict(target.settings).items():
        text = ", ".join(value) if isinstance(value, tuple) else str(value)
        table.add_row(name, text, target.grounds[name])
    output.show(table)


def _show_models() -> None:
    # What tflite-runtime takes in the place of int8 files, unasked, is nothing to choose.
    paths = [path for path in available_models() if ".int8-weights." not in path.name]
    if not paths:
        click.echo("No models came with this package: install it again.")
        return
    table = output.table("model", "size", "id", "precision", "licence", "runs on")
    problems = []
    for path in paths:
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        needed = [runtime for runtime in RUNTIMES.values() if runtime.suffix == path.suffix]
        if not any(runtime.installed_version() for runtime in needed):
            table.add_row(path.name, size, "", "", "", f"nothing here: needs {needed[0].distribution}")
            continue
        try:
            model = Model.load(path)
        except ModelError as error:
            table.add_row(path.name, size, "", "", "", "nothing here")
            problems.append(str(error))
            continue
        contract = model.contract
        table.add_row(
            path.name, size, contract.model_id, contract.precision, contract.licence, model.backend.name
        )
    output.show(table)
    for problem in problems:
        click.echo(problem)
