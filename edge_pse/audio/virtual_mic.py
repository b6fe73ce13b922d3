"""The microphone that other programs see: what is played into a silent sink comes out of it.

Two modules of the sound server: a null sink that this program plays to, and a source that repeats it. The
source is needed because browsers hide the monitors of sinks. Both are loaded at once and written into the
user's configuration of the server, so that they are there again after it has been restarted.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from edge_pse.audio import sound_server
from edge_pse.errors import AudioError

SINK = "edge_pse"
SOURCE = "edge_pse_microphone"
DESCRIPTION = "edge-pse microphone"
OWN_SOURCES = (SOURCE, f"{SINK}.monitor")
"""To record from these would be to hear oneself, round and round."""

_RATE_HZ = 16_000
_MODULES = {
    "module-null-sink": (
        f"sink_name={SINK}",
        f"rate={_RATE_HZ}",
        "channels=1",
        "channel_map=mono",
        "sink_properties=\"device.description='edge-pse output'\"",
    ),
    "module-remap-source": (
        f"source_name={SOURCE}",
        f"master={SINK}.monitor",
        "channels=1",
        "channel_map=mono",
        "master_channel_map=mono",
        f"source_properties=\"device.description='{DESCRIPTION}'\"",
    ),
}
_BEGIN, _END = "# edge-pse virtual microphone: begin", "# edge-pse virtual microphone: end"
_APPEAR_S = 2.0


@dataclass(frozen=True)
class Status:
    """What there is of the virtual microphone."""

    server: str | None
    """``pulseaudio`` or ``pipewire``; None if no sound server answers."""
    present: bool
    """Programs see it now."""
    permanent: bool
    """The server's configuration has it."""
    recorders: int
    """How many programs record from it."""


def status() -> Status:
    """Look, change nothing."""
    server = sound_server.kind_of_server()
    permanent = any(_is_in(path) for path in _configuration_files())
    recorders = sound_server.recorders(SOURCE, os.getpid()) if server else 0
    return Status(server, server is not None and not _missing(), permanent, recorders)


def turn_on() -> None:
    """Make it, now and for every start of the server; AudioError if there is no sound server."""
    server = _server()
    ensure()
    if server == "pipewire":
        lines = [f'    {{ cmd = "load-module" args = "{_escaped(line)}" }}' for line in _lines()]
        _write(_pipewire_file(), ["pulse.cmd = [", *lines, "]"])
    else:
        path = _pulseaudio_file()
        before = _without_block(path.read_text()) if path.exists() else [".include /etc/pulse/default.pa"]
        _write(path, [f"load-module {line}" for line in _lines()], before)


def turn_off() -> None:
    """Take it away, now and from the configuration; nothing happens where there is none."""
    for path in _configuration_files():
        if _is_in(path):
            rest = _without_block(path.read_text())
            if any(line != ".include /etc/pulse/default.pa" for line in rest if line.strip()):
                path.write_text("\n".join(rest) + "\n")
            else:
                path.unlink()
    _server()
    _unload()


def ensure() -> None:
    """Make it for as long as the server runs, if it is not there; AudioError if that can't be done."""
    _server()
    if not _missing():
        return
    _unload()  # half of it may be left
    for module, arguments in _MODULES.items():
        sound_server.load_module(module, *arguments)
    until = time.monotonic() + _APPEAR_S
    while _missing():
        if time.monotonic() > until:
            raise AudioError("The sound server made no virtual microphone: restart it and try again.")
        time.sleep(0.05)


def _server() -> str:
    server = sound_server.kind_of_server()
    if server is None:
        raise AudioError(
            "No sound server answers, so there is no place for a virtual microphone: start PipeWire or "
            "PulseAudio and install `pactl` (sudo apt install pulseaudio-utils), or use snd-aloop "
            "(targets/raspberry-pi/README.md)."
        )
    return server


def _missing() -> bool:
    return not (
        any(device.name == SINK for device in sound_server.devices("output"))
        and any(device.name == SOURCE for device in sound_server.devices("input"))
    )


def _unload() -> None:
    marks = tuple(arguments[0] for arguments in _MODULES.values())
    # The source first: the sink's monitor is its master.
    for number, text in sorted(sound_server.modules().items(), reverse=True):
        if any(f" {mark} " in f" {text} " for mark in marks):
            sound_server.unload_module(number)


def _lines() -> list[str]:
    return [" ".join((module, *arguments)) for module, arguments in _MODULES.items()]


def _escaped(line: str) -> str:
    return line.replace('"', '\\"')


def _pulseaudio_file() -> Path:
    # XDG_CONFIG_HOME does not move PulseAudio's script.
    return Path.home() / ".config" / "pulse" / "default.pa"


def _pipewire_file() -> Path:
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return configuration / "pipewire" / "pipewire-pulse.conf.d" / "edge-pse.conf"


def _configuration_files() -> list[Path]:
    return [_pulseaudio_file(), _pipewire_file()]


def _is_in(path: Path) -> bool:
    return path.exists() and _BEGIN in path.read_text()


def _without_block(text: str) -> list[str]:
    lines = text.splitlines()
    if _BEGIN not in lines or _END not in lines:
        return lines
    return lines[: lines.index(_BEGIN)] + lines[lines.index(_END) + 1 :]


def _write(path: Path, block: list[str], before: list[str] | None = None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*(before or []), _BEGIN, *block, _END]) + "\n")
    except OSError as error:
        raise AudioError(
            f"Can't write {path} ({error.strerror}): the virtual microphone will end with the sound server."
        ) from error
