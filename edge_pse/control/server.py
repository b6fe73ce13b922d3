"""Answers the programs of a stream's user, on threads of its own; the sound does not wait for them."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge_pse.control import protocol
from edge_pse.control.desk import Desk
from edge_pse.errors import ControlError, EdgePseError

_MOST_CLIENTS = 32
_LOOK_S = 0.2
_PEER = struct.Struct("3i")  # process, user, group


class ControlServer:
    """Listens as long as it is entered.

    Entering it raises ControlError if another stream of this user listens already, or where none can.
    """

    def __init__(self, desk: Desk, path: Path | None = None):
        self._desk = desk
        self._path = protocol.socket_path() if path is None else path
        self._clients = threading.BoundedSemaphore(_MOST_CLIENTS)
        self._open: set[socket.socket] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="edge-pse control", daemon=True)

    def __enter__(self) -> Self:
        if not hasattr(socket, "AF_UNIX"):
            raise ControlError(
                "This stream can't be controlled by other programs: this system has no Unix sockets."
            )
        try:
            self._listen()
        except OSError as error:
            raise ControlError(
                f"This stream can't be controlled by other programs: {self._path}: {error.strerror or error}."
            ) from error
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if os.path.samestat(self._path.stat(), self._bound):  # another stream's stays
                self._path.unlink()
        for client in list(self._open):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        place = self._path.parent
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        protocol.check_private(place)
        if self._path.exists():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as other:
                protocol.connect(other, self._path)
                raise ControlError(
                    "Another stream of this user runs, and other programs control that one, not this one."
                )
            self._path.unlink()  # of a program that was killed
        self._socket = socket.socket(socket.AF_UNIX)
        protocol.bind(self._socket, self._path)
        self._bound = self._path.stat()
        self._path.chmod(0o600)  # before anybody is let in
        self._socket.listen()
        self._socket.settimeout(_LOOK_S)

    def _accept(self) -> None:
        with self._socket:
            while not self._ending.is_set():
                try:
                    client, _ = self._socket.accept()
                except TimeoutError:
                    continue
                except OSError:  # no more files: some may be closed by then
                    self._ending.wait(_LOOK_S)
                    continue
                if not self._clients.acquire(blocking=False):
                    self._refuse(client)
                    continue
                self._open.add(client)
                threading.Thread(
                    target=self._serve, args=(client,), name="edge-pse client", daemon=True
                ).start()

    def _refuse(self, client: socket.socket) -> None:
        sentence = f"{_MOST_CLIENTS} programs are connected to this stream already: end one of them."
        with client, contextlib.suppress(OSError):
            client.settimeout(_LOOK_S)
            client.sendall(protocol.encode({"ok": False, "error": sentence}))

    def _serve(self, client: socket.socket) -> None:
        try:
            client.settimeout(None)
            with (
                client,
                client.makefile("rb") as lines,
                contextlib.suppress(OSError),
                _Conversation(self._desk) as conversation,
            ):
                if not _of_this_user(client):
                    return
                while line := lines.readline(protocol.MOST_LINE_BYTES):
                    client.sendall(protocol.encode(conversation.answer(line)))
                    if not line.endswith(b"\n"):
                        return
        finally:
            self._open.discard(client)
            self._clients.release()


class _Conversation:
    """With one client, until its connection closes, which is the end of ``with``."""

    def __init__(self, desk: Desk):
        self._desk = desk
        self._hears = contextlib.ExitStack()
        self._hears_already = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hears.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, **self._do(protocol.decode(line))}
        except EdgePseError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # the stream goes on, whatever is asked of it
            return {"ok": False, "error": f"That can't be done: {error or type(error).__name__}."}

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = {name: value for name, value in request.items() if name not in ("protocol", "do")}
        match request.get("do"), bool(wanted):
            case "set", _:
                self._desk.set(**_checked(wanted))
                return {"status": self._desk.status()}
            case "status", False:
                return {"status": self._desk.status()}
            case "hear", False:
                return self._hear()
            case "stop", False:
                self._desk.stop()
                return {}
        raise ControlError("This stream does not know what that means: it is of another release.")

    def _hear(self) -> dict[str, Any]:
        if not self._hears_already:
            self._hears.enter_context(self._desk.hearing.kept())
            self._hears_already = True
        return self._desk.hearing.latest()


def _checked(wanted: dict[str, Any]) -> dict[str, Any]:
    """What ``set`` takes; ControlError for anything else."""
    for name, value in wanted.items():
        fits = {
            "bypass": isinstance(value, bool),
            "strength": isinstance(value, int | float) and not isinstance(value, bool),
            "profiles": isinstance(value, list) and all(isinstance(one, str) for one in value),
        }.get(name, False)
        if not fits:
            raise ControlError(f"This stream has no {name!r} of that kind to be set.")
    return wanted


def _of_this_user(client: socket.socket) -> bool:
    """Whether who asks is the user of this stream, or root; the rights of the socket say so as well."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user in (0, os.geteuid())
