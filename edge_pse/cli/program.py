"""All commands by their names; the file of one, and all that it needs, is loaded when that command is asked for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from types import FrameType
from typing import Any

import click

import edge_pse
from edge_pse.cli import streams
from edge_pse.cli.output import warnings_said
from edge_pse.cli.stopping import end_at_second_interrupt, ended_at_once
from edge_pse.errors import EdgePseError
from edge_pse.text import shown

_NAMES = (
    "enroll",
    "personalise",
    "profiles",
    "enhance",
    "who",
    "stream",
    "run",
    "ctl",
    "panel",
    "wyoming",
    "virtual-mic",
    "devices",
    "doctor",
    "bench",
    "info",
)
"""Each has a file here, and is what has its name there."""


class _Loaded(MutableMapping[str, click.Command]):
    """The commands by their names, as ``click`` wants them; one that is looked up is loaded."""

    def __init__(self) -> None:
        self._commands: dict[str, click.Command | None] = dict.fromkeys(_NAMES)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if command is None:
            identifier = name.replace("-", "_")
            with ended_at_once():
                command = getattr(import_module(f"edge_pse.cli.{identifier}"), identifier)
            assert isinstance(command, click.Command)
            streams.know_help(command)
            self._commands[name] = command
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class _Commands(click.Group):
    """Shows what the library refuses as what it is: a sentence, and an exit status of one."""

    context_class = streams.HelpContext

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings_said(lambda sentence: click.echo(f"Warning: {sentence}", err=True)):
                return super().invoke(ctx)
        except EdgePseError as error:
            raise click.ClickException(shown(error)) from error


def _say_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(f"edge-pse, version {edge_pse.__version__}")
        context.exit()


@click.group(cls=_Commands, commands=_Loaded(), context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version and exit.",
)
def commands() -> None:
    """Enroll a voice once, then keep only that one: noise and other talkers are taken away."""


def run() -> None:
    """Run the command with the arguments of this process."""
    streams.guard()
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        # Unless it is to be ignored (nohup), a command that is ended tidies up, as after Ctrl-C.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit)
    end_at_second_interrupt()
    try:
        commands(prog_name="edge-pse")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.exit(streams.final_status(code))


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
