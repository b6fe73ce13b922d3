"""The process in which one system runs: ``python -m evaluation.systems.worker KIND ARGUMENT [BAND]``.

Its own process gives every system its own memory and CPU figures, dependencies, and crashes.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from evaluation.peers import open_peer
from evaluation.systems.protocol import read_message, write_message
from evaluation.systems.spec import Hosted


def open_hosted(kind: str, argument: str, full_band: bool = True) -> Hosted:
    """Load a model, with all of the band or without what is above its own, or a peer.

    Raises whatever the system raises when it is not installed or not usable.
    """
    if kind == "model":
        from evaluation.systems.model import (
            ModelSystem,  # the device library, which a peer's environment lacks
        )

        return ModelSystem(argument, full_band=full_band)
    return open_peer(argument)


def _peak_memory_mb() -> float | None:
    """Peak resident memory of this process; None where the system does not say.

    Not from getrusage: its figure starts with the memory of the process that this one was forked from.
    """
    try:
        with Path("/proc/self/status").open(encoding="ascii") as status:
            peak = next(line for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None
    return int(peak.split()[1]) / 1024.0


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]


def main(kind: str, argument: str, band: str = "full") -> None:
    """Serve requests on standard input until it closes."""
    # Libraries that print would corrupt the messages, so their standard output becomes standard error.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    try:
        system = open_hosted(kind, argument, band == "full")
    except Exception as error:
        write_message(answers.write, {"error": _reason(error)}, {})
        return
    write_message(answers.write, {"error": None, "info": asdict(system.info)}, {})
    while True:
        try:
            header, arrays = read_message(requests.readline, requests.read)
        except EOFError:
            return
        output, error_text = None, None
        started = time.process_time()
        try:
            mixture = arrays["mixture"]
            assert mixture is not None
            output = system.enhance(mixture, arrays["enrollment"], arrays["far_end"], header["rate_hz"])
        except Exception as error:
            error_text = _reason(error)
        answer = {
            "error": error_text,
            "cpu_seconds": time.process_time() - started,
            "peak_rss_mb": _peak_memory_mb(),
        }
        write_message(answers.write, answer, {"output": output})


if __name__ == "__main__":
    main(*sys.argv[1:4])
