"""The script and the unit without a machine to install on; ``make test-install`` installs for real."""

import os
import re
import shutil
import stat
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.targets.debian import LOCKS, PROJECT, locked

TARGETS = PROJECT / "targets"
MACHINE = {
    "dpkg": "echo amd64",
    "dpkg-query": "echo installed",
    "pactl": "exit 0",
    # An environment whose pip installs nothing, and whose command does nothing.
    "python3": """if [ "$1 $2" = "-m venv" ]; then
        mkdir -p "$3/bin"
        for name in python edge-pse; do printf '#!/bin/sh\n' >"$3/bin/$name"; chmod +x "$3/bin/$name"; done
    fi""",
    "systemctl": 'echo "$@" >>"$HOME/systemctl.log"; case "$*" in *show-environment) cat "$HOME/manager" ;; esac',
    "loginctl": "exit 1",
}
"""What the script asks of a machine -> as a shell script."""


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
        (("--backend", "torch"), "There is no backend torch: litert or onnx."),
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


class Machine:
    """A home, and programs that answer as those of a machine with systemd and a sound server do."""

    def __init__(self, directory, **programs):
        self.home, self._bin = directory / "home", directory / "bin"
        for place in (self.home, self._bin):
            place.mkdir()
        (self.home / "manager").write_text("HOME=/home/pi\n")
        for name, script in (MACHINE | programs).items():
            self.answer(name, script)

    def answer(self, name, script):
        program = self._bin / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def script(self, *arguments, umask=0o022, **environment):
        """Run ``install.sh`` -> what it said."""
        done = subprocess.run(
            [TARGETS / "install.sh", *arguments],
            env={"HOME": str(self.home), "PATH": f"{self._bin}:/usr/sbin:/usr/bin:/sbin:/bin"} | environment,
            capture_output=True,
            text=True,
            umask=umask,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, **options):
        # Nothing looks into the wheel: pip is none.
        return self.script("--wheel", str(TARGETS / "install.sh"), **options)

    def files(self):
        own = ("manager", "systemctl.log")
        return sorted(path for path in self.home.rglob("*") if path.is_file() and path.name not in own)

    def voice(self, place, name="me"):
        file = place / f"profiles/{name}.profile.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    def personal_weights(self, place, name="me"):
        file = place / f"profiles/{name}.personal"
        file.touch()
        return file


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


UNIT = ".config/systemd/user/edge-pse.service"


def test_what_is_installed_is_this_users_alone(machine):
    """Whatever the shell allows others, and whatever was there."""
    (machine.home / ".config/edge-pse").mkdir(parents=True)
    options = machine.home / ".config/edge-pse/service.conf"
    options.touch()
    for path in (options, options.parent, options.parent.parent):
        path.chmod(0o777)
    machine.install(umask=0)
    assert (machine.home / UNIT).is_file()
    made = [path for path in machine.home.rglob("*") if path.name not in ("manager", "systemctl.log")]
    theirs = [path for path in made if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert [path for path in theirs if path != options.parent.parent] == []
    assert [
        path for path in made if path.name == "edge-pse" and path.is_dir() and path.stat().st_mode & 0o077
    ] == []


def test_the_service_looks_for_voices_where_the_shell_enrolls_them(machine):
    voices = machine.home / 'my "voices" 100%$'
    machine.install(EDGE_PSE_HOME=str(voices), XDG_DATA_HOME=str(machine.home / "data"))
    places = (machine.home / f"{UNIT}.d/places.conf").read_text().splitlines()
    assert f'Environment="EDGE_PSE_HOME={machine.home}/my \\"voices\\" 100%%$"' in places
    assert f'ExecStart="{machine.home}/data/edge-pse/venv/bin/edge-pse" run $EDGE_PSE_OPTIONS' in places
    files = (machine.home / f"{UNIT}.d/files.conf").read_text().splitlines()
    assert f'BindPaths="{machine.home}/my \\"voices\\" 100%%$"' in files
    # Another shell, without the variables, takes all of it away.
    voice = machine.voice(voices)
    assert f"The profiles are still in {voice.parent}" in machine.script("--uninstall")
    assert machine.files() == [machine.home / ".config/edge-pse/service.conf", voice]


def test_what_was_recorded_of_another_shell_is_purged_with_the_rest(machine):
    voices = machine.home / 'my "voices" 100%$'
    machine.install(EDGE_PSE_HOME=str(voices))
    machine.voice(voices)
    machine.personal_weights(voices)
    machine.voice(machine.home / ".local/share/edge-pse")
    machine.script("--uninstall", "--purge")
    assert machine.files() == []
    assert not voices.exists()


def test_the_unit_goes_where_systemd_looks_not_the_shell(machine):
    elsewhere = machine.home / "configuration"
    (machine.home / "manager").write_text(f"XDG_CONFIG_HOME={elsewhere}\nPATH=/bin\n")
    machine.install(XDG_CONFIG_HOME=str(machine.home / "of-the-shell"))
    assert (elsewhere / "systemd/user/edge-pse.service").is_file()
    assert (elsewhere / "edge-pse/service.conf").is_file()
    assert not (machine.home / "of-the-shell").exists()
    machine.script("--uninstall", "--purge")
    assert machine.files() == []


def test_the_learner_is_put_where_the_command_looks_for_it_and_stays_up_to_date(machine):
    """An environment whose pip says what it is asked for."""
    program = "#!/bin/sh\n"
    machine.answer("python3", MACHINE["python3"].replace(program, f'{program}echo "$@" >>"$HOME/pip.log"\n'))
    learner = machine.home / ".local/share/edge-pse/venv/share/edge-pse"
    machine.install()
    assert "torch" not in (machine.home / "pip.log").read_text() and not learner.exists()
    wheel = ("--wheel", str(TARGETS / "install.sh"))
    machine.script(*wheel, "--personal")
    asked = (machine.home / "pip.log").read_text()
    assert "--only-binary=:all: torch==2.13.0" in asked and "requirements-personal.txt" in asked
    packages = {path.name for path in learner.iterdir()}
    assert packages == {"personalisation", "training", "export", "quantization", "evaluation"}
    stale = learner / "personalisation/stale.py"
    stale.touch()
    machine.script(*wheel)
    assert not stale.exists() and (learner / "personalisation/__init__.py").is_file()
    machine.script("--uninstall", "--purge")
    assert not learner.exists()


def test_the_assistant_is_a_service_of_its_own_that_may_listen(machine):
    wheel = ("--wheel", str(TARGETS / "install.sh"))
    said = machine.script(*wheel, "--assistant")
    unit = machine.home / ".config/systemd/user/edge-pse-wyoming.service"
    places = unit.with_name(f"{unit.name}.d") / "places.conf"
    options = machine.home / ".config/edge-pse/wyoming.conf"
    assert "port 10350" in said and str(options) in said
    assert "--asr tcp://127.0.0.1:10300" in options.read_text()
    lines = places.read_text().splitlines()
    assert lines[-1] == "PrivateNetwork=no" and any(
        line.endswith("wyoming $EDGE_PSE_WYOMING_OPTIONS") for line in lines
    )
    assert (
        "PrivateNetwork=yes" in places.with_name("files.conf").read_text()
    )  # of which the other has the last word
    log = (machine.home / "systemctl.log").read_text()
    assert "enable --quiet edge-pse-wyoming" in log and "restart edge-pse-wyoming" in log
    options.write_text("EDGE_PSE_WYOMING_OPTIONS=--asr tcp://127.0.0.1:1\n")
    machine.script(*wheel)  # an update, which leaves the options
    assert (machine.home / "systemctl.log").read_text().count("restart edge-pse-wyoming") == 2
    assert "10300" not in options.read_text()
    machine.script("--uninstall")
    assert not unit.exists() and options.exists()
    machine.script("--uninstall", "--purge")
    assert not options.exists()


def test_the_panel_is_installed_by_the_command_and_goes_on_to_be(machine):
    program = "#!/bin/sh\n"
    machine.answer(
        "python3", MACHINE["python3"].replace(program, f'{program}echo "$0 $@" >>"$HOME/called.log"\n')
    )
    wheel = ("--wheel", str(TARGETS / "install.sh"))
    machine.script(*wheel, "--panel")
    called = (machine.home / "called.log").read_text()
    assert "requirements-panel.txt" in called and "edge-pse panel --install\n" in called
    # What the command leaves.
    unit = machine.home / ".config/systemd/user/edge-pse-panel.service"
    unit.touch()
    options = machine.home / ".config/edge-pse/panel.conf"
    options.write_text("EDGE_PSE_PANEL_OPTIONS=--listen 0.0.0.0:10360\n")
    machine.script(*wheel)
    assert "edge-pse panel --install --listen 0.0.0.0:10360\n" in (machine.home / "called.log").read_text()
    machine.script("--uninstall", "--purge")
    assert "edge-pse panel --uninstall\n" in (machine.home / "called.log").read_text()
    assert not unit.exists() and not options.exists()


def test_without_namespaces_the_service_runs_without_them(machine):
    machine.answer(
        "systemctl",
        """case "$*" in
        *show-environment) ;;
        *restart*) [ ! -e "$HOME/.config/systemd/user/edge-pse.service.d/files.conf" ] ;;
        *ExecMainStatus*) cat "$HOME/manager" ;;
        esac""",
    )
    (machine.home / "manager").write_text("226\n")
    assert "gives users no namespaces" in machine.install()
    assert not (machine.home / f"{UNIT}.d/files.conf").exists()
    (machine.home / "manager").write_text("1\n")
    with pytest.raises(AssertionError, match="The service does not start"):
        machine.install()


def test_lingering_that_stays_is_said(machine):
    machine.install()
    assert "linger" not in machine.script("--uninstall")
    machine.answer("loginctl", "echo yes")
    assert "sudo loginctl disable-linger" in machine.script("--uninstall")


@pytest.mark.parametrize("variable", ["", "EDGE_PSE_HOME", "XDG_DATA_HOME"])
def test_profiles_stay_unless_they_are_to_go(machine, variable):
    """What an installation has left that lost its command."""
    data = {"": ".local/share/edge-pse", "EDGE_PSE_HOME": "voices", "XDG_DATA_HOME": "data/edge-pse"}[
        variable
    ]
    environment = {variable: str(machine.home / data.split("/")[0])} if variable else {}
    voice, options = machine.voice(machine.home / data), machine.home / ".config/edge-pse/service.conf"
    another = voice.with_name("letter.txt")
    for file in (options, another, machine.home / ".local/share/edge-pse/venv/pyvenv.cfg"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    said = machine.script("--uninstall", **environment)
    assert machine.files() == sorted([voice, options, another])
    assert f"The profiles are still in {voice.parent}" in said
    # What others put there is theirs.
    assert "files that edge-pse did not make" in machine.script("--uninstall", "--purge", **environment)
    assert machine.files() == [another]
    another.unlink()
    machine.script("--uninstall", "--purge", **environment)
    assert not voice.parent.exists()
    assert not (machine.home / ".local/share/edge-pse").exists()


def test_what_is_locked_is_what_the_project_asks_for():
    """``python targets/lock.py`` writes the files anew."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    asked = [Requirement(line) for line in project["project"]["dependencies"]]
    build = [Requirement(line) for line in project["build-system"]["requires"]]
    personal = [Requirement(line) for line in project["project"]["optional-dependencies"]["personal"]]
    runtimes = {"litert": "ai-edge-litert", "onnx": "onnxruntime"}
    for python in ("3.11", "3.12", "3.13", "3.14"):
        for machine in ("x86_64", "aarch64"):
            for lock, wanted in ((runtime, asked) for runtime in runtimes):
                versions = locked(LOCKS[lock].read_text(), python, machine)
                assert runtimes[lock] in versions
                others = [one for one in wanted if one.name not in runtimes.values()]
                assert all(versions[one.name] in one.specifier for one in others), (lock, python, machine)
            versions = locked(LOCKS["build"].read_text(), python, machine)
            assert all(versions[one.name] in one.specifier for one in build)
            learner = locked(LOCKS["personal"].read_text(), python, machine)
            assert all(learner[one.name] in one.specifier for one in personal if one.name == "scipy")
            # What is installed already stays as it is.
            runtime = locked(LOCKS["onnx"].read_text(), python, machine)
            assert {name: learner[name] for name in runtime} == runtime


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_locked_has_hashes_and_names_no_host(name):
    text = LOCKS[name].read_text()
    assert "://" not in text
    assert not re.search(r"^(-|@)|index-url|find-links", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("files", [True, False])
@pytest.mark.parametrize("name", ["edge-pse", "edge-pse-wyoming"])
def test_systemd_understands_every_line_of_the_unit(tmp_path, name, files):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("the unit is checked by systemd-analyze: apt-get install systemd")
    command = tmp_path / ".local/bin/edge-pse"
    command.parent.mkdir(parents=True)
    command.symlink_to("/bin/true")
    unit = tmp_path / f"{name}.service"
    shutil.copy(TARGETS / unit.name, unit)
    if files:
        (tmp_path / f"{unit.name}.d").mkdir()
        shutil.copy(TARGETS / "edge-pse-files.conf", tmp_path / f"{unit.name}.d/files.conf")
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", unit],
        env=os.environ | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    # A key that it does not know is only a line on standard error.
    assert (done.returncode, done.stderr) == (0, "")
