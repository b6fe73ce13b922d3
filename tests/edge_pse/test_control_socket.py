"""Where the socket of a stream lies: the service and a shell come to the same place."""

import os
import subprocess
from pathlib import Path

import platformdirs
import pytest

from edge_pse.control import protocol
from edge_pse.errors import ControlError
from tests.edge_pse.conftest import PROGRAM


@pytest.mark.parametrize(("home", "place"), [
    (None, "runtime/edge-pse"),
    ("data/edge-pse", "runtime/edge-pse"),  # as install.sh tells it to the service
    ("elsewhere", "elsewhere/run"),
])  # fmt: skip
def test_a_home_of_its_own_has_a_socket_of_its_own(tmp_path, monkeypatch, home, place):
    (tmp_path / "runtime").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("EDGE_PSE_HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("EDGE_PSE_HOME", str(tmp_path / home))
    assert Path(platformdirs.user_data_dir("edge-pse")) == tmp_path / "data/edge-pse"
    assert protocol.socket_path() == tmp_path / place / "control.sock"


def test_the_home_of_nobody_is_none(monkeypatch):
    monkeypatch.setenv("EDGE_PSE_HOME", "~no-such-user/voices")
    with pytest.raises(
        ControlError, match="EDGE_PSE_HOME is ~no-such-user/voices, and there is no such home"
    ):
        protocol.socket_path()


def test_where_there_is_no_folder_for_sockets_one_sentence_is_said(tmp_path):
    without = {
        name: text for name, text in os.environ.items() if name not in ("XDG_RUNTIME_DIR", "EDGE_PSE_HOME")
    }
    done = subprocess.run(
        [*PROGRAM, "ctl", "status"], env={**without, "HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No stream runs here") and done.stderr.count("\n") == 1
