"""The protocol between a stream and the programs that see and change it.

Lines of JSON go through a Unix socket that is its user's alone. A request is an object with ``protocol``, the number
of this protocol, ``do``, what is wanted, and what that needs. The answer is one line: ``protocol``, ``ok``, and either
what was asked for or ``error``, a sentence for people. Requests of one connection are answered in their order.

``docs/control.md`` says what each request takes and what it answers.

What a program does not know it leaves alone: answers may have more fields than these. Another number of the protocol is
for what would be misunderstood.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs

from edge_pse import strict_json
from edge_pse.errors import ControlError, ProfileError
from edge_pse.profiles.folder import named

VERSION = 1
MOST_LINE_BYTES = 1 << 18
"""Of a request."""
MOST_ANSWER_BYTES = 1 << 25
"""Ten seconds of sound at 192 kHz, twice, take 10 MB."""
_SOCKET = "control.sock"
_MOST_ADDRESS_BYTES = 100
_BY_DESCRIPTOR = Path("/proc/self/fd")


def folder() -> Path:
    """Where the socket of this user's stream lies: that for sockets of this user, or ``$EDGE_PSE_HOME/run``.

    ``$EDGE_PSE_HOME`` counts if it is another place than without it: the service has it in any case. ControlError if it
    is the home of nobody.
    """
    try:
        home = named()
    except ProfileError as error:
        raise ControlError(str(error)) from error
    usual = None
    with suppress(RuntimeError):  # where there is no home directory
        usual = Path(platformdirs.user_data_dir("edge-pse"))
    if home is not None and home != usual:
        return home / "run"
    return Path(platformdirs.user_runtime_dir("edge-pse"))


def socket_path() -> Path:
    """The socket of this user's stream, whether it is there or not."""
    return folder() / _SOCKET


def check_private(place: Path) -> None:
    """ControlError unless a folder is this user's, and closed to others: what lies in it is then, too."""
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ControlError(f"{place} is not a folder of this user alone: remove it, or chmod 700 it.")


def connect(stream: socket.socket, path: Path) -> None:
    """To the socket at ``path``; OSError if nobody listens there."""
    with _short(path) as short:
        stream.connect(short)


def bind(stream: socket.socket, path: Path) -> None:
    """Make the socket at ``path``; OSError if that can't be."""
    with _short(path) as short:
        stream.bind(short)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a socket that fits into its address, which takes a hundred bytes."""
    if len(os.fsencode(path)) < _MOST_ADDRESS_BYTES or not _BY_DESCRIPTOR.is_dir():
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{_BY_DESCRIPTOR}/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def encode(content: dict[str, Any]) -> bytes:
    """One line."""
    return json.dumps({"protocol": VERSION, **content}).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """What a line says; ControlError for what is not of this protocol."""
    try:
        content = strict_json.parse(line)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ControlError("What was said is no line of this protocol: a JSON object.")
    if content.get("protocol") != VERSION:
        raise ControlError(
            f"This program speaks protocol {VERSION} of edge-pse, and the other one does not: install both from one "
            "release, and start the stream again."
        )
    return content
