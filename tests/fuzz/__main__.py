"""Mutated inputs, odd blocks and kills, thousands of them: ``make fuzz``, or ``python -m tests.fuzz --seed N``.

Every case follows from the seed, its kind and its number. It is tried in a process that may crash or hang, which is a
finding like a traceback. Exits with 1 if there is one.
"""

import argparse
import contextlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.fuzz.kinds import KINDS, Finding

_BATCH = 100
_CASE_S = 30
"""A case takes a tenth of a second."""
_MEMORY_BYTES = 8 << 30


def work(seed: int, kind: str, first: int, count: int) -> None:
    """Try cases and print a line before and after each."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    for number in range(first, first + count):
        print(f"begin {number}", flush=True)
        signal.alarm(_CASE_S)  # ends this process
        with tempfile.TemporaryDirectory(prefix="edge-pse-fuzz-") as folder:
            try:
                taken = KINDS[kind](Random(f"{seed} {kind} {number}"), Path(folder))
            except Finding as finding:
                print("finding", repr(str(finding)), flush=True)
            except Exception:
                print("finding", repr(traceback.format_exc()), flush=True)
            else:
                print("taken" if taken else "refused", flush=True)


def tried(seed: int, kind: str, first: int, count: int) -> Iterator[tuple[int, str]]:
    """Number and result of each case, tried in processes of their own; after a crash the next one goes on."""
    while count:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz",
            "--seed",
            str(seed),
            "--work",
            f"{kind}:{first}:{count}",
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lines = [
            line
            for line in done.stdout.splitlines()
            if line.startswith(("begin ", "taken", "refused", "finding"))
        ]
        results = [line for line in lines if not line.startswith("begin ")]
        yield from zip(range(first, first + len(results)), results, strict=True)
        begun = len(lines) - len(results)
        if begun > len(results):
            yield first + len(results), f"finding the process ended with {done.returncode}"
        elif done.returncode or not begun:
            yield first, f"finding nothing was tried, the process ended with {done.returncode}"
            return
        first, count = first + begun, count - begun


def main() -> int:
    """Try until the time is over; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--cases", type=int, help="Of each kind, in place of a time.")
    parser.add_argument("--only", help="A kind, or one case of it, KIND:NUMBER.")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    wishes = parser.parse_args()
    if wishes.work:
        kind, first, count = wishes.work.split(":")
        work(wishes.seed, kind, int(first), int(count))
        return 0
    only, _, number = (wishes.only or "").partition(":")
    print(f"seed {wishes.seed}", flush=True)
    counts = {kind: {"taken": 0, "refused": 0, "finding": 0} for kind in ([only] if only else KINDS)}
    batch = 1 if number else wishes.cases or _BATCH
    first, until = int(number or 0), time.monotonic() + 60 * wishes.minutes
    while True:
        for kind, results in counts.items():
            for case, result in tried(wishes.seed, kind, first, batch):
                word, _, text = result.partition(" ")
                results[word] += 1
                if word == "finding":
                    print(f"{kind} {case}: {text}")
                    print(
                        f"  again: python -m tests.fuzz --seed {wishes.seed} --only {kind}:{case}", flush=True
                    )
        first += batch
        if number or wishes.cases or time.monotonic() > until:
            break
    for kind, results in counts.items():
        print(
            f"{kind}: {sum(results.values())} cases, {results['refused']} refused, {results['finding']} findings"
        )
    return int(any(results["finding"] for results in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
