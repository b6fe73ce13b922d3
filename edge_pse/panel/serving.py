"""The process of the panel: where it listens, under which link it is found, and that there is one for each user."""

from __future__ import annotations

import contextlib
import html
import ipaddress
import os
import re
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self, TextIO

import uvicorn
from platformdirs import user_config_path
from starlette.types import ASGIApp

from edge_pse import atomic
from edge_pse.errors import ControlError
from edge_pse.panel.access import Access, kept_token
from edge_pse.panel.connection import Connection
from edge_pse.panel.parts import Parts
from edge_pse.panel.server import application
from edge_pse.service import Service

try:
    import fcntl
except ImportError:  # Windows, where no stream can be controlled either
    fcntl = None  # type: ignore[assignment]

PORT = 10360
_LOCK = "panel.lock"
MOST_CONNECTIONS = 100
_END_S = 2
_BEGINS_S, _ASK_AGAIN_S = 3.0, 0.05
"""How long a panel may have the lock before it says where it listens."""
_NOWHERE = ("192.0.2.1", 9)
"""An address that nobody has (RFC 5737): to ask by which of its own this machine would send there. Nothing is sent."""


@dataclass(frozen=True)
class Address:
    """Where a panel listens."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Self:
        """``ADDRESS[:PORT]``, with an IPv6 address in brackets if a port follows; ControlError for anything else."""
        # With brackets or without colons: otherwise all of it is an IPv6 address.
        parts = re.fullmatch(r"(?:\[(?P<six>[^\]]*)\]|(?P<host>[^\[:]*))(?::(?P<port>\d{1,5}))?", text)
        host, port = (parts["six"] or parts["host"] or "", parts["port"]) if parts else (text, None)
        try:
            address = str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host))
            found = cls(address, PORT if port is None else int(port))
        except ValueError:
            found = cls("", -1)
        if not 0 <= found.port < 1 << 16:
            raise ControlError(f"{text!r} is nowhere to listen: give an address, as in 127.0.0.1:{PORT}.")
        return found

    @property
    def of_network(self) -> bool:
        """Whether other machines reach it."""
        return not ipaddress.ip_address(self.host).is_loopback

    def link(self, token: str) -> str:
        """What a browser opens. What follows the # is for the page, and is sent to nobody."""
        return f"http://{self._shown()}/#{token}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _shown(self) -> str:
        """With an address by which others reach this machine, in the place of that for all."""
        address = ipaddress.ip_address(self.host)
        if not address.is_unspecified:
            return str(self)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        host = "127.0.0.1" if address.version == 4 else "::1"
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect(_NOWHERE if family == socket.AF_INET else ("2001:db8::1", 9))
            host = asking.getsockname()[0]
        return str(Address(host, self.port))


def folder() -> Path:
    """Where the token and the lock of this user's panel lie; ControlError for a user without a home."""
    try:
        return user_config_path("edge-pse")
    except RuntimeError as error:
        raise ControlError("There is no home directory to keep the panel's token in: set HOME.") from error


def token(renew: bool = False) -> str:
    """Of this user's panel; ``renew`` makes another, and whoever was let in by the one before is out."""
    return kept_token(folder() / "panel.token", renew)


def running() -> Address | None:
    """Where the panel of this user listens already."""
    with _lock() as other:
        return other


def begin(address: Address, shows: bool) -> NoReturn:
    """Go on as a program that knows nothing but the panel, in the place of this one, which is three times as large."""
    words = [str(address), *(["--open"] if shows else [])]
    os.execv(sys.executable, [sys.executable, "-P", "-m", __name__, *words])


def serve(address: Address, listening: Callable[[Address], None]) -> None:
    """Until a signal ends it. ``listening`` is called with the address as soon as there is an answer.

    ControlError if nobody can listen there, or if a panel of this user does already.
    """
    manager = Service()
    with _alone(), _listener(address) as listener:
        host, port = listener.getsockname()[:2]
        bound = Address(host, port)
        (folder() / _LOCK).write_text(f"{bound}\n", encoding="ascii")
        parts = Parts(manager.alive)
        server = server_of(application(Access(token(), port), parts))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, server.handle_exit)
        parts.begin()
        listening(bound)
        try:
            server.run([listener])
        finally:
            manager.stopping()
            parts.end()


def server_of(app: ASGIApp) -> uvicorn.Server:
    """What answers HTTP by an application; it leaves signals to others."""
    return _Server(
        uvicorn.Config(
            app,
            loop="asyncio", http=Connection, ws="none", lifespan="off", log_config=None, log_level="error",
            access_log=False, server_header=False, proxy_headers=False, limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=_END_S,
        )
    )  # fmt: skip


def announce(address: Address, shows: bool) -> None:
    """Print where the panel is, and show it in the browser if that is wanted."""
    link = address.link(token())
    _say(f"The panel is at {link}")
    if shows:
        show(link)


def show(link: str) -> None:
    """Open it in the browser, by a file of this user that leads there: a command line, others could read."""
    path = folder() / "panel.html"
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(link)}"><title>edge-pse</title>'
    try:
        atomic.write(path, page.encode(), mode=atomic.OWN)
    except OSError as error:
        raise ControlError(f"Can't write {path}: {error.strerror}.") from error
    if not webbrowser.open(path.as_uri()):
        raise ControlError("No browser opens here: open the link in one yourself.")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are heard from before it listens, and are the usual end: they are not raised again after it."""
        yield


def _say(sentence: str) -> None:
    """Where nobody reads it, the page is served all the same."""
    with contextlib.suppress(OSError, ValueError):
        print(sentence, flush=True)


@contextmanager
def _lock() -> Iterator[Address | None]:
    """Being the one panel of this user, as long as it is entered; or the address of the other."""
    path = folder() / _LOCK
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, atomic.OWN)
    except OSError as error:
        raise ControlError(f"Can't write {path}: {error.strerror}.") from error
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
        yield _other(file)


def _other(file: TextIO) -> Address | None:
    """None once this process has the lock; else where the one listens that has it, which may only just be beginning."""
    ends_s = time.monotonic() + _BEGINS_S
    while time.monotonic() < ends_s:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            text = file.read().strip()
            if text:
                return Address.of(text)
            time.sleep(_ASK_AGAIN_S)
        else:
            file.truncate(0)  # what it says is where a panel listened that has ended
            return None
    raise ControlError("Another panel of this user is just beginning: try again in a moment.")


@contextmanager
def _alone() -> Iterator[None]:
    """Being the one panel of this user; ControlError if there is another, which may have begun at the same time."""
    with _lock() as other:
        if other is not None:
            raise ControlError(f"The panel runs already, at {other}.")
        yield


@contextmanager
def _listener(address: Address) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise ControlError(
            f"Can't listen on {address}: {error.strerror or error}. Choose another place with --listen."
        ) from error
    with listener:
        yield listener


def _main(words: list[str]) -> None:
    """As ``begin`` calls it."""

    def listening(bound: Address) -> None:
        if bound.of_network:
            _say(
                f"Other machines reach {bound}. Nothing that goes there is encrypted: whoever can listen on that "
                "network can take the link from it, and hear what you choose to hear."
            )
        if Service().managed:  # what it says is kept in a journal, and the link is for nobody else
            _say(f"The panel listens at {bound}; `edge-pse panel` prints its link.")
        else:
            announce(bound, "--open" in words)

    try:
        serve(Address.of(words[0]), listening)
    except ControlError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    _main(sys.argv[1:])
