"""``edge-pse devices``: what there is to hear with and to play to."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from edge_pse.audio.devices import (
    THROUGH_SERVER,
    Device,
    Levels,
    find_format,
    list_devices,
    measure_level,
    sound_server,
    virtual_mic,
)
from edge_pse.cli.libraries import quiet_libraries
from edge_pse.cli.output import show, table
from edge_pse.errors import AudioError, SoundServerError

_LEVELS_EVERY_S = 0.25


@click.command()
@click.option("--listen", is_flag=True, help="Hear each microphone for a second: which one hears you best?")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="As a line of JSON; with --listen a further one with levels, four times a second, until this is ended.",
)
def devices(listen: bool, as_json: bool) -> None:
    """List microphones and outputs, and whether they will work."""
    if as_json:
        with quiet_libraries():
            _say_json(list_devices("input"), list_devices("output"), listen)
        return
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


def _say_json(inputs: Sequence[Device], outputs: Sequence[Device], listen: bool) -> None:
    """Devices that a person may choose, and levels: of a microphone, and of an output what its monitor hears."""
    microphones = [
        one
        for one in inputs
        if not one.monitor and one.name != THROUGH_SERVER and one.server_name not in virtual_mic.OWN_SOURCES
    ]
    monitors = {one.server_name: one for one in inputs if one.monitor}
    players = [one for one in outputs if one.server_name != virtual_mic.SINK and one.name != THROUGH_SERVER]
    heard = {one.name: monitors.get(f"{one.server_name}.monitor") for one in players}
    click.echo(
        json.dumps(
            {
                "inputs": [_described(one) for one in microphones],
                "outputs": [_described(one) for one in players],
                "trouble": _unheard_server(list(inputs)),
            }
        )
    )
    if not listen:
        return
    named = {monitor.name: name for name, monitor in heard.items() if monitor is not None}
    with Levels([*microphones, *(monitor for monitor in heard.values() if monitor is not None)]) as levels:
        while True:
            time.sleep(_LEVELS_EVERY_S)
            now = levels.read()
            click.echo(
                json.dumps(
                    {
                        "inputs": {name: level for name, level in now.items() if name not in named},
                        "outputs": {named[name]: level for name, level in now.items() if name in named},
                    }
                )
            )
            sys.stdout.flush()


def _described(device: Device) -> dict[str, Any]:
    return {"name": device.name, "description": device.description, "opens": _verdict(device)}


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
