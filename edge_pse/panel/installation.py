"""The panel as a service of its user's systemd, and in the menu of a desktop."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs

from edge_pse import atomic
from edge_pse.errors import ControlError
from edge_pse.panel.serving import Address, folder
from edge_pse.profiles import ProfileStore

UNIT = "edge-pse-panel.service"
_HERE = Path(__file__).parent
_VARIABLE = "EDGE_PSE_PANEL_OPTIONS"
_OWN = ("localhost",)
_OF_THE_NETWORK = (*_OWN, "link-local", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""Addresses that are given out inside of a network, and not by the internet (RFC 1918, RFC 4193)."""
_PATIENCE_S = 60.0
_HEADER = "# Where the panel listens: `edge-pse panel --install --listen ADDRESS` writes it.\n"
_ENTRY = """\
[Desktop Entry]
Type=Application
Name=edge-pse
Comment=The microphone, carrying only you
Exec={command} panel --open
Icon=edge-pse
Terminal=false
Categories=AudioVideo;Audio;
"""


def install(address: Address) -> list[str]:
    """Start it, now and whenever this user's systemd starts -> sentences that say what was done."""
    manager = _manager()
    said = []
    if manager is None:
        said.append(
            "systemd does not run for this user, so there is no service: start `edge-pse panel` yourself."
        )
    else:
        _install_service(_unit(manager), address)
        said.append(f"The panel listens at {address}, now and whenever you are logged in.")
        if address.of_network:
            said.append(
                "Nothing that goes over the network is encrypted: whoever can listen there can take the link from it, "
                "and hear what you choose to hear."
            )
        said.append("Its link is printed by: edge-pse panel")
    if _is_desktop():
        _install_entry()
        said.append("It is in the menu, as edge-pse.")
    return said


def uninstall() -> list[str]:
    """Take away what ``install`` made, and the token."""
    manager = _manager()
    unit = _unit(manager or {})
    if unit.exists():
        if manager is not None:
            _systemctl("disable", "--now", UNIT)
        shutil.rmtree(_beside(unit), ignore_errors=True)
        unit.unlink()
        if manager is not None:
            _systemctl("daemon-reload")
    places = [
        *_entry(),
        *(folder() / name for name in ("panel.conf", "panel.token", "panel.html", "panel.lock")),
    ]
    for place in places:
        place.unlink(missing_ok=True)
    return ["The panel is no service any more, and its link leads nowhere."]


def _install_service(unit: Path, address: Address) -> None:
    command = str(Path(sys.executable).parent / "edge-pse")
    voices = ProfileStore().root.parent.absolute()
    lines = ["[Service]"]
    if voices != Path("~/.local/share/edge-pse").expanduser():
        lines.append(f'Environment="EDGE_PSE_HOME={_escaped(voices)}"')
    lines += ["ExecStart=", f'ExecStart="{_escaped(command).replace("$", "$$")}" panel ${_VARIABLE}']
    lines.append(f"IPAddressAllow={' '.join(_OF_THE_NETWORK if address.of_network else _OWN)}")
    options = f"{_HEADER}{_VARIABLE}=--listen {address}\n"
    try:
        _write(unit, (_HERE / UNIT).read_text(encoding="utf-8"))
        _write(_beside(unit) / "places.conf", "\n".join([*lines, ""]))
        # The manager has its own place for this, and that of this process may be another.
        _write(unit.parents[2] / "edge-pse/panel.conf", options)
    except OSError as error:
        raise ControlError(f"The service can't be written: {error}.") from error
    _systemctl("daemon-reload")
    _systemctl("enable", UNIT)
    _systemctl("reset-failed", UNIT)
    if not _systemctl("restart", UNIT):
        raise ControlError(f"The service does not start: journalctl --user -u {UNIT} says why.")


def _install_entry() -> None:
    entry, icon = _entry()
    try:
        _write(
            entry,
            _ENTRY.format(
                command=shlex.quote(str(Path(sys.executable).parent / "edge-pse")).replace("%", "%%")
            ),
        )
        _write(icon, (_HERE / "page/icon.svg").read_text(encoding="utf-8"))
    except OSError as error:
        raise ControlError(f"The entry of the menu can't be written: {error}.") from error


def _entry() -> tuple[Path, Path]:
    """The entry of the menu, and its picture."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser())
    return data / "applications/edge-pse.desktop", data / "icons/hicolor/scalable/apps/edge-pse.svg"


def _is_desktop() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP"))


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic.write(path, content.encode(), mode=0o600 if path.suffix == ".conf" else 0o644)


def _escaped(text: object) -> str:
    """For systemd, between quotation marks."""
    shown = str(text)
    if not shown.isprintable():
        raise ControlError(f"A place with such a name can't be told to systemd: {shown!r}")
    return shown.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _unit(manager: dict[str, str]) -> Path:
    configuration = manager.get("XDG_CONFIG_HOME") or platformdirs.user_config_dir()
    return Path(configuration) / "systemd/user" / UNIT


def _beside(unit: Path) -> Path:
    return unit.with_name(f"{UNIT}.d")


def _manager() -> dict[str, str] | None:
    """Variables of this user's systemd; None if it does not run."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", "show-environment"], capture_output=True, text=True, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return {name: value for name, _, value in (line.partition("=") for line in done.stdout.splitlines())}


def _systemctl(*words: str) -> bool:
    """-> whether it did."""
    try:
        return not subprocess.run(
            ["systemctl", "--user", *words], capture_output=True, timeout=_PATIENCE_S
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False
