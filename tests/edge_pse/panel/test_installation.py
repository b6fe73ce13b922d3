"""The panel as a service and in the menu, without a systemd: a script in its place writes down what it is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from edge_pse.cli import main; main()"]
SYSTEMCTL = """#!/bin/sh
echo "$@" >>"$HOME/systemctl.log"
case "$*" in *show-environment) [ ! -e "$HOME/no-systemd" ] && echo "PATH=/bin" ;; esac
"""


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "a home"
    (home / "bin").mkdir(parents=True)
    (home / "bin/systemctl").write_text(SYSTEMCTL)
    (home / "bin/systemctl").chmod(0o755)
    return home


@pytest.fixture
def panel(home):
    """``panel(*options, NAME=value)`` -> what it says."""

    def run(*options, status=0, **variables):
        env = {"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}", **variables}
        done = subprocess.run(
            [*PROGRAM, "panel", *options], env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_it_becomes_a_service_and_goes_again(panel, home):
    said = panel("--install")
    assert "127.0.0.1:10360" in said and "menu" not in said and "#" not in said
    unit = home / ".config/systemd/user/edge-pse-panel.service"
    places = Path(f"{unit}.d/places.conf").read_text().splitlines()
    assert f'ExecStart="{Path(sys.executable).parent}/edge-pse" panel $EDGE_PSE_PANEL_OPTIONS' in places
    assert "IPAddressAllow=localhost" in places and not any("EDGE_PSE_HOME" in line for line in places)
    assert "IPAddressDeny=any" in unit.read_text()
    assert "--listen 127.0.0.1:10360" in (home / ".config/edge-pse/panel.conf").read_text()
    log = (home / "systemctl.log").read_text()
    assert "--user enable edge-pse-panel.service" in log and "--user restart edge-pse-panel.service" in log
    if shutil.which("systemd-analyze"):
        done = subprocess.run(["systemd-analyze", "verify", "--user", unit], capture_output=True, text=True)
        assert "edge-pse-panel" not in done.stderr.replace("not executable", ""), done.stderr
    panel("--uninstall")
    assert not unit.exists() and not Path(f"{unit}.d").exists()
    assert not list((home / ".config/edge-pse").iterdir())
    assert "--user disable --now edge-pse-panel.service" in (home / "systemctl.log").read_text()


def test_opened_to_the_network_it_is_reached_from_there_alone_and_says_what_that_means(panel, home):
    said = panel("--install", "--listen", "0.0.0.0:8000", EDGE_PSE_HOME=str(home / 'vo"ices%'))
    assert "whoever can listen there can take the link" in said
    places = (home / ".config/systemd/user/edge-pse-panel.service.d/places.conf").read_text()
    assert "IPAddressAllow=localhost link-local 10.0.0.0/8" in places
    assert f'Environment="EDGE_PSE_HOME={home}/vo\\"ices%%"' in places
    assert "--listen 0.0.0.0:8000" in (home / ".config/edge-pse/panel.conf").read_text()


def test_on_a_desktop_it_is_in_the_menu(panel, home):
    (home / "no-systemd").touch()
    said = panel("--install", DISPLAY=":0")
    assert "systemd does not run for this user" in said and "in the menu" in said
    entry = home / ".local/share/applications/edge-pse.desktop"
    assert f"Exec={Path(sys.executable).parent}/edge-pse panel --open" in entry.read_text()
    icon = home / ".local/share/icons/hicolor/scalable/apps/edge-pse.svg"
    assert icon.read_text().startswith("<svg")
    panel("--uninstall")
    assert not entry.exists() and not icon.exists()
    assert "only one of" in panel("--install", "--uninstall", status=2)
