"""``edge-pse virtual-mic``: the microphone that call applications see."""

from __future__ import annotations

import click

from edge_pse.audio.devices import virtual_mic as microphone

_AFTER_RESTART = {
    True: "there",
    False: "not there",
    None: "unknown, because the sound server's configuration can't be read",
}


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
    if microphone.turn_off():
        click.echo(f"{microphone.DESCRIPTION!r} is gone.")
    else:
        click.echo(
            f"{microphone.DESCRIPTION!r} is not in the configuration. No sound server answers; one that runs, and made "
            "it, has it until it ends."
        )


@virtual_mic.command()
def status() -> None:
    """Say whether it is there, whether it will be after a restart, and who records from it."""
    found = microphone.status()
    click.echo(f"sound server   {found.server or 'none answers'}")
    click.echo(f"microphone     {'there' if found.present else 'not there'}")
    click.echo(f"after restart  {_AFTER_RESTART[found.permanent]}")
    if found.recorders is None:
        click.echo("recorded by    unknown, because the sound server does not tell")
    else:
        click.echo(f"recorded by    {found.recorders} program{'' if found.recorders == 1 else 's'}")
