"""The whole runtime on an emulated Cortex-A53 with simulated cards: ``make test-arm``.

The first time it builds a Debian for arm64 in ``.cache/arm64``, which takes a quarter of an hour. The emulator is
some ten times too slow, and so is the cards' clock. No /proc is mounted in the root: with that of the host,
ONNX Runtime believes in the host's processor.
"""

import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_pse import Enhancer
from edge_pse.audio.playback import FULL_SCALE
from tests.edge_pse.audio.running import Command, share_found

PROJECT = Path(__file__).parents[3]
ROOT = PROJECT / ".cache" / "arm64"
PACKAGES = "python3,python3-venv,libportaudio2,libasound2-plugins,libsndfile1"
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "arch-test": "arch-test",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
ENVIRONMENT = {"PATH": "/opt/venv/bin:/usr/bin:/bin", "QEMU_CPU": "cortex-a53", "HOME": "/root"}
SECONDS = 1.2
SLOWER = 5


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def in_root(*command, **options):
    return subprocess.run([shutil.which("chroot"), ROOT, *command], **{"env": ENVIRONMENT, **options})


@pytest.fixture(scope="module")
def root():
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"an emulated Raspberry Pi needs: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("an emulated Raspberry Pi needs root, to register the emulator and to change the root")
    register_emulator()
    if not ROOT.exists():
        building = ROOT.with_suffix(".building")
        shutil.rmtree(building, ignore_errors=True)
        run("mmdebstrap", "--arch=arm64", "--variant=minbase", f"--include={PACKAGES}", "bookworm", building)
        building.rename(ROOT)
    return ROOT


def register_emulator():
    if not (BINFMT / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    if not (BINFMT / "qemu-aarch64").exists():
        (BINFMT / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes().strip())


@pytest.fixture(scope="module")
def installed(root):
    """edge-pse and what it needs, as wheels for arm64; the project's own files are copied each time."""
    if not (root / "opt/venv/complete").exists():
        requirements = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
        wheels = root / "opt/wheels"
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        # numpy 2.4 has no wheel for the glibc of bookworm's Python.
        run(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", *platforms,
            "--python-version=3.11", "--implementation=cp", "-d", wheels, *requirements, "numpy<2.4")  # fmt: skip
        in_root("python3", "-m", "venv", "/opt/venv", check=True)
        in_root(
            "python3",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--find-links=/opt/wheels",
            *requirements,
            check=True,
        )
        (root / "opt/venv/complete").touch()
    shutil.rmtree(root / "opt/edge-pse", ignore_errors=True)
    shutil.copytree(PROJECT / "edge_pse", root / "opt/edge-pse/edge_pse")
    return root


@pytest.fixture
def cards(installed, speech_pcm):
    """Cards at a fifth of their pace, and the speech in the microphone."""
    said = speech_pcm[8_000 : 8_000 + round(SECONDS * 16_000)]
    directory = installed / "opt/cards"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    said.tofile(directory / "mic.raw")
    source = Path(__file__).with_name("simulated_card.c")
    library = installed / "usr/lib/aarch64-linux-gnu/libasound.so.2"
    # The headers of ALSA are the same for every processor; those of the C library are not.
    (directory / "include").mkdir()
    (directory / "include/alsa").symlink_to("/usr/include/alsa")
    run("aarch64-linux-gnu-gcc", "-O2", "-fPIC", "-shared", "-DPIC", "-I", directory / "include", source,
        "-o", directory / "card.so", library)  # fmt: skip
    pace = f"rate 16000 channels 1 clock {16_000 / SLOWER:.1f}"
    (directory / "asoundrc").write_text(
        'pcm_type.simulated.lib "/opt/cards/card.so"\n'
        f'pcm.mic {{ type simulated infile "/opt/cards/mic.raw" {pace} }}\n'
        f'pcm.speaker {{ type simulated outfile "/opt/cards/out.raw" {pace} }}\n'
    )
    env = {
        "ALSA_CONFIG_PATH": "/usr/share/alsa/alsa.conf:/opt/cards/asoundrc",
        "PYTHONPATH": "/opt/edge-pse",
        "EDGE_PSE_HOME": "/opt/cards",
    }
    return directory, said, env


def program(*arguments):
    return ("python3", "-c", "from edge_pse.cli import main; main()", *arguments)


def test_a_cortex_a53_runs_it_live(cards):
    """With the network at work; strength 0 then plays the input, so that every bit can be told."""
    directory, said, env = cards
    arguments = ("--input", "mic", "--output", "speaker", "--latency", "40", "--strength", "0")
    in_chroot = (shutil.which("chroot"), str(ROOT), *program())
    live = Command("run", *arguments, env=ENVIRONMENT | env, program=in_chroot)
    try:
        live.wait_for("Running: mic to speaker", 90)
        time.sleep(SECONDS * SLOWER + 3)
        numbers = live.stop()
    finally:
        live.kill()
    assert numbers["restarts"] == 0, live.lines
    assert share_found(said, np.fromfile(directory / "out.raw", np.int16)) > 0.8, numbers


def test_a_cortex_a53_computes_what_any_processor_does(cards, bundle):
    directory, said, env = cards
    soundfile.write(directory / "in.wav", said, 16_000)
    arguments = ("enhance", "/opt/cards/in.wav", "-o", "/opt/cards/enhanced.wav")
    done = in_root(*program(*arguments), env=ENVIRONMENT | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    enhanced, _ = soundfile.read(directory / "enhanced.wav", dtype="float32")
    expected = Enhancer(bundle).enhance(said.astype(np.float32) / FULL_SCALE)
    # Other instructions round otherwise.
    assert np.std(enhanced - expected) < 0.01 * np.std(expected)
