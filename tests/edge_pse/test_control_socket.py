"""Where the socket of a stream lies: the service and a shell come to the same place."""

from pathlib import Path

import platformdirs
import pytest

from edge_pse.control import protocol


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
