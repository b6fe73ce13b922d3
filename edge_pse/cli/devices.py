"""``edge-pse devices``: what there is to hear with and to play to."""

from __future__ import annotations

import click

from edge_pse.audio.devices import (
    THROUGH_SERVER,
    Device,
    find_format,
    list_devices,
    measure_level,
    sound_server,
)
from edge_pse.cli.libraries import quiet_libraries
from edge_pse.cli.output import show, table
from edge_pse.errors import AudioError, SoundServerError


@click.command()
@click.option("--listen", is_flag=True, help="Hear each microphone for a second: which one hears you best?")
def devices(listen: bool) -> None:
    """List microphones and outputs, and whether they will work."""
    with quiet_libraries():
        inputs, outputs = list_devices("input"), list_devices("output")
        trouble = _unheard_server(inputs)
        rows = table("", "name", "what it is", "rate", "channels", "opens as")
        for device in (*inputs, *outputs):
            rows.add_row(
                "in" if device.kind == "input" else "out",
                device.name,
                device.description if device.description != device.name else "",
                f"{device.rate_hz} Hz",
                str(device.channels),
                _verdict(device),
            )
    if trouble:
        click.echo(f"{trouble} Its devices are missing here.", err=True)
    if not inputs and not outputs:
        click.echo("No sound devices: plug one in or start the sound server, then look again.")
        return
    show(rows)
    if listen:
        _compare([device for device in inputs if not device.monitor])


def _unheard_server(inputs: list[Device]) -> str:
    """A sentence if there is a sound server that does not tell what it has."""
    if any(device.name == THROUGH_SERVER for device in inputs) and not any(d.server_name for d in inputs):
        try:
            sound_server.list_devices("input")
        except SoundServerError as error:
            return str(error)
    return ""


def _verdict(device: Device) -> str:
    try:
        found = find_format(device)
    except AudioError as error:
        return f"does not: {error}"
    return f"{found.rate_hz} Hz, {found.channels} channel{'s' if found.channels > 1 else ''}"


def _compare(microphones: list[Device]) -> None:
    click.echo("Speak, please: each microphone listens for a second.")
    levels = {}
    for device in microphones:
        try:
            with quiet_libraries():
                levels[device.name] = level = measure_level(device, 1.0)
        except AudioError as error:
            click.echo(str(error))
        else:
            click.echo(f"{device.name}: {level.speech_dbfs:.0f} dBFS, {level.range_db:.0f} dB over its noise")
    if levels:
        best = max(levels, key=lambda name: levels[name].range_db)
        click.echo(f"{best} hears you best: edge-pse run --input '{best}'")
