"""Who may use the panel: whoever has its token, from its own page, and nobody else.

Other users of the machine reach the same address, and pages of other sites reach it through the browser of whoever
visits them. So each request has to show three things:

- It is meant for this machine by a name of this machine (``Host``): no name of elsewhere leads here, whatever a name
  server says.
- It comes from the panel's own page: ``Origin`` and ``Sec-Fetch-Site``, which browsers write and pages can't.
- It has what the token was exchanged for: a cookie, which scripts can't read, and a key, which the page sends itself.
  Browsers send cookies to every port of a machine, so that the cookie alone would be known to programs of other users;
  what a page keeps is for its own port alone.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from edge_pse import atomic
from edge_pse.errors import ControlError

KEY_HEADER = "x-edge-pse-key"
_TOKEN_BYTES = 18
_LEAST_TOKEN_CHARACTERS = 20
_PLAIN_METHODS = ("GET", "HEAD")


class Access:
    """Checks requests against one token. ``port``: where the panel listens, in the name of its cookie."""

    def __init__(self, token: str, port: int):
        self._token = token
        self.cookie_name = f"edge-pse-{port}"
        self._cookie, self._key = self._derived("cookie"), self._derived("key")

    def exchange(self, token: object) -> tuple[str, str] | None:
        """(cookie, key) for the token; None for another one."""
        given = token if isinstance(token, str) else ""
        return (self._cookie, self._key) if _equal(given, self._token) else None

    def trouble_of_origin(self, method: str, headers: Mapping[str, str]) -> str:
        """A sentence if a request is not from the panel's own page; else empty. Headers have names in small letters."""
        host = headers.get("host", "")
        if not _of_this_machine(host):
            return f"This panel has no name {_name(host)[:100]!r}: use the address that it was started with."
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site not in (None, "same-origin") or origin not in (None, f"http://{host}", f"https://{host}"):
            return "Only the panel's own page may do that."
        if origin is None and method not in _PLAIN_METHODS:
            return "Only the panel's own page may do that, and it says so in the header Origin."
        return ""

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has both the cookie and the key."""
        # A browser sends the cookies of all programs of the machine, whatever form theirs have.
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        cookies = [_equal(value, self._cookie) for name, _, value in pairs if name == self.cookie_name]
        # Both are compared, so that the time does not say which was wrong.
        return bool(any(cookies) & _equal(headers.get(KEY_HEADER, ""), self._key))

    def _derived(self, use: str) -> str:
        return hmac.digest(self._token.encode(), f"edge-pse panel {use}".encode(), "sha256").hex()


def _equal(given: str, secret: str) -> bool:
    """In a time that tells nothing of the secret."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


def _name(host: str) -> str:
    """Without the port."""
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _of_this_machine(host: str) -> bool:
    """Whether a Host is an address, which no name server gives out, or a name that this machine has."""
    name = _name(host).lower().rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        own = socket.gethostname().lower()
        return name in {"localhost", own, f"{own.partition('.')[0]}.local"}
    return True


def kept_token(path: Path, renew: bool = False) -> str:
    """The token in a file that is its user's alone, made anew where there is none, or with ``renew``.

    ControlError if others could read it, or if it can't be read or written.
    """
    try:
        if path.exists() and not renew:
            if hasattr(os, "geteuid") and (path.stat().st_uid != os.geteuid() or path.stat().st_mode & 0o077):
                raise ControlError(f"Others may know the token in {path}: remove that file, and start again.")
            token = path.read_text(encoding="ascii").strip()
            if len(token) >= _LEAST_TOKEN_CHARACTERS:
                return token
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        atomic.write(path, f"{token}\n".encode(), mode=atomic.OWN)
    except (OSError, UnicodeDecodeError) as error:
        raise ControlError(f"The token can't be kept in {path}: {error}.") from error
    return token
