"""``python -m studies``: the index of the studies, and each of them by its name."""

from __future__ import annotations

import importlib
from typing import Any

import click

from edge_pse.errors import EdgePseError
from edge_pse.text import shown
from evaluation.data import DataError
from studies.index import STUDIES


class Studies(click.Group):
    """Imports a study when it is asked for, so that none needs what only another one does."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(STUDIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in STUDIES:
            return None
        module = importlib.import_module(f"studies.{STUDIES[cmd_name].module}")
        command: click.Command = module.main
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Studies"):
            formatter.write_dl(
                [(name, f"{s.question} Needs {s.needs}; takes {s.takes}.") for name, s in STUDIES.items()]
            )

    def invoke(self, ctx: click.Context) -> Any:
        """Show what data, files and models are refused for as one sentence."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"{error.name} is not installed; python -m studies says what each study needs."
            ) from error
        except (OSError, ValueError, DataError, EdgePseError) as error:
            raise click.ClickException(shown(error)) from error


@click.group(cls=Studies, invoke_without_command=True)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Answer a question that chose something of what ships; without the name of a study, print all of them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


if __name__ == "__main__":
    main(prog_name="python -m studies")
