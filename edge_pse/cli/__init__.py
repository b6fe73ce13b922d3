"""The command ``edge-pse``: one file for each command, which parses, calls the library and prints."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import click

from edge_pse import __version__
from edge_pse.cli import streams
from edge_pse.cli.bench import bench
from edge_pse.cli.ctl import ctl
from edge_pse.cli.devices import devices
from edge_pse.cli.doctor import doctor
from edge_pse.cli.enhance import enhance
from edge_pse.cli.enroll import enroll
from edge_pse.cli.info import info
from edge_pse.cli.output import warnings_said
from edge_pse.cli.panel import panel
from edge_pse.cli.personalise import personalise
from edge_pse.cli.profiles import profiles
from edge_pse.cli.run import run
from edge_pse.cli.stopping import end_at_second_interrupt
from edge_pse.cli.stream import stream
from edge_pse.cli.virtual_mic import virtual_mic
from edge_pse.cli.who import who
from edge_pse.cli.wyoming import wyoming
from edge_pse.errors import EdgePseError
from edge_pse.text import shown


class _Commands(click.Group):
    """Shows what the library refuses as what it is: a sentence, and an exit status of one."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings_said(lambda sentence: click.echo(f"Warning: {sentence}", err=True)):
                return super().invoke(ctx)
        except EdgePseError as error:
            raise click.ClickException(shown(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge-pse")
def commands() -> None:
    """Enroll a voice once, then keep only that one: noise and other talkers are taken away."""


for _command in (
    enroll,
    personalise,
    profiles,
    enhance,
    who,
    stream,
    run,
    ctl,
    panel,
    wyoming,
    virtual_mic,
    devices,
    doctor,
    bench,
    info,
):
    commands.add_command(_command)
streams.know_help(commands)


def main() -> None:
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
