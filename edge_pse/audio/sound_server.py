"""What the sound server of the desktop says and does: PulseAudio, or PipeWire by its PulseAudio side.

Everything goes through ``pactl``, which speaks to both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from edge_pse.errors import AudioError

Kind = Literal["input", "output"]

LOOPBACK_PROPERTY = "edge_pse.loopback"
"""Marks the stream that hears what the loudspeaker plays, among those of this process."""

_TIMEOUT_S = 3.0
_OBJECTS = {"input": ("source", "source-outputs"), "output": ("sink", "sink-inputs")}


@dataclass(frozen=True)
class ServerDevice:
    """A source (input) or sink (output) of the server."""

    index: int
    name: str
    description: str
    rate_hz: int
    channels: int
    monitor: bool
    """A source that repeats what a sink plays; not a microphone."""


def kind_of_server() -> Literal["pulseaudio", "pipewire"] | None:
    """Which server answers, None if none does."""
    info = _json("info") if shutil.which("pactl") else None
    if not isinstance(info, dict):
        return None
    return "pipewire" if "pipewire" in info.get("server_name", "").lower() else "pulseaudio"


def devices(kind: Kind) -> list[ServerDevice]:
    """All sources or sinks; none if no server answers."""
    listed = _json("list", f"{_OBJECTS[kind][0]}s") or []
    return [
        ServerDevice(
            index=entry["index"],
            name=entry["name"],
            description=entry.get("description") or entry["name"],
            rate_hz=_rate_hz(entry["sample_specification"]),
            channels=_channels(entry["sample_specification"]),
            monitor=kind == "input" and _is_monitor(entry),
        )
        for entry in listed
    ]


def default_source() -> str | None:
    """Name of the source that programs get which name none."""
    return (_run("get-default-source") or "").strip() or None


def default_sink() -> str | None:
    """Name of the sink that programs play to which name none."""
    return (_run("get-default-sink") or "").strip() or None


def device_in_use(kind: Kind, process_id: int, loopback: bool = False) -> str | None:
    """Name of the device that this process records from or plays to, None if it does neither.

    Its stream with ``LOOPBACK_PROPERTY`` counts only, and alone, with ``loopback``.
    """
    what, streams = _OBJECTS[kind]
    for stream in _json("list", streams) or []:
        properties = stream.get("properties", {})
        if (LOOPBACK_PROPERTY in properties) != loopback:
            continue
        if properties.get("application.process.id") == str(process_id):
            index = stream[what]
            return next((device.name for device in devices(kind) if device.index == index), None)
    return None


def recorders(source: str, ignored_process_id: int) -> int:
    """How many programs record from a source, but for one process and the server's own streams."""
    indices = {device.index for device in devices("input") if device.name == source}
    count = 0
    for stream in _json("list", "source-outputs") or []:
        process = stream.get("properties", {}).get("application.process.id")
        count += stream["source"] in indices and process not in (None, str(ignored_process_id))
    return count


def modules() -> dict[int, str]:
    """Loaded modules: number -> name and arguments, as text."""
    listed = (_run("list", "short", "modules") or "").splitlines()
    fields = (line.split("\t") for line in listed)
    # PipeWire writes some arguments over several lines; those of ours are on one.
    return {int(number): " ".join(rest) for number, *rest in fields if number.isdigit()}


def load_module(name: str, *arguments: str) -> None:
    """Load a module until the server ends; AudioError if the server refuses."""
    if _run("load-module", name, *arguments) is None:
        raise AudioError(f"The sound server refused {name}: see what `pactl load-module {name}` says.")


def unload_module(number: int) -> None:
    """Unload a module; nothing happens if it is gone already."""
    _run("unload-module", str(number))


class Changes:
    """Calls back when anything about streams and devices changes at the server, which tells by itself.

    ``on_change`` runs on a thread of this object, first when the watch begins. Ends with the server.
    """

    def __init__(self, on_change: Callable[[], None]):
        self._on_change = on_change
        try:
            self._process = subprocess.Popen(
                ["pactl", "subscribe"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_plain_language(),
                text=True,
            )
        except OSError as error:
            raise AudioError(
                "`pactl` is missing: install it with `sudo apt install pulseaudio-utils`."
            ) from error
        self._thread = threading.Thread(target=self._listen, name="sound server changes", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once the server has ended."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stop watching."""
        self._process.kill()  # it has nothing to tidy up, and must not keep the caller waiting
        self._process.wait()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        self._on_change()
        for line in self._process.stdout:
            # Clients come and go with every pactl, ours too.
            if " client " not in line:
                self._on_change()


def _run(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["pactl", *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, env=_plain_language()
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _json(*arguments: str) -> Any:
    text = _run("--format=json", *arguments)
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _plain_language() -> dict[str, str]:
    # With a comma as decimal sign, pactl writes numbers that are not JSON.
    return {**os.environ, "LC_ALL": "C"}


def _rate_hz(specification: str) -> int:
    return int(specification.split()[2].removesuffix("Hz"))


def _channels(specification: str) -> int:
    return int(specification.split()[1].removesuffix("ch"))


def _is_monitor(entry: dict[str, Any]) -> bool:
    return entry.get("properties", {}).get("device.class") == "monitor" or bool(entry.get("monitor_source"))
