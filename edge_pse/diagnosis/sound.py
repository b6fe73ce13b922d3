"""The way of the sound: cards, ALSA, PortAudio, the sound server and the virtual microphone."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from edge_pse.audio.devices import listing, sound_server, virtual_mic
from edge_pse.diagnosis.finding import Finding, fail, ok, warn
from edge_pse.diagnosis.machine import is_root
from edge_pse.errors import AudioError, SoundServerError

ROOT = Path("/")
_GROUP = "audio"
_NO_CARD = "--- no soundcards ---"
_PLUGINS = "sudo apt install libasound2-plugins"


def portaudio() -> Finding:
    """Whether the library that opens the devices is there."""
    try:
        version = listing.portaudio().get_portaudio_version()[1]
    except AudioError as error:
        sentence, _, advice = str(error).partition(": ")
        return fail(f"{sentence}.", f"{advice[:1].upper()}{advice[1:]}")
    return ok(f"{version.partition(',')[0]}.")


def cards(root: Path = ROOT) -> Finding:
    """Whether the kernel knows a card that can record."""
    if not _on_linux():
        return ok("Only Linux has it.")
    if not (root / "proc").is_dir():
        return warn("There is no /proc, so the sound cards are not known.", "sudo mount -t proc proc /proc")
    lines = _lines(root / "proc/asound/cards")
    # Two lines each, of which the first has the name: " 1 [Device         ]: USB-Audio - USB PnP Sound Device".
    names = [line.split(" - ")[-1].strip() for line in lines[::2] if _NO_CARD not in line]
    if not names:
        return warn(
            "The kernel knows no sound card.",
            "Plug in a microphone; a sound HAT needs its dtoverlay in /boot/firmware/config.txt.",
        )
    if not any("capture" in line for line in _lines(root / "proc/asound/pcm")):
        return warn(
            f"No card can record: {', '.join(names)}.", "Plug in a USB microphone; arecord -l lists it."
        )
    return ok(f"{', '.join(names)}.")


def access(root: Path = ROOT) -> Finding:
    """Whether this user may open the cards."""
    nodes = sorted((root / "dev/snd").glob("pcm*"))
    closed = [node for node in nodes if not _may_open(node)]
    if not nodes:
        return ok("There is no sound card to open.")
    if closed:
        return fail(
            f"This user may not open {closed[0]}.",
            f"sudo usermod -aG {_GROUP} $USER, then log out and in again.",
        )
    if is_root() or _in_group():
        return ok(f"This user may open all {len(nodes)} devices.")
    return ok(
        f"This user may open all {len(nodes)} devices while logged in; a service that runs without a login "
        f"needs the group {_GROUP} too."
    )


def microphone() -> Finding:
    """Whether there is something to record from."""
    try:
        inputs = listing.list_devices("input")
    except AudioError:
        return fail("Without PortAudio no microphone can be opened.", "See PortAudio above.")
    ways = ("default", listing.THROUGH_SERVER)
    found = [
        device.description
        for device in inputs
        if not device.monitor and device.name not in (*ways, *virtual_mic.OWN_SOURCES)
    ]
    if not found:
        return fail("There is no microphone.", "Plug one in, then: edge-pse devices --listen")
    return ok(f"{', '.join(found)}.")


def server() -> Finding:
    """Whether a sound server answers, and ALSA leads to it."""
    kind = sound_server.kind_of_server()
    if kind is None and not _on_linux():
        return ok("None answers, and none is needed: give `run --output` the name of a virtual cable.")
    if kind is None and shutil.which("pactl") is None:
        return warn(
            "`pactl` is missing, by which sound servers are reached.", "sudo apt install pulseaudio-utils"
        )
    if kind is None and is_root():
        return warn(
            "No sound server answers, and this is root.",
            "Sound servers belong to users: run edge-pse as the user who is logged in, without sudo.",
        )
    if kind is None:
        return warn(
            "No sound server answers; the virtual microphone needs one.",
            "Start PipeWire or PulseAudio, or do without (targets/raspberry-pi/README.md, snd-aloop).",
        )
    try:
        leads_there = any(device.name == listing.THROUGH_SERVER for device in listing.list_devices("input"))
    except AudioError:
        leads_there = True  # another check says what is wrong
    if not leads_there:
        return fail(f"{kind} runs, but ALSA does not lead to it.", _PLUGINS)
    return ok(f"{kind}.")


def virtual_microphone() -> Finding:
    """Whether other programs see the virtual microphone, now and after a restart."""
    try:
        found = virtual_mic.status()
    except SoundServerError as error:
        sentence, _, advice = str(error).partition(": ")
        return warn(f"{sentence}.", f"{advice[0].upper()}{advice[1:]}")
    if found.server is None and not _on_linux():
        return ok("A virtual cable of the system takes its place.")
    if found.server is None:
        return warn("Without a sound server there is none.", "See the sound server above.")
    if not found.present:
        return warn("Programs don't see it.", "edge-pse virtual-mic on")
    if found.permanent is None:
        return warn("It is there, and the server's configuration can't be read.", "edge-pse virtual-mic on")
    if not found.permanent:
        return warn(
            "It is there, but will be gone when the sound server restarts.", "edge-pse virtual-mic on"
        )
    return ok("There, also after a restart.")


def _in_group() -> bool:
    try:
        import grp

        return grp.getgrnam(_GROUP).gr_gid in os.getgroups()
    except (ImportError, KeyError):
        return False


def _may_open(node: Path) -> bool:
    # As the one who acts, where the system can be asked that.
    return os.access(node, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _on_linux() -> bool:
    return sys.platform.startswith("linux")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
