"""The network for all clients: one model, a stream of it for each command, computed on threads of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from edge_pse.enhancer import Enhancer

_MOST_THREADS = 4  # a second of sound is 0.02 s of one

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Network:
    """Gives out streams, and takes them back for the next command.

    ``pattern``: a stream whose model and profiles all of them have; its profiles may be set at any time, and hold from
    the next command on.
    """

    def __init__(self, pattern: Enhancer):
        self.pattern = pattern
        self._free: list[Enhancer] = []
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="edge-pse assistant")

    @property
    def sample_rate_hz(self) -> int:
        """Of what it gives, which is the model's: that is what a speech-to-text listens at."""
        return self.pattern.model.contract.sample_rate_hz

    async def compute(self, function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Have a thread call it; the other clients are served meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: function(*arguments, **named)
        )

    def take(self) -> Enhancer:
        """A stream for one command."""
        profiles = self.pattern.profiles
        enhancer = self._free.pop() if self._free else Enhancer(self.pattern.model)
        if enhancer.profiles != profiles:
            enhancer.profiles = profiles
        return enhancer

    def give_back(self, enhancer: Enhancer) -> None:
        """One that no thread is using any more; any other one is simply forgotten."""
        self._free.append(enhancer)

    def close(self) -> None:
        """Wait for what is being computed."""
        self._threads.shutdown(cancel_futures=True)
