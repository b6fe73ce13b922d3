"""Instructions of one frame on an emulated Raspberry Pi: ``python -m tests.targets.instructions [--set]``.

The emulator's times say nothing about a board, but its count of instructions is nearly the same each time, so that
a network or a runtime that got dearer is seen. QEMU counts, through ``count_instructions.c``. What a frame costs
is one call of ``Enhancer.process`` with one hop: analysis, network and synthesis, and Python around them. Printed
beside it is the time that this call takes on this machine. ``--set`` makes the counts the new budget.
"""

import itertools
import json
import shutil
import sys
from pathlib import Path

from edge_pse.benchmark import measure
from tests.targets import arm, debian

BUDGET = debian.PROJECT / "targets/raspberry-pi/instructions.json"
_MARK = 0x7EED0000
_WARM_UP_FRAMES, _BLOCKS, _FRAMES_PER_BLOCK = 10, 10, 10
_QEMU = "opt/qemu"

# One line on standard error for each model and runtime, then a mark after every block of frames.
_COUNTED = f"""
import gc, os, sys
import numpy as np
from edge_pse import Model, Enhancer
from edge_pse.backends import RUNTIMES
from edge_pse.model import available_models

sound = np.random.default_rng(0)
for path in available_models():
    for name, runtime in RUNTIMES.items():
        if runtime.suffix != path.suffix or runtime.installed_version() is None:
            continue
        enhancer = Enhancer(Model.load(path, name))
        hop = enhancer.hop_samples
        frames = 0.05 * sound.standard_normal(({_WARM_UP_FRAMES} + {_BLOCKS * _FRAMES_PER_BLOCK}, hop))
        frames = frames.astype(np.float32)
        gc.disable()
        for frame in frames[:{_WARM_UP_FRAMES}]:
            enhancer.process(frame)
        print("model", path.name, name, file=sys.stderr, flush=True)
        for block in frames[{_WARM_UP_FRAMES}:].reshape({_BLOCKS}, -1, hop):
            for frame in block:
                enhancer.process(frame)
            try:
                os.getpgid({_MARK})
            except ProcessLookupError:
                pass
        gc.enable()
"""


def count(processor: str = "cortex-a53") -> dict[str, float]:
    """Thousands of instructions a frame, for each ``model file, runtime`` that is installed in the root."""
    _bring_emulator()
    words = ("/opt/qemu/loader", "--library-path", "/opt/qemu", "/opt/qemu/qemu-aarch64", "-cpu", processor,
             "-plugin", "/opt/qemu/count.so", arm.PYTHON, "-c", _COUNTED)  # fmt: skip
    return _read(arm.run(*words, env=arm.environment(processor)).stderr.splitlines())


def _read(lines: list[str]) -> dict[str, float]:
    marks: dict[str, list[int]] = {}
    for line in lines:
        first, *rest = line.split()
        if first == "model":
            marks[", ".join(rest)] = []
        elif first == "instructions":
            marks[list(marks)[-1]].append(int(rest[0]))
    # The cheapest block: now and then something else of Python's falls into one.
    return {
        name: min(after - before for before, after in itertools.pairwise(counts)) / _FRAMES_PER_BLOCK / 1000
        for name, counts in marks.items()
    }


def _bring_emulator() -> None:
    """QEMU with plugins into the root, with its libraries: the static one, which binfmt calls, has none."""
    place = arm.ROOT / _QEMU
    debian.remove_tree(place)
    place.mkdir(parents=True)
    program = Path(shutil.which("qemu-aarch64") or "qemu-aarch64")
    shutil.copy(program, place)
    for line in debian.run("ldd", program, capture_output=True, text=True).stdout.splitlines():
        files = [word for word in line.split() if word.startswith("/")]
        if files:
            shutil.copy(files[0], place / ("loader" if "ld-linux" in files[0] else Path(files[0]).name))
    source = Path(__file__).with_name("count_instructions.c")
    debian.run(
        "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", source, "-o", place / "count.so"
    )


def main() -> None:
    arm.install()
    arm.install_onnx_too()
    counts = count()
    print(f"{'':40} {'cortex-a53, thousand':>22} {'budget':>8} {'this machine, ms':>18}")
    budget = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    for name, thousands in counts.items():
        model, backend = name.split(", ")
        time_ms = measure(model.rpartition(".")[0], backend, 5).enhancer.p50_ms
        print(f"{name:40} {thousands:22.0f} {budget.get(name, 0):8.0f} {time_ms:18.3f}")
    if "--set" in sys.argv[1:]:
        BUDGET.write_text(json.dumps({name: round(value) for name, value in counts.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
