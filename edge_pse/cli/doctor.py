"""``edge-pse doctor``: will live sound work here, and if not, why?"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter

import click

from edge_pse.cli import streams
from edge_pse.cli.libraries import quiet_libraries
from edge_pse.diagnosis import CHECKS, examine
from edge_pse.diagnosis.finding import Status
from edge_pse.text import shown

_COLOURS: dict[Status, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each finding, as it comes.")
def doctor(as_json: bool) -> None:
    """Check this machine for live sound; each line says what to do.

    Changes nothing and needs no root. The exit status is 1 if something fails.
    """
    width = max(map(len, CHECKS))
    counted: Counter[Status] = Counter()
    with quiet_libraries():
        for name, finding in examine():
            counted[finding.status] += 1
            if as_json:
                click.echo(json.dumps({"name": name, **finding._asdict()}))
                continue
            status = click.style(f"{finding.status:<4}", fg=_COLOURS[finding.status])
            click.echo(f"{status}  {name:<{width}}  {shown(finding.sentence)}")
            if finding.advice:
                click.echo(f"{'':<{width + 6}}  {shown(finding.advice)}")
    failures, warnings = counted["fail"], counted["warn"]
    if not as_json:
        click.echo(f"\n{_number(failures, 'failure')}, {_number(warnings, 'warning')}.")
    _leave(1 if failures else 0)


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _leave(status: int) -> None:
    """End; past the usual way out, if a check hangs that it would wait for."""
    if any(thread.name in CHECKS for thread in threading.enumerate()):
        os._exit(streams.final_status(status))
    if status:
        sys.exit(status)
