"""The snippets of ALSA, as ALSA reads them; those of PipeWire are tried by ``make test-install``."""

import os
import shutil
import subprocess

import pytest

from tests.targets.debian import PROJECT

SNIPPETS = PROJECT / "targets/raspberry-pi"


@pytest.fixture
def alsa():
    if shutil.which("arecord") is None:
        pytest.skip("ALSA's snippets are read by: apt-get install alsa-utils")
    path = f"/usr/share/alsa/alsa.conf:{SNIPPETS / 'etc/asound.conf'}"
    env = os.environ | {"ALSA_CONFIG_PATH": path, "LC_ALL": "C"}
    return lambda *command: subprocess.run(command, env=env, capture_output=True, text=True, timeout=10)


@pytest.mark.parametrize(
    ("program", "name"), [("aplay", "edge_pse_output"), ("arecord", "edge_pse_microphone")]
)
def test_the_virtual_microphone_lacks_nothing_but_the_card(alsa, program, name):
    assert name in alsa(program, "-L").stdout.splitlines()
    opened = alsa(program, "-q", "-D", name, "-f", "S16_LE", "-r", "16000", "-d", "1", "/dev/null")
    if "No such" not in opened.stderr:
        assert opened.returncode == 0, opened.stderr  # this machine has a loopback card
    assert "Loopback" in opened.stderr or opened.returncode == 0, opened.stderr
