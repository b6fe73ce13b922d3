"""The microphone that other programs see: what is played into a silent sink comes out of it.

Two modules of the sound server: a null sink that this program plays to, and a source that repeats it. The
source is needed because browsers hide the monitors of sinks. Both are loaded at once and written into the
user's configuration of the server, so that they are there again after it has been restarted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_pse import atomic
from edge_pse.audio.devices import sound_server
from edge_pse.errors import AudioError, SoundServerError

SINK = "edge_pse"
SOURCE = "edge_pse_microphone"
DESCRIPTION = "edge-pse microphone"
OWN_SOURCES = (SOURCE, f"{SINK}.monitor")
"""To record from these would be to hear oneself, round and round."""

_RATE = "rate=48000"
_MODULES = {
    "module-null-sink": (
        f"sink_name={SINK}",
        _RATE,
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
_MARKS = tuple(arguments[0] for arguments in _MODULES.values())
"""By these they are known at the server, the sink's first."""
_INCLUDE = b".include /etc/pulse/default.pa"
_BEGIN, _END = b"# edge-pse virtual microphone: begin", b"# edge-pse virtual microphone: end"
_BEGINS = (_BEGIN, _BEGIN + b" (the line above had no end)")
"""The second where the file did not end with a line break: that one was written with the block."""
_LOADS = rf"(module-null-sink sink_name={SINK}|module-remap-source source_name={SOURCE})\b"
_PULSEAUDIO_LINE = rf"load-module {_LOADS}.*"
_PIPEWIRE_LINE = rf'pulse\.cmd = \[|\{{ cmd = "load-module" args = "{_LOADS}.*|\]'
_OURS = re.compile(f"{_PULSEAUDIO_LINE}|{_PIPEWIRE_LINE}".encode())
"""The lines that a block may hold: others are somebody's, wherever they are."""
_BOM = b"\xef\xbb\xbf"
"""Some editors put it before all that is in a file."""
_APPEAR_S = 2.0


@dataclass(frozen=True)
class Status:
    """What there is of the virtual microphone."""

    server: str | None
    """``pulseaudio`` or ``pipewire``; None if no sound server answers."""
    present: bool
    """Programs see it now."""
    permanent: bool | None
    """The server's configuration has it; None if that can't be read."""
    recorders: int | None
    """How many programs record from it; None if the server does not tell."""


def status() -> Status:
    """Look, change nothing."""
    server = sound_server.kind_of_server()
    try:
        permanent = any(_BEGIN in content for _, content in _configurations())
    except AudioError:
        permanent = None
    if server is None:
        return Status(server, False, permanent, 0)
    present = not _missing()
    try:
        return Status(server, present, permanent, sound_server.recorders(SOURCE, os.getpid()))
    except SoundServerError:
        return Status(server, present, permanent, None)


def turn_on() -> None:
    """Make it, now and for every start of the server; AudioError if there is no sound server.

    Of the server's configuration everything stays that is not the microphone's; links are followed.
    """
    server = _server()
    if any(
        _MARKS[0] in text.split() and _RATE not in text.split() for text in sound_server.modules().values()
    ):
        _unload()  # an earlier version made it, for half of the band or less
    ensure()
    path = _pipewire_file() if server == "pipewire" else _pulseaudio_file()
    if path is None:
        raise AudioError(
            "There is no home directory ($HOME) for the sound server's configuration: the virtual microphone will end "
            "with the server."
        )
    before = _read(path)
    rest = _without_blocks(before or b"")
    if server == "pipewire":
        block = _pipewire_lines()
    else:
        # A script of the user's takes the place of the system's.
        include = [] if rest.removeprefix(_BOM).strip() else [_INCLUDE.decode()]
        block = [*include, *_pulseaudio_lines()]
    content = _with_block(rest, "\n".join(block).encode())
    if content != before:
        _change(path, content, "the virtual microphone will end with the sound server")


def turn_off() -> bool:
    """Take it away, now and from the configuration; nothing happens where there is none.

    -> whether a sound server answered: one that does not may still have it. Raises AudioError for what can't be
    changed, after everything else is.
    """
    troubles: list[AudioError] = []
    for path, content in _configurations(troubles):
        rest = _without_blocks(content)
        if rest != content:
            try:
                _change(path, rest, "the virtual microphone will come back")
            except AudioError as error:
                troubles.append(error)
    answered = sound_server.kind_of_server() is not None
    if answered:
        _unload()
    if troubles:
        raise troubles[0]
    return answered


def ensure() -> None:
    """Make it for as long as the server runs, if it is not there; AudioError if that can't be done."""
    _server()
    began = time.monotonic()
    trouble = AudioError("The sound server made no virtual microphone: restart it and try again.")
    renewed = False
    while _missing():
        seconds = time.monotonic() - began
        if seconds > _APPEAR_S:
            raise trouble
        if seconds > _APPEAR_S / 2 and not renewed:
            _unload()  # what is left of an earlier one
            renewed = True
        try:
            _load_missing()
        except SoundServerError:
            raise
        except AudioError as error:  # another program may be about to make it, or have just taken it away
            trouble = error
        time.sleep(0.05)


def _load_missing() -> None:
    for module, arguments in _MODULES.items():
        if not any(arguments[0] in text.split() for text in sound_server.modules().values()):
            sound_server.load_module(module, *arguments)
    _unload(doubles_only=True)  # two programs may have found that it was missing


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
        any(device.name == SINK for device in sound_server.list_devices("output"))
        and any(device.name == SOURCE for device in sound_server.list_devices("input"))
    )


def _unload(doubles_only: bool = False) -> None:
    loaded = sorted(sound_server.modules().items())
    ours = [[number for number, text in loaded if mark in text.split()] for mark in _MARKS]
    unwanted = {number for same in ours for number in (same[1:] if doubles_only else same)}
    # The source first: the sink's monitor is its master.
    for number in sorted(unwanted, reverse=True):
        sound_server.unload_module(number)


def _lines() -> list[str]:
    return [" ".join((module, *arguments)) for module, arguments in _MODULES.items()]


def _pulseaudio_lines() -> list[str]:
    return [f"load-module {line}" for line in _lines()]


def _pipewire_lines() -> list[str]:
    escaped = (line.replace('"', '\\"') for line in _lines())
    return ["pulse.cmd = [", *(f'    {{ cmd = "load-module" args = "{line}" }}' for line in escaped), "]"]


def _pulseaudio_file() -> Path | None:
    # XDG_CONFIG_HOME does not move PulseAudio's script.
    home = _home()
    return home and home / ".config" / "pulse" / "default.pa"


def _pipewire_file() -> Path | None:
    named = os.environ.get("XDG_CONFIG_HOME", "")
    home = _home()
    # As for PipeWire, only a whole path counts.
    configuration = Path(named) if named.startswith("/") else home and home / ".config"
    return configuration and configuration / "pipewire" / "pipewire-pulse.conf.d" / "edge-pse.conf"


def _home() -> Path | None:
    """None where the user has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _configurations(troubles: list[AudioError] | None = None) -> Iterator[tuple[Path, bytes]]:
    """The files that there are, and what is in them; AudioError, or one of ``troubles``, for what can't be read."""
    for path in (_pulseaudio_file(), _pipewire_file()):
        try:
            content = None if path is None else _read(path)
        except AudioError as error:
            if troubles is None:
                raise
            troubles.append(error)
            continue
        if path is not None and content is not None:
            yield path, content


def _read(path: Path) -> bytes | None:
    """None if there is no such file."""
    try:
        if path.exists() and not path.is_file():
            raise AudioError(f"{path} is no file: move it away.")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise AudioError(f"Can't read {path} ({error.strerror}): see to its permissions.") from error


def _with_block(rest: bytes, block: bytes) -> bytes:
    if rest and not rest.endswith(b"\n"):
        return b"%b\n%b\n%b\n%b\n" % (rest, _BEGINS[1], block, _END)
    return b"%b%b\n%b\n%b\n" % (rest, _BEGIN, block, _END)


def _without_blocks(content: bytes) -> bytes:
    """To the last byte what is not ours, also where a mark is missing or somebody has written into a block."""
    start = _BOM if content.startswith(_BOM) else b""
    kept: list[bytes] = []
    lines = content[len(start) :].splitlines(keepends=True)
    stripped = [line.strip() for line in lines]
    inside = False
    for number, line in enumerate(lines):
        if stripped[number] in _BEGINS:
            inside = True
            if stripped[number] != _BEGIN and kept:
                kept[-1] = kept[-1].removesuffix(b"\n")
        elif stripped[number] == _END:
            inside = False
        elif inside and _is_ours(line, after=stripped[number - 1]):
            continue
        else:
            # Where the end mark is missing, the first line of somebody else ends the block.
            marks = (mark for mark in stripped[number:] if mark in (*_BEGINS, _END))
            inside = inside and next(marks, None) == _END
            kept.append(line)
    # With nothing behind it the mark would be a script, in the place of the system's.
    return start + b"".join(kept) if kept or not lines else b""


def _is_ours(line: bytes, after: bytes) -> bool:
    """Whether a line of a block was written with it; ``after``: the one before it."""
    text = line.strip()
    if text == _INCLUDE:
        return after in _BEGINS  # anywhere else it is what makes the user's script work
    # A full disk leaves the beginning of a line, which is then the last one.
    wholes = (_END.decode(), *_pulseaudio_lines(), *_pipewire_lines())
    cut = not line.endswith(b"\n") and any(whole.strip().encode().startswith(text) for whole in wholes)
    return cut or _OURS.fullmatch(text) is not None


def _change(path: Path, content: bytes, consequence: str) -> None:
    """Write it, or remove a file of which nothing is left; AudioError leaves it as it was."""
    try:
        if content or path.is_symlink():
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(path, content, mode=None)
        else:
            atomic.place_of(path)  # which refuses what is write-protected
            path.unlink()
    except OSError as error:
        raise AudioError(f"Can't write {path} ({error.strerror}): {consequence}.") from error
