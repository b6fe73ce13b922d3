"""What the sound server of the desktop says and does: PulseAudio, or PipeWire by its PulseAudio side.

Everything goes through ``pactl``, which speaks to both.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Self

from edge_pse.errors import AudioError, SoundServerError

Kind = Literal["input", "output"]

LOOPBACK_PROPERTY = "edge_pse.loopback"
"""Marks the stream that hears what the loudspeaker plays, among those of this process."""

_TIMEOUT_S = 3.0
_TRY_AGAIN_S = (0.1, 0.3)
"""Pauses before a question that failed is asked again."""
_WATCH_AGAIN_S = 0.5
_FIRST_ASK_AGAIN_S, _LAST_ASK_AGAIN_S = 0.5, 5.0
_OBJECTS = {"input": ("source", "source-outputs"), "output": ("sink", "sink-inputs")}
_LOST = "(null)"
"""What pactl 16 writes in JSON for every text that is not ASCII, whatever the locale; its other listing has them."""
_RATE_HZ, _CHANNELS = 48_000, 2
"""Of a device whose specification can't be read; a server changes both as it is asked to."""


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


@dataclass(frozen=True)
class Routing:
    """Where the server has put the streams of a process, by the names of its devices; None without such a stream."""

    input: str | None
    output: str | None
    loopback: str | None
    """Of the stream with ``LOOPBACK_PROPERTY``, which does not count as input."""
    default_sink: str | None
    """What programs play to that name none."""
    asked_s: float
    """When the server was asked (monotonic): what was opened later may be elsewhere."""


class _HangsError(SoundServerError):
    """It takes a question and gives no answer."""


def check_answers() -> None:
    """SoundServerError if there is a server and it hangs; nothing happens where there is none."""
    try:
        _run("info", tries=1)
    except _HangsError:
        raise
    except SoundServerError:
        return


def kind_of_server() -> Literal["pulseaudio", "pipewire"] | None:
    """Which server answers, None if none does."""
    try:
        info = _json("info")
    except SoundServerError:
        return None
    if not isinstance(info, dict):
        return None
    return "pipewire" if "pipewire" in str(info.get("server_name")).lower() else "pulseaudio"


def list_devices(kind: Kind) -> list[ServerDevice]:
    """All sources or sinks, none where there is no ``pactl``; SoundServerError if the server does not tell."""
    return [
        ServerDevice(
            index=entry["index"],
            name=str(entry["name"]),
            description=str(entry.get("description") or entry["name"]),
            rate_hz=_number_before("Hz", entry, _RATE_HZ),
            channels=_number_before("ch", entry, _CHANNELS),
            monitor=kind == "input" and _is_monitor(entry),
        )
        for entry in _device_entries(kind)
    ]


def default_source() -> str | None:
    """Name of the source that programs get which name none; SoundServerError if the server does not tell."""
    return (_run("get-default-source") or "").strip() or None


def default_sink() -> str | None:
    """Name of the sink that programs play to which name none; SoundServerError if the server does not tell."""
    return (_run("get-default-sink") or "").strip() or None


def routing(process_id: int) -> Routing:
    """Which devices a process records from and plays to; SoundServerError if the server does not tell."""
    asked_s = time.monotonic()
    return Routing(
        input=_device_of_stream("input", process_id, loopback=False),
        output=_device_of_stream("output", process_id, loopback=False),
        loopback=_device_of_stream("input", process_id, loopback=True),
        default_sink=default_sink(),
        asked_s=asked_s,
    )


def recorders(source: str, ignored_process_id: int) -> int:
    """How many programs record from a source, but for one process and the server's own streams.

    SoundServerError if the server does not tell: that is not nobody.
    """
    indices = {device.index for device in list_devices("input") if device.name == source}
    processes = [
        _property(stream, "application.process.id")
        for stream in _list("source-outputs")
        if stream.get("source") in indices
    ]
    return sum(process not in (None, str(ignored_process_id)) for process in processes)


def modules() -> dict[int, str]:
    """Loaded modules: number -> name and arguments, as text; SoundServerError if the server does not tell."""
    listed = (_run("list", "short", "modules") or "").splitlines()
    fields = (line.split("\t") for line in listed)
    # PipeWire writes some arguments over several lines; those of ours are on one.
    return {int(number): " ".join(rest) for number, *rest in fields if number.isdecimal()}


def load_module(name: str, *arguments: str) -> None:
    """Load a module until the server ends; AudioError if the server refuses."""
    # Asked once only: a module whose loading was not confirmed may be there, and would be there twice.
    with suppress(SoundServerError):
        _run("load-module", name, *arguments, tries=1)
        return
    if not any(arguments[0] in text.split() for text in modules().values()):
        raise AudioError(f"The sound server refused {name}: see what `pactl load-module {name}` says.")


def unload_module(number: int) -> None:
    """Unload a module; nothing happens if it is gone already. SoundServerError if it stays."""
    with suppress(SoundServerError):
        _run("unload-module", str(number), tries=1)
        return
    if number in modules():
        _run("unload-module", str(number))


class Subscription:
    """Calls back when anything about streams and devices changes at the server, which tells by itself.

    ``on_change`` runs on a thread of this object, first when the watch begins. When it fails (SoundServerError, for
    one), it is called again after a while. A watch that ends is begun again, until ``close`` or the end of ``with``.
    """

    def __init__(self, on_change: Callable[[], None]):
        self._on_change = on_change
        self.renewed = False
        """Whether the watch has ended since it began: the server may be another one, without what was made there."""
        self._due, self._closed = threading.Event(), threading.Event()
        self._due.set()
        try:
            self._process = _pactl_subscribe()
        except OSError as error:
            raise AudioError(
                "`pactl` is missing: install it with `sudo apt install pulseaudio-utils`."
            ) from error
        self._threads = [
            threading.Thread(target=work, name=f"sound server {what}", daemon=True)
            for what, work in (("changes", self._listen), ("questions", self._ask))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """False while the server tells nothing: it has ended, or the watch is about to begin again."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._due.set()
        self._process.kill()  # it has nothing to tidy up, and must not keep the caller waiting
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(1.0)

    def _listen(self) -> None:
        while True:
            self._pass_on(self._process)
            self.renewed = True
            if self._closed.wait(_WATCH_AGAIN_S):
                return
            with suppress(OSError):
                self._process = _pactl_subscribe()
            if self._closed.is_set():
                self._process.kill()
            self._due.set()  # whatever has changed meanwhile

    def _pass_on(self, subscription: subprocess.Popen[bytes]) -> None:
        """Until it ends."""
        output = subscription.stdout
        if output is None or output.closed:  # no new one could be started
            return
        with output:
            for line in output:
                # Clients come and go with every pactl, ours too.
                if b" client " not in line:
                    self._due.set()
        subscription.wait()

    def _ask(self) -> None:
        again_s: float | None = None
        while True:
            self._due.wait(again_s)
            self._due.clear()
            if self._closed.is_set():
                return
            try:
                self._on_change()
                again_s = None
            except Exception:  # whatever it was, the next answer may be a good one
                again_s = min(2 * again_s, _LAST_ASK_AGAIN_S) if again_s else _FIRST_ASK_AGAIN_S


def _pactl_subscribe() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["pactl", "subscribe"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_plain_language(),
    )


def _run(*arguments: str, tries: int = 1 + len(_TRY_AGAIN_S)) -> str | None:
    """What ``pactl`` prints, None where it is not installed; SoundServerError if it fails each time."""
    if shutil.which("pactl") is None:
        return None
    for pause_s in (*_TRY_AGAIN_S[: tries - 1], None):
        try:
            done = subprocess.run(
                ["pactl", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                env=_plain_language(),
            )
        except subprocess.TimeoutExpired:
            # Whoever hangs does not cease to when asked more often.
            raise _HangsError(" ".join(arguments)) from None
        except OSError:
            done = None
        if done is not None and done.returncode == 0:
            return done.stdout.decode(errors="replace")
        if pause_s is not None:
            time.sleep(pause_s)
    raise SoundServerError(" ".join(arguments))


def _json(*arguments: str) -> Any:
    """What ``pactl`` says, None where it is not installed; SoundServerError for what is no JSON."""
    text = _run("--format=json", *arguments)
    if text is None:
        return None
    try:
        # Control characters in names are not escaped by every version.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise SoundServerError(" ".join(arguments)) from None


def _list(what: str) -> list[dict[str, Any]]:
    """The entries of a listing; SoundServerError if it is none."""
    listed = _json("list", what)
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise SoundServerError(f"list {what}")
    return [entry for entry in listed if isinstance(entry, dict) and isinstance(entry.get("index"), int)]


def _device_entries(kind: Kind) -> list[dict[str, Any]]:
    what = f"{_OBJECTS[kind][0]}s"
    entries = [entry for entry in _list(what) if entry.get("name")]
    if any(_LOST in (entry["name"], entry.get("description")) for entry in entries):
        texts = _texts(_run("list", what) or "")
        for entry in entries:
            found = texts.get(entry["index"], {})
            entry |= {field: text for field, text in found.items() if entry.get(field) == _LOST}
            if entry.get("description") == _LOST:
                entry["description"] = entry["name"]
    return entries


def _texts(listing: str) -> dict[int, dict[str, str]]:
    """Names and descriptions from the listing that is made to be read, by index."""
    parts = re.split(r"^\S+ #(\d+)$", listing, flags=re.MULTILINE)
    fields = {"name": "Name", "description": "Description"}
    found: dict[int, dict[str, str]] = {}
    for index, part in zip(parts[1::2], parts[2::2], strict=True):
        # The first of each: what follows belongs to others, or was put into a text to look like one.
        lines = {field: re.search(rf"^\t{word}: (.*)$", part, re.MULTILINE) for field, word in fields.items()}
        found.setdefault(int(index), {field: line[1] for field, line in lines.items() if line})
    return found


def _device_of_stream(kind: Kind, process_id: int, loopback: bool) -> str | None:
    what, streams = _OBJECTS[kind]
    for stream in _list(streams):
        marked = _property(stream, LOOPBACK_PROPERTY) is not None
        if marked == loopback and _property(stream, "application.process.id") == str(process_id):
            index = stream.get(what)
            return next((device.name for device in list_devices(kind) if device.index == index), None)
    return None


def _property(entry: dict[str, Any], name: str) -> Any:
    properties = entry.get("properties")
    return properties.get(name) if isinstance(properties, dict) else None


def _plain_language() -> dict[str, str]:
    # With a comma as decimal sign, pactl writes numbers that are not JSON; in "C" no text but ASCII is sure to pass.
    return {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": ""}


def _number_before(unit: str, entry: dict[str, Any], otherwise: int) -> int:
    """From a specification like ``s16le 2ch 48000Hz``."""
    found = re.search(rf"(\d{{1,7}}){unit}\b", str(entry.get("sample_specification")))
    return int(found[1]) if found else otherwise


def _is_monitor(entry: dict[str, Any]) -> bool:
    return _property(entry, "device.class") == "monitor" or bool(entry.get("monitor_source"))
