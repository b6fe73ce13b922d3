"""``edge-pse virtual-mic``: the microphone that call applications see."""

from __future__ import annotations

import click

from edge_pse.audio import virtual_mic as microphone


@click.group("virtual-mic")
def virtual_mic() -> None:
    """Make, remove or look at the virtual microphone."""


@virtual_mic.command()
def on() -> None:
    """Make it, now and whenever the sound server starts."""
    microphone.turn_on()
    click.echo(
        f"Programs now list {microphone.DESCRIPTION!r}. Feed it: edge-pse run --output virtual [--profile NAME]"
    )


@virtual_mic.command()
def off() -> None:
    """Remove it."""
    microphone.turn_off()
    click.echo(f"{microphone.DESCRIPTION!r} is gone.")


@virtual_mic.command()
def status() -> None:
    """Say whether it is there, whether it will be after a restart, and who records from it."""
    found = microphone.status()
    click.echo(f"sound server   {found.server or 'none answers'}")
    click.echo(f"microphone     {'there' if found.present else 'not there'}")
    click.echo(f"after restart  {'there' if found.permanent else 'not there'}")
    click.echo(f"recorded by    {found.recorders} program{'' if found.recorders == 1 else 's'}")
