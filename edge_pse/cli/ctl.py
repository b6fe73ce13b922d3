"""``edge-pse ctl``: see and change a stream that runs, from another terminal, a script or a shortcut."""

from __future__ import annotations

import json
from typing import Any

import click

from edge_pse.cli import output
from edge_pse.cli.number_range import NumberRange
from edge_pse.control import Control
from edge_pse.text import shown


@click.group()
def ctl() -> None:
    """See and change the stream that `edge-pse run` has started, as a service or not."""


@ctl.command()
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def status(as_json: bool) -> None:
    """Say how it goes."""
    found = Control().status()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = output.table("what", "how")
    for what, how in _rows(found):
        rows.add_row(what, shown(how))
    output.show(rows)


@ctl.command()
@click.argument("state", type=click.Choice(["on", "off", "toggle"]), default="toggle")
def bypass(state: str) -> None:
    """Go past the network, or through it again."""
    control = Control()
    wanted = not control.status()["bypass"] if state == "toggle" else state == "on"
    control.set(bypass=wanted)
    click.echo("The sound passes as it is." if wanted else "The sound is enhanced.")


@ctl.command()
@click.argument("value", type=NumberRange(0, 1))
def strength(value: float) -> None:
    """Set how much of what is not wanted goes: 0 is the input."""
    click.echo(f"Strength {Control().set(strength=value)['strength']:.0%}.")


@ctl.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
def profile(names: tuple[str, ...]) -> None:
    """Choose whose voice is kept; without a name, every voice."""
    click.echo(f"Kept: {_kept(Control().set(profiles=names))}.")


@ctl.command()
def stop() -> None:
    """End the stream."""
    Control().stop()


def _kept(found: dict[str, Any]) -> str:
    return shown(" and ".join(found["profiles"])) or "every voice"


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    stream, counters = found["stream"], found["counters"]
    rows = [("keeps", _kept(found) + (", personal weights" if found["personal"] else ""))]
    rows += [("strength", f"{found['strength']:.0%}"), ("bypass", "on" if found["bypass"] else "off")]
    if stream is None:
        rows.append(("devices", "closed, or waited for"))
    else:
        busy = ", too busy: the sound passes as it is" if stream["overloaded"] else ""
        rows += [
            ("input", f"{stream['input_dbfs']:.0f} dBFS, {stream['input']}"),
            ("output", f"{stream['output_dbfs']:.0f} dBFS, {stream['output']}"),
            ("hop", f"{stream['hop_p50_ms']:.2f} ms, 99 % under {stream['hop_p99_ms']:.2f} ms{busy}"),
            ("delay", f"{stream['latency_ms']:.0f} ms"),
        ]
    if found["speaks"] is not None:
        rows.append(("speaks", found["speaks"]))
    rows.append(("underruns", f"{counters['underruns']}, restarts {found['restarts']}"))
    if found["hottest_c"] is not None:
        rows.append(("hottest", f"{found['hottest_c']:.0f} °C{', throttled' if found['throttled'] else ''}"))
    if found["sentences"]:
        rows.append(("said last", found["sentences"][-1]["text"]))
    return rows
