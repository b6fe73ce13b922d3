"""The script and the unit without a machine to install on; ``make test-install`` installs for real."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

TARGETS = Path(__file__).parents[2] / "targets"


def refused(home, *arguments, status=1, **environment):
    """The one sentence with which the script refuses; it has left nothing."""
    done = subprocess.run(
        [TARGETS / "install.sh", *arguments],
        env={"HOME": str(home), "PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done
    assert list(home.iterdir()) == []
    return done.stderr.splitlines()[-1]


def test_shellcheck_finds_nothing():
    if shutil.which("shellcheck") is None:
        pytest.skip("the script is checked by: apt-get install shellcheck")
    done = subprocess.run(["shellcheck", TARGETS / "install.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--wheel", "nowhere.whl"), "There is no file nowhere.whl."),
        (("--wheel",), "--wheel needs the name of a file."),
        (("--backend", "torch"), "There is no backend torch: onnx or litert."),
        (("--purge",), "--purge goes with --uninstall."),
        (("--frobnicate",), "There is no option --frobnicate."),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(tmp_path, arguments, sentence):
    assert refused(tmp_path, *arguments) == f"install.sh: {sentence}"


def test_it_is_not_run_with_sudo(tmp_path):
    assert "without sudo" in refused(tmp_path, SUDO_USER="pi")


def test_a_system_of_32_bits_is_refused(tmp_path):
    """As its dpkg would answer: the kernel may well be one of 64 bits."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    dpkg = programs / "dpkg"
    dpkg.write_text("#!/bin/sh\necho armhf\n")
    dpkg.chmod(dpkg.stat().st_mode | stat.S_IXUSR)
    assert "use the 64-bit system" in refused(home, PATH=f"{programs}:{os.environ['PATH']}")


def test_profiles_stay_unless_they_are_to_go(tmp_path):
    """What an installation has left that lost its command."""
    kept = [
        tmp_path / ".local/share/edge-pse/profiles/me.profile.json",
        tmp_path / ".config/edge-pse/service.conf",
    ]
    for file in (*kept, tmp_path / ".local/share/edge-pse/venv/pyvenv.cfg"):
        file.parent.mkdir(parents=True)
        file.touch()

    def uninstall(*arguments):
        env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        command = [TARGETS / "install.sh", "--uninstall", *arguments]
        said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
        return said, sorted(path for path in tmp_path.rglob("*") if path.is_file())

    said, left = uninstall()
    assert left == sorted(kept)
    assert f"The profiles are still in {kept[0].parent}" in said
    assert uninstall("--purge")[1] == []
    assert not (tmp_path / ".local/share/edge-pse").exists()


def test_systemd_understands_every_line_of_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("the unit is checked by systemd-analyze: apt-get install systemd")
    command = tmp_path / ".local/bin/edge-pse"
    command.parent.mkdir(parents=True)
    command.symlink_to("/bin/true")
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", TARGETS / "edge-pse.service"],
        env=os.environ | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    # A key that it does not know is only a line on standard error.
    assert (done.returncode, done.stderr) == (0, "")
