"""Events of Wyoming within limits, and connections on which nothing is waited for without end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from wyoming.error import Error
from wyoming.event import Event, async_write_event
from wyoming.ping import Ping, Pong

from edge_pse.errors import AssistantError

_FAREWELL_BYTES = 1 << 16


@dataclass(frozen=True)
class Limits:
    """How much a peer may make this program hold, and how long it may be waited for."""

    clients: int = 16
    """At once; Home Assistant opens one connection a command, and one to ask what there is."""
    header_bytes: int = 1 << 16
    """Of the line with which an event begins; names and hints for a recogniser come after it."""
    data_bytes: int = 1 << 20
    """Of the data after that line."""
    payload_bytes: int = 1 << 20
    """Of the sound in an event: more than a second of two channels of 32 bits at 96 kHz."""
    socket_bytes: int = 1 << 16
    """That the system keeps for a connection: what a service is too slow for stays with the client."""
    command_s: float = 300.0
    """Of sound in a command. Assistants end theirs after some 15 s."""
    kept_bytes: int = 1 << 23
    """Of a command that is kept until it ends: one that is enrolled from, or may have to be passed on as it came."""
    idle_s: float = 60.0
    """From the end of a command until the next one has begun."""
    silent_s: float = 10.0
    """Inside a command, until some sound or its end has come, whatever else does."""
    connect_s: float = 5.0
    """Until the service behind takes the connection."""
    answer_s: float = 60.0
    """From the end of a command until its transcript: a large recogniser on a small machine is slow."""
    write_s: float = 10.0
    """Until a peer takes what is sent to it."""
    farewell_s: float = 2.0
    """Until a client whose connection is ended has read why."""


class PeerError(Exception):
    """What a peer did that ends its connection; its text is a sentence."""


class Silence(PeerError):
    """Nothing came in time."""


@dataclass(frozen=True)
class Address:
    """Where a service listens."""

    host: str
    port: int

    @classmethod
    def of(cls, uri: str) -> Address:
        """``tcp://HOST:PORT``; AssistantError for anything else."""
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or port is None or parts.scheme != "tcp" or parts.path.strip("/"):
            raise AssistantError(f"{uri[:100]!r} is no address: give one like tcp://127.0.0.1:10300.")
        return cls(host, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def read_event(reader: asyncio.StreamReader, limits: Limits) -> Event | None:
    """The next event; None at the end of the stream, PeerError for what is none or too large.

    ``wyoming.event`` would take any length that a peer names.
    """
    try:
        line = await reader.readuntil(b"\n")
        header = _header(line, limits)
        data = _json(await reader.readexactly(header["data_length"]))
        payload = await reader.readexactly(header["payload_length"])
    except asyncio.IncompleteReadError as error:
        if not error.partial and error.expected is None:
            return None
        raise PeerError("The connection ended in the middle of an event.") from None
    except asyncio.LimitOverrunError:
        raise PeerError(
            f"The header of an event is longer than {limits.header_bytes} bytes, or is none."
        ) from None
    return Event(header["type"], {**header["data"], **data}, payload or None)


def _header(line: bytes, limits: Limits) -> dict[str, Any]:
    """The line with all its fields, each of its type and within the limits."""
    header = {"data": {}, "data_length": 0, "payload_length": 0, **_json(line)}
    if not isinstance(header.get("type"), str):
        raise PeerError("An event has no type.")
    header["data"] = header["data"] or {}
    if not isinstance(header["data"], dict):
        raise PeerError("The data of an event is no object.")
    for name, most in (("data_length", limits.data_bytes), ("payload_length", limits.payload_bytes)):
        header[name] = length = header[name] or 0
        if not isinstance(length, int) or not 0 <= length <= most:
            raise PeerError(f"The {name} of an event is {str(length)[:20]}, and {most} is the most.")
    return header


def _json(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text.decode()) if text else {}  # bytes may hold halves of characters for it
        if b"\\u" in text:  # half of a character is none, and could not be passed on
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise PeerError("What came is no Wyoming event.")
    return content


class Connection:
    """One peer; every wait has its limit. For one reader and any number of writers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits):
        self._reader, self._writer, self._limits = reader, writer, limits
        self._next: asyncio.Task[Event | None] | None = None

    @classmethod
    async def open(cls, address: Address, limits: Limits) -> Connection:
        """To a service; OSError, or TimeoutError, which is one, where there is none."""
        async with asyncio.timeout(limits.connect_s):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, limit=limits.header_bytes
            )
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.socket_bytes)
        return cls(reader, writer, limits)

    @property
    def peer(self) -> str:
        """Its address, to be shown."""
        name = self._writer.get_extra_info("peername")
        return str(name[0]) if name else "unknown"

    def reading(self) -> asyncio.Task[Event | None]:
        """The task that reads the next event, until ``receive`` has given it away; more than one may wait for it."""
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        return self._next

    async def _read(self) -> Event | None:
        """The next event but for a ``ping``, which is answered at once, and prolongs no wait."""
        while True:
            event = await read_event(self._reader, self._limits)
            if event is None or not Ping.is_type(event.type):
                return event
            await self.send(Pong(text=Ping.from_event(event).text).event())

    async def receive(self, patience_s: float | None) -> Event | None:
        """The next event, None at the end; Silence after ``patience_s``, and PeerError for what is no event.

        A ``ping`` is none here: it is answered as it comes.
        """
        task = self.reading()
        done, _ = await asyncio.wait({task}, timeout=patience_s)
        if not done:
            raise Silence(f"Nothing came for {patience_s:g} s.")
        self._next = None
        try:
            return task.result()
        except OSError as error:
            raise PeerError(f"The connection broke ({error.strerror or error}).") from None
        finally:
            # What it raises holds this frame, and with it all that a command holds: in a circle, if it held the task,
            # and then for as long as the garbage collector likes.
            del task, done

    async def send(self, event: Event) -> None:
        """PeerError if the peer does not take it."""
        try:
            async with asyncio.timeout(self._limits.write_s):
                await async_write_event(event, self._writer)
        except TimeoutError:
            raise PeerError(f"Nothing was read there for {self._limits.write_s:g} s.") from None
        except (OSError, RuntimeError) as error:  # asyncio raises the latter for a transport that is closed
            raise PeerError(f"The connection broke ({getattr(error, 'strerror', None) or error}).") from None

    async def refuse(self, sentence: str, code: str) -> None:
        """Say why with an ``error`` event, and end."""
        with contextlib.suppress(PeerError):
            await self.send(Error(text=sentence, code=code).event())
        await self.part()

    async def part(self) -> None:
        """Leave the peer a moment to read what was sent last, and close.

        A socket that is closed while something lies in it unread takes away what its peer has not read yet.
        """
        with contextlib.suppress(OSError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            await self._cancel_reading()
            async with asyncio.timeout(self._limits.farewell_s):
                while await self._reader.read(_FAREWELL_BYTES):
                    pass
        await self.close()

    async def close(self) -> None:
        """What was sent goes out first, if the peer takes it."""
        await self._cancel_reading()
        self._writer.close()
        try:
            async with asyncio.timeout(self._limits.farewell_s):
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except OSError:
            pass

    async def _cancel_reading(self) -> None:
        task, self._next = self._next, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # nobody else asks
