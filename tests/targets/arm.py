"""A Debian for 64-bit ARM on an emulated processor, as a Raspberry Pi has it, with edge-pse in it.

No /proc is mounted in the root, for it would be that of the host's processor, and so there is no systemd either. The
emulator is some ten times too slow, and its times mean nothing for a real board.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.targets import debian

ROOT = debian.CACHE / "debian-bookworm-arm64"
PROCESSORS = {
    # Raspberry Pi Zero 2 W and 3
    "cortex-a53": ("fp asimd evtstrm crc32 cpuid", "0x0", "0xd03", 4),
    # Raspberry Pi 5
    "cortex-a76": (
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        "0x4",
        "0xd0b",
        1,
    ),
}
"""As QEMU names it -> features, variant, part and revision as /proc/cpuinfo of the board has them."""
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-aarch64": "qemu-user",
    "arch-test": "arch-test",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
}
# Those that install.sh asks for: apt would take long in the emulator, and has its test in the container.
_PACKAGES = "python3,python3-venv,libportaudio2,libasound2-plugins,pulseaudio-utils"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
HOME = "/root"
PYTHON = f"{HOME}/.local/share/edge-pse/venv/bin/python"
EDGE_PSE = f"{HOME}/.local/bin/edge-pse"


def environment(processor: str = "cortex-a53") -> dict[str, str]:
    """What makes a program in the root run on this processor, and believe so."""
    _describe(processor)
    return {
        "HOME": HOME,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "QEMU_CPU": processor,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/opt/wheels",
    }


def command(*words: str) -> list[str]:
    """What runs a program in the root."""
    return [shutil.which("chroot") or "chroot", str(ROOT), *words]


def run(*words: str, status: int | None = 0, **options) -> subprocess.CompletedProcess[str]:
    """Run a program in the root; ``status``: its exit status, None for any."""
    options = {"env": environment(), "capture_output": True, "text": True} | options
    done = subprocess.run(command(*words), **options)
    assert status in (None, done.returncode), f"{words} -> {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def prepared_root() -> Path:
    """The root, with this checkout's wheel, script and what is downloaded, and without edge-pse installed."""
    debian.need(PROGRAMS)
    _register_emulator()
    debian.built_root(ROOT.name, "--arch=arm64", f"--include={_PACKAGES}", "bookworm")
    checkout = debian.copy_checkout(ROOT / "opt/edge-pse")
    wheels = ROOT / "opt/wheels"
    debian.remove_tree(wheels)
    shutil.copytree(debian.downloaded_wheels("bookworm", "aarch64"), wheels)
    # Built here: it is the same for every processor, and the emulator would take minutes.
    debian.run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels, checkout)
    shutil.rmtree(checkout / "build")
    return ROOT


def install() -> None:
    """As a user does, from a wheel that was built here."""
    prepared_root()
    run("/opt/edge-pse/targets/install.sh", "--wheel", _wheel())


def install_onnx_too() -> None:
    """ONNX Runtime beside LiteRT, to compare them."""
    locked = "/opt/edge-pse/targets/requirements-onnx.txt"
    run(PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", locked)


def _wheel() -> str:
    return "/" + str(next((ROOT / "opt/wheels").glob("edge_pse-*.whl")).relative_to(ROOT))


def _describe(processor: str) -> None:
    """The few files of /proc and /sys from which the runtimes choose their kernels, as plain files."""
    features, variant, part, revision = PROCESSORS[processor]
    core = (
        f"Features\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: {variant}\n"
        f"CPU part\t: {part}\nCPU revision\t: {revision}\n\n"
    )
    texts = {
        "proc/cpuinfo": "".join(f"processor\t: {number}\n{core}" for number in range(4)),
        "sys/devices/system/cpu/possible": "0-3\n",
        "sys/devices/system/cpu/present": "0-3\n",
    }
    for name, text in texts.items():
        file = ROOT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _register_emulator() -> None:
    if not (_BINFMT / "register").exists():
        debian.run("mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT)
    if not (_BINFMT / "qemu-aarch64").exists():
        # Its own words, for which systemd-binfmt would be needed.
        (_BINFMT / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes().strip())
