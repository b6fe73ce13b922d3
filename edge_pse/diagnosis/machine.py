"""The machine itself: which it is, how fast it may run, and who may go first."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from edge_pse import targets
from edge_pse.diagnosis.finding import Finding, fail, ok, warn

ROOT = Path("/")

_CPUS = "sys/devices/system/cpu"
_ZONES = "sys/class/thermal"
# The name of the firmware's node has the address of its parent in it on some boards.
_FIRMWARE = ("soc*/*firmware*/get_throttled", "*firmware*/get_throttled")
_RTKIT = "usr/share/dbus-1/system-services/org.freedesktop.RealtimeKit1.service"
_CONTROLS_ITSELF = {"intel_pstate", "amd-pstate-epp"}
"""Drivers with which ``powersave`` is the name for what others call ``schedutil``."""
_HOT_C = 80
"""From here on a Raspberry Pi slows down (its documentation, "Frequency management and thermal control")."""
_VCGENCMD_S = 3.0
_THROTTLED_BITS = ("too little voltage", "a capped clock", "throttling", "the soft temperature limit")
"""Bits 0 to 3 of what the firmware says: now. Bits 16 to 19: since the start. (``vcgencmd get_throttled``)"""
NOW = 0xF
_POWER_AND_COOLING = "Use the power supply made for this board and a short cable, and a heat sink or a fan."


def target(root: Path = ROOT) -> Finding:
    """Which settings this machine gets."""
    board, chosen = targets.board(root), targets.choose(root=root)
    sentence = f"{board or 'No board name'}: settings of {chosen.name}."
    if board and board.startswith("Raspberry Pi") and not chosen.boards:
        return warn(
            f"{board} has no settings of its own, and gets those of {chosen.name}.",
            "See `model in time`; --target takes the settings of another board.",
        )
    return ok(sentence)


def governor(root: Path = ROOT) -> Finding:
    """Whether the clock of the processor rises with the work."""
    found = {
        (_text(policy), _text(policy.with_name("scaling_driver")))
        for policy in (root / _CPUS).glob("cpu*/cpufreq/scaling_governor")
    }
    if not found:
        return ok("The system does not change the clock of the processor.")
    names = ", ".join(sorted({name for name, _ in found}))
    if any(name == "powersave" and driver not in _CONTROLS_ITSELF for name, driver in found):
        return warn(
            "The governor powersave keeps the processor at its lowest clock.",
            "echo schedutil | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )
    return ok(f"{names}.")


def throttling(root: Path = ROOT) -> Finding:
    """Whether the firmware of a Raspberry Pi slows the processor down, now or since the start."""
    bits = firmware_bits(root)
    if bits is None and shutil.which("vcgencmd"):
        bits = _as_bits(_vcgencmd())
    if bits is None:
        return ok("No Raspberry Pi firmware to ask.")
    now, before = _named(bits), _named(bits >> 16)
    if now:
        return fail(f"The firmware slows this board down now: {now}.", _POWER_AND_COOLING)
    if before:
        return warn(f"The firmware slowed this board down since its start: {before}.", _POWER_AND_COOLING)
    return ok("Not since the start.")


def temperature(root: Path = ROOT) -> Finding:
    """How hot the hottest part is that tells."""
    hottest = hottest_c(root)
    if hottest is None:
        return ok("No sensor tells.")
    if hottest >= _HOT_C:
        return warn(
            f"{hottest:.0f} °C: the processor slows down to cool.",
            "Let air in, add a heat sink or a fan, end other programs.",
        )
    return ok(f"{hottest:.0f} °C.")


def real_time(root: Path = ROOT) -> Finding:
    """Whether what carries the sound may go before other programs."""
    most = _real_time_limit()
    if most is None:
        return ok("This system has no limit to ask.")
    if is_root() or most:
        return ok("Programs of this user may take real-time priority.")
    if (root / _RTKIT).exists():
        return ok("Programs get real-time priority from rtkit.")
    return warn(
        "No program of this user gets real-time priority, neither by a limit nor from rtkit.",
        "sudo apt install rtkit, or put `@audio - rtprio 20` into /etc/security/limits.d/edge-pse.conf; log in again.",
    )


def is_root() -> bool:
    """Whether this process is root; no user of a system that has none is."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def hottest_c(root: Path = ROOT) -> float | None:
    """Temperature of the hottest part that tells, °C; None if none does."""
    zones = [_text(zone) for zone in (root / _ZONES).glob("*/temp")]
    return max((int(text) / 1000 for text in zones if _is_number(text)), default=None)


def firmware_bits(root: Path = ROOT) -> int | None:
    """What the firmware of a Raspberry Pi says of its speed, see ``_THROTTLED_BITS``; None where there is none."""
    platform = root / "sys/devices/platform"
    found = [_as_bits(_text(path)) for pattern in _FIRMWARE for path in platform.glob(pattern)]
    return next((bits for bits in found if bits is not None), None)


def _real_time_limit() -> int | None:
    """The highest real-time priority that this user may take; None where there is no such limit."""
    try:
        import resource
    except ImportError:
        return None
    limit = getattr(resource, "RLIMIT_RTPRIO", None)
    return None if limit is None else resource.getrlimit(limit)[1]


def _as_bits(text: str) -> int | None:
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]+", text) else None


def _vcgencmd() -> str:
    try:
        done = subprocess.run(
            ["vcgencmd", "get_throttled"],
            capture_output=True,
            encoding="ascii",
            errors="replace",
            timeout=_VCGENCMD_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("throttled=")


def _named(bits: int) -> str:
    return ", ".join(name for bit, name in enumerate(_THROTTLED_BITS) if bits >> bit & 1)


def _text(path: Path) -> str:
    """What a file of the kernel says; empty if it says nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+", text) is not None
