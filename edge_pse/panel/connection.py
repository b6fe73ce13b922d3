"""One connection, which is waited for no longer than a request takes: who asks nothing locks nobody out."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 10.0
"""From the beginning of a connection, or the last answer on it, to the end of a request."""


class Connection(H11Protocol):
    """As uvicorn has it, which waits for ever for a connection's first byte, and for what follows after one."""

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Some of a request."""
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait_no_more()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """For the end of a request, from the first time on that there is none to answer."""
        is_asked = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        if is_asked:
            self._wait_no_more()
        elif self._overdue is None and not self.transport.is_closing():
            self._overdue = self.loop.call_later(REQUEST_S, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
