"""Asks a stream that runs in another process of this user."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from edge_pse.control import protocol
from edge_pse.errors import ControlError

_PATIENCE_S = 10.0
_NONE = "No stream runs here: start one first, with edge-pse run or systemctl --user start edge-pse."


class Control:
    """A stream, as another program sees it; each call is a connection of its own, so that it may be started anew.

    All methods raise ControlError: where no stream runs, where it does not answer, and with what it answers instead.
    """

    def __init__(self, path: Path | None = None):
        """``path``: of the socket, None for that of this user's stream."""
        self._path = protocol.socket_path() if path is None else path

    def status(self) -> dict[str, Any]:
        """How it goes, see ``Desk.status``."""
        return self._status(self._ask({"do": "status"}))

    def set(
        self,
        *,
        bypass: bool | None = None,
        strength: float | None = None,
        profiles: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Change what is given -> the status after that."""
        wanted = {
            "bypass": bypass,
            "strength": strength,
            "profiles": None if profiles is None else list(profiles),
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        return self._status(self._ask({"do": "set", **given}))

    def stop(self) -> None:
        """End it."""
        self._ask({"do": "stop"})

    @staticmethod
    def _status(answer: dict[str, Any]) -> dict[str, Any]:
        status = answer.get("status")
        if not isinstance(status, dict):
            raise ControlError(
                "The stream says nothing of its state: it is of another release, start it again."
            )
        return status

    @contextmanager
    def hearing(self) -> Iterator[Callable[[], dict[str, Any]]]:
        """While in here, the stream keeps its last ten seconds; what this gives asks for them: ``Hearing.latest``."""
        with self._connected() as stream, stream.makefile("rb") as lines:
            self._exchange(stream, lines, {"do": "hear"})
            yield lambda: self._exchange(stream, lines, {"do": "hear"})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._connected() as stream, stream.makefile("rb") as lines:
            return self._exchange(stream, lines, request)

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        if not hasattr(socket, "AF_UNIX"):
            raise ControlError("Streams can't be controlled here: this system has no Unix sockets.")
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(_PATIENCE_S)
            try:
                protocol.check_private(self._path.parent)
                protocol.connect(stream, self._path)
            except OSError as error:
                raise ControlError(_NONE) from error
            yield stream

    @staticmethod
    def _exchange(stream: socket.socket, lines: IO[bytes], request: dict[str, Any]) -> dict[str, Any]:
        try:
            with suppress(BrokenPipeError):  # a stream that takes no more programs has answered by then
                stream.sendall(protocol.encode(request))
            line = lines.readline(protocol.MOST_ANSWER_BYTES)
        except OSError as error:
            raise ControlError("The stream does not answer: start it again.") from error
        if not line:
            raise ControlError("The stream has ended.")
        answer = protocol.decode(line)
        if answer.get("ok") is not True:
            raise ControlError(str(answer.get("error", "The stream refuses.")))
        return answer
