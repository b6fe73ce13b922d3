"""Microphones and loudspeakers: what there is, how to name it, and in which format it opens.

A device is one that PortAudio lists, a source or sink of the sound server (opened through ALSA's ``pulse``),
or any ALSA PCM string.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from edge_pse.audio.devices import sound_server
from edge_pse.audio.devices.sound_server import Kind
from edge_pse.channels import named
from edge_pse.errors import AudioError, SoundServerError
from edge_pse.spectral import has_whole_hops, next_whole_hop_rate
from edge_pse.text import shown

THROUGH_SERVER = "pulse"
"""The PCM that leads to the sound server. That called ``pipewire`` does too, but PortAudio hangs in it for
ever when PipeWire ends."""

# What alsa-lib's configuration offers besides devices: converters, parts of a card, other names of the same.
_NOT_DEVICES = re.compile(
    r"(front|rear|side|surround\d+|center_lfe|iec958|spdif|hdmi|modem|phoneline|dmix|dsnoop|dshare|lavrate|"
    r"samplerate|speexrate|speex|jack|oss|usbstream|upmix|vdownmix|a52|null|sysdefault|pipewire)(:.*)?"
)
_ALSA_CONFIGURATION = "ALSA_CONFIG_PATH"
_ALSA_DEFAULTS = "/usr/share/alsa/alsa.conf"
_MOST_CHANNELS = 8
_LONGEST_TEXT = 200
_BEST_RATE_HZ = 48_000
"""Of what can do several: all that is heard is in it, and more would only cost more."""
_OTHER_RATES_HZ = (44_100, 32_000, 16_000, 8_000, 24_000, 96_000, 88_200, 192_000)


@dataclass(frozen=True)
class Device:
    """One way into or out of the machine."""

    kind: Kind
    name: str
    """What to call it: unique among the devices of its kind. As it is safe to show, like the description."""
    description: str
    index: int
    """Number at PortAudio; that of ``pulse`` for a device of the sound server."""
    channels: int
    rate_hz: int
    """What it says of itself; plugins say 44100 and 32 channels and mean any."""
    server_name: str | None = None
    """Name at the sound server; None for an ALSA device and for the server's default one."""
    through_server: bool = False
    monitor: bool = False
    loopback: bool = False
    """To be opened for what the loudspeaker plays, beside the microphone."""
    beneath_hz: int | None = None
    """Rate of what is beneath a PCM that converts, so that it does not need to."""


@dataclass(frozen=True)
class Format:
    """How a device was found to open."""

    rate_hz: int
    channels: int


def portaudio() -> ModuleType:
    """The ``sounddevice`` module; AudioError with what to do if PortAudio is missing or does not start.

    SoundServerError if the sound server hangs: PortAudio, which looks into it when it starts, would hang with it.
    """
    if "sounddevice" not in sys.modules:
        sound_server.check_answers()
    try:
        import sounddevice
    except ImportError as error:
        raise AudioError(
            "Live sound needs sounddevice: install it with `pip install sounddevice`."
        ) from error
    except OSError as error:
        raise AudioError(
            "Live sound needs PortAudio: install it with `sudo apt install libportaudio2 libasound2-plugins`."
        ) from error
    except Exception as error:  # of a class that can't be named: its module could not be imported
        raise _does_not_start() from error
    module: ModuleType = sounddevice
    return module


def rescan() -> None:
    """Let PortAudio look for devices again; only while no stream is open. AudioError if it does not start again."""
    sd = portaudio()
    _define_aliases()
    try:
        if sd._initialized:  # it is not, where the last search failed
            sd._terminate()
        sd._initialize()
    except sd.PortAudioError as error:
        raise _does_not_start() from error


def _does_not_start() -> AudioError:
    return AudioError(
        "PortAudio does not start: a line of ALSA's configuration is wrong, in ~/.asoundrc or /etc/asound.conf; "
        "`arecord -L` tells which."
    )


def list_devices(kind: Kind, all_or_none: bool = False) -> list[Device]:
    """Everything that can be recorded from (``input``) or played to (``output``).

    Where the sound server does not answer, what PortAudio lists; SoundServerError with ``all_or_none``.
    """
    found = []
    through = None
    for index, entry in _listed_by_portaudio():
        channels = entry[f"max_{kind}_channels"]
        name = _text(entry["name"])
        if not channels or _NOT_DEVICES.fullmatch(name):
            continue
        served = name == THROUGH_SERVER
        device = Device(kind, name, name, index, channels, int(entry["default_samplerate"]), None, served)
        through = device if served else through
        found.append(device)
    if through is not None:
        found = [device for device in found if device.name != "default"]  # the same again
        try:
            served_devices = sound_server.list_devices(kind)
        except SoundServerError:
            if all_or_none:
                raise
            served_devices = []
        found += [
            Device(
                kind,
                _text(d.name),
                _text(d.description),
                through.index,
                d.channels,
                d.rate_hz,
                server_name=d.name,
                through_server=True,
                monitor=d.monitor,
            )
            for d in served_devices
        ]
    return found


def resolve(kind: Kind, wanted: str | None = None, listed: bool = False) -> Device:
    """The device that a user means: a name or part of it, a number of PortAudio's, or an ALSA PCM string.

    None is the default: that of the sound server if one runs, else ALSA's. ``listed``: only devices that are
    listed, because to open other PCMs PortAudio must scan again, see ``rescan``. AudioError names what there is.
    """
    known = list_devices(kind)
    if wanted is None:
        return _default(kind, known)
    for device in known:
        if wanted == str(device.index) and device.server_name is None:
            return device
    exact, part = _matching(known, wanted)
    if not exact and not part and any(device.name == THROUGH_SERVER for device in known):
        # Before anybody is told that there is none: the server may just not have answered.
        exact, part = _matching(list_devices(kind, all_or_none=True), wanted)
    chosen = exact or part
    if len(chosen) == 1 or exact:
        return chosen[0]
    if len(chosen) > 1:
        names = ", ".join(device.name for device in chosen)
        raise AudioError(f"{wanted!r} may be any of {names}: give the whole name.")
    alsa = None if listed else _alsa_device(kind, wanted)
    if alsa is None:
        raise AudioError(
            f"There is no {kind} device {wanted!r} now: `edge-pse devices` lists those there are."
        )
    return alsa


def find_format(device: Device, channel: int | None = None, rate_hz: int | None = None) -> Format:
    """A format in which the device opens: at ``rate_hz`` if it can, at a rate with whole hops in any case.

    Without ``rate_hz`` at one that it has by itself, of several 48 kHz, so that nobody changes it on the way; mono if
    it can. ``channel`` (from 0) must be among the channels of an input. Raises AudioError if it is not, or no format
    works.
    """
    if channel is not None:
        named(channel + 1, device.channels)
    wanted: tuple[int, ...] = (device.beneath_hz or _BEST_RATE_HZ, device.rate_hz)
    if device.through_server:
        wanted = (_rate_at_server(device),)
    rates = [rate for rate in (rate_hz, *wanted, *_OTHER_RATES_HZ) if rate and has_whole_hops(rate)]
    if device.through_server and channel is None:
        return Format(rates[0], 1)  # the server changes rates and mixes
    sd = portaudio()
    check = sd.check_input_settings if device.kind == "input" else sd.check_output_settings
    reason = ""
    for rate in dict.fromkeys(rates):
        for channels in _channel_counts(device, channel):
            try:
                with server_device(device):
                    check(device=device.index, channels=channels, dtype="int16", samplerate=rate)
            except (sd.PortAudioError, ValueError) as error:
                reason = reason or str(error.args[0] if error.args else error)
            else:
                return Format(rate, channels)
    raise AudioError(
        f"{device.name} does not open as {device.kind} ({reason}): it may be in use, or unplugged."
    )


class server_device:
    """``with server_device(device):`` what is opened through the sound server leads to that device.

    libpulse reads its name, and what the stream is to be marked with, from the environment when it connects.
    """

    def __init__(self, device: Device):
        self._wanted: dict[str, str] = {}
        if device.server_name is not None:
            self._wanted["PULSE_SOURCE" if device.kind == "input" else "PULSE_SINK"] = device.server_name
        if device.loopback:
            self._wanted["PULSE_PROP"] = f"{sound_server.LOOPBACK_PROPERTY}=1"
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._wanted}
        os.environ.update(self._wanted)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _listed_by_portaudio() -> Iterator[tuple[int, dict[str, Any]]]:
    """Its devices and their numbers, without those whose names it can't tell."""
    sd = portaudio()
    for index in count():
        try:
            entry = sd.query_devices(index)
        except UnicodeDecodeError:  # cut in the middle of a character, as card names are
            continue
        except sd.PortAudioError:
            return
        yield index, entry


def _text(of_device: str) -> str:
    return shown(of_device)[:_LONGEST_TEXT]


def _matching(known: list[Device], wanted: str) -> tuple[list[Device], list[Device]]:
    """Those that are called so, and those that have it in their name or description."""
    texts = {_normalised(text) for text in _spellings(wanted)}
    exact = [d for d in known if texts & {_normalised(d.name), _normalised(d.description)}]
    part = [d for d in known if any(text in _normalised(f"{d.name} {d.description}") for text in texts)]
    return exact, part


def _spellings(typed: str) -> set[str]:
    """An argument as it is, and as it was typed where the locale says otherwise: servers write UTF-8."""
    with suppress(UnicodeError):
        return {typed, os.fsencode(typed).decode()}
    return {typed}


def _normalised(text: str) -> str:
    """In one of the ways to write it: umlauts have two."""
    return unicodedata.normalize("NFKC", text).casefold()


def _default(kind: Kind, known: list[Device]) -> Device:
    for device in known:
        if device.name == THROUGH_SERVER:
            return device
    index = portaudio().default.device[0 if kind == "input" else 1]
    for device in known:
        if device.index == index:
            return device
    if known:
        return known[0]
    raise AudioError(
        f"There is no {kind} device: plug one in, start the sound server, or see `edge-pse devices`."
    )


def _rate_at_server(device: Device) -> int:
    """That of the source or sink itself, as far as its sound can be heard."""
    name, rate_hz = device.server_name, device.rate_hz
    if name is None:
        rate_hz = _BEST_RATE_HZ
        with suppress(SoundServerError):  # it changes rates anyway
            name = sound_server.default_source() if device.kind == "input" else sound_server.default_sink()
            known = sound_server.list_devices(device.kind)
            rate_hz = next((served.rate_hz for served in known if served.name == name), rate_hz)
    return min(next_whole_hop_rate(rate_hz), _BEST_RATE_HZ)


def _channel_counts(device: Device, channel: int | None) -> list[int]:
    """Numbers of channels to try, the best first."""
    if channel is not None:
        return [channel + 1, device.channels]
    several = min(device.channels, _MOST_CHANNELS)
    # All channels of a microphone, so that the one with most speech can be found.
    wanted = (1, 2, several) if device.kind == "output" else (several, 1, 2)
    # PortAudio would write on stderr about the others.
    return [count for count in dict.fromkeys(wanted) if count <= device.channels]


def _alsa_device(kind: Kind, pcm: str) -> Device | None:
    """A PCM that PortAudio does not list: it gets a name of its own, which PortAudio does list."""
    if not re.fullmatch(r"[\w:,.=-]+", pcm):
        return None
    beneath_hz = _rate_beneath(kind, pcm)
    name = _aliases.setdefault((kind, pcm), f"edge_pse_{kind}_{len(_aliases) + 1}")
    found = (entry["name"] for _, entry in _listed_by_portaudio() if entry[f"max_{kind}_channels"])
    if name not in found:
        rescan()  # only then: a card that has come meanwhile moves the numbers of the devices that are known
    for device in list_devices(kind):
        if device.name == name:
            return replace(device, name=pcm, description=pcm, beneath_hz=beneath_hz)
    return None


def _rate_beneath(kind: Kind, pcm: str) -> int | None:
    """That of the card, where ALSA would convert any other one: by straight lines between two samples, as a rule."""
    converter, _, card = pcm.partition(":")
    beneath = {"plughw": f"hw:{card}", "plug": card.removeprefix("SLAVE=")}.get(converter)
    if not beneath:
        return None
    device = _alsa_device(kind, beneath)
    with suppress(AudioError):  # it may be in use
        return None if device is None else find_format(device).rate_hz
    return None


_aliases: dict[tuple[Kind, str], str] = {}
_directory: tempfile.TemporaryDirectory[str] | None = None


def _define_aliases() -> None:
    """Write them where ALSA reads, again if a cleaner of temporary files took that away in the course of days."""
    if not _aliases:
        return
    file = _configuration_directory() / "aliases.conf"
    lines = (
        f'pcm.{name} {{ type empty slave.pcm "{pcm}" hint.show on }}\n' for (_, pcm), name in _aliases.items()
    )
    file.write_text("".join(lines))
    paths = os.environ.get(_ALSA_CONFIGURATION, _ALSA_DEFAULTS).split(":")
    if str(file) not in paths:
        os.environ[_ALSA_CONFIGURATION] = ":".join([*paths, str(file)])


def _configuration_directory() -> Path:
    global _directory
    if _directory is None or not Path(_directory.name).is_dir():
        _directory = tempfile.TemporaryDirectory(prefix="edge-pse-")
        atexit.register(_directory.cleanup)
    return Path(_directory.name)
