"""Who listens for clients, and how many may come in."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable

from edge_pse.assistant.client import Client
from edge_pse.assistant.command import Behind
from edge_pse.assistant.protocol import Address, Connection
from edge_pse.errors import AssistantError

_MOST_REFUSED = 8
"""Clients beyond the limit that are told so at once; further ones are left without a word."""

_HEARTBEAT_S = 2.0


class Proxy:
    """A Wyoming server in front of a speech-to-text service. ``say``: hears what goes wrong, a sentence each."""

    def __init__(self, behind: Behind, say: Callable[[str], object]):
        self._behind, self._say = behind, say
        self._clients: set[asyncio.Task[None]] = set()
        self._refused: set[asyncio.Task[None]] = set()

    async def run(self, address: Address, stop: asyncio.Event, on_listening: Callable[[int], object]) -> None:
        """Listen until ``stop``; AssistantError if that can't be done there.

        ``on_listening`` is given the port, which the system chooses for port 0.
        """
        try:
            server = await asyncio.start_server(
                self._accept, address.host, address.port, limit=self._behind.recogniser.limits.header_bytes
            )
        except OSError as error:
            raise AssistantError(
                f"Can't listen on {address} ({error.strerror or error}): end what listens there, or choose another "
                "address with --uri."
            ) from None
        for listening in server.sockets:  # those that are accepted inherit it
            listening.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, self._behind.recogniser.limits.socket_bytes
            )
        on_listening(server.sockets[0].getsockname()[1])
        try:
            await stop.wait()
        finally:
            server.close()
            left = self._clients | self._refused
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        limits = self._behind.recogniser.limits
        connection = Connection(reader, writer, limits)
        if len(self._clients) < limits.clients:
            self._keep(self._clients, self._serve(connection))
        elif len(self._refused) < _MOST_REFUSED:
            busy = f"All {limits.clients} places are taken: try again in a moment."
            self._keep(self._refused, connection.refuse(busy, "busy"))
        else:
            writer.transport.abort()

    @staticmethod
    def _keep(tasks: set[asyncio.Task[None]], work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        try:
            await Client(self._behind, connection, self._say).run()
        except Exception as error:  # whatever one client brings about, the others are served
            self._say(f"Serving {connection.peer} failed ({type(error).__name__}: {error}).")
            await connection.close()
        except asyncio.CancelledError:
            await connection.close()
            raise


def serve(
    proxy: Proxy,
    address: Address,
    stop: threading.Event,
    on_listening: Callable[[int], object],
    heartbeat: Callable[[], object],
) -> None:
    """Run a proxy until another thread sets ``stop``; ``heartbeat`` is called again and again, once it listens."""

    async def run() -> None:
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(_pass_on(stop, stopping))]

        def listening(port: int) -> None:
            on_listening(port)
            tasks.append(asyncio.create_task(_beat(heartbeat)))

        try:
            await proxy.run(address, stopping, listening)
        finally:
            stop.set()  # for the thread that waits for it
            for task in tasks[1:]:
                task.cancel()
            await asyncio.wait(tasks)

    asyncio.run(run())


async def _pass_on(stop: threading.Event, stopping: asyncio.Event) -> None:
    await asyncio.get_running_loop().run_in_executor(None, stop.wait)
    stopping.set()


async def _beat(heartbeat: Callable[[], object]) -> None:
    while True:
        heartbeat()
        await asyncio.sleep(_HEARTBEAT_S)


def is_loopback(address: Address) -> bool:
    """Whether only programs of this machine can reach it."""
    if address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False
