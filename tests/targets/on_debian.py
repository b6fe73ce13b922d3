"""From nothing to a running service and back, by the script alone, in a fresh Debian: ``make test-install``.

The Debian is a booted container with systemd and PipeWire, whose every change is gone with it. Its sound devices
are sinks of PipeWire. The first run builds the root, which takes minutes. The tests go on from one another, as a
user does.
"""

import json
import subprocess

import numpy as np
import pytest
import soundfile

from tests.edge_pse.audio.running import aligned
from tests.footprint import INSTALLED_MB, RESIDENT_MB
from tests.targets import debian
from tests.targets.container import USER, Container

PROGRAMS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"}
SYSTEM = (
    "systemd-sysv,dbus-user-session,libpam-systemd,sudo,pipewire,pipewire-pulse,wireplumber,ca-certificates"
)
OFFLINE = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/opt/wheels;"
INSTALL = f"{OFFLINE} /opt/edge-pse/targets/install.sh"
EDGE_PSE = "~/.local/bin/edge-pse"
SNIPPETS = "/opt/edge-pse/targets/raspberry-pi"
EXPOSURE = 15
"""Most that `systemd-analyze security` may give the service, in tenths; as it starts, without any setting, 96."""
MAIN_PROCESS = "systemctl --user show --property=MainPID --value edge-pse"
# Run by a unit that is the service's in all but the program: what can that do?
PROBE = """
import ctypes, json, os, pathlib, resource, socket
home, runtime = pathlib.Path.home(), pathlib.Path(os.environ["XDG_RUNTIME_DIR"])
voices = home / ".local/share/edge-pse"

def can(do, *words):
    try:
        do(*words)
    except OSError:
        return False
    return True

def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))

def called(name, *words):
    if ctypes.CDLL(None, use_errno=True)[name](*words) == -1:
        raise OSError(ctypes.get_errno(), name)

print(json.dumps({
    "write the voices": can((voices / "x").touch) and can((voices / "x").unlink),
    "reach the sound server": can(connect, runtime / "pulse/native"),
    "write the program": can((voices / "venv/x").touch),
    "write the home": can((home / "x").touch),
    "write the system": any(can(pathlib.Path(place, "x").touch) for place in ("/etc", "/usr", "/var", "/opt")),
    "read a letter": can((home / "letter.txt").read_text),
    "see the temporary files of others": pathlib.Path("/tmp/of-others").exists(),
    "start programs by the bus": can(connect, runtime / "bus"),
    "start programs by systemd": can(connect, runtime / "systemd/private"),
    "open an internet socket": can(socket.socket, socket.AF_INET),
    "open a netlink socket": can(socket.socket, socket.AF_NETLINK),
    "make a namespace": can(called, "unshare", 0x10000000),
    "change its personality": can(called, "personality", 0x0040000),
    "change its owner": can(os.chown, voices, os.getuid(), os.getgid()),
    "go before others": can(os.sched_setscheduler, 0, os.SCHED_BATCH, os.sched_param(0)),
    "leave a core": resource.getrlimit(resource.RLIMIT_CORE)[1] > 0,
    "see other networks": len(socket.if_nameindex()) > 1 if can(socket.socket, socket.AF_INET) else False,
    "leave files for others": bool(~os.umask(0) & 0o077),
    "have capabilities": any(
        int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith("Cap")
    ),
}))
"""
MAY = {"write the voices", "reach the sound server"}
# The home, without what PipeWire, pip and sudo keep for themselves.
FILES = (
    "find . -type f -o -type l"
    r" | grep -vE '/(\.cache|\.local/state|\.config/pulse|__pycache__)/|sudo_as_admin' | sort"
)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request, fixtures, tmp_path_factory):
    debian.need(PROGRAMS)
    release = request.param
    root = debian.built_root(f"debian-{release}", f"--include={SYSTEM}", release)
    temporary = tmp_path_factory.mktemp(release)
    see = {
        debian.copy_checkout(temporary / "checkout"): "/opt/edge-pse",
        debian.downloaded_wheels(release, "x86_64"): "/opt/wheels",
        fixtures: "/opt/fixtures",
    }
    container = Container(root, see, temporary / "boot.log")
    yield container
    container.end()


@pytest.fixture(scope="module")
def untouched(machine):
    """The files of a new home."""
    return machine.output(FILES)


def test_what_fails_says_so_in_a_sentence_and_leaves_nothing(machine, untouched):
    failed = machine.run("export PIP_NO_INDEX=1; /opt/edge-pse/targets/install.sh", status=1)
    assert failed.stderr.splitlines()[-1].startswith("install.sh: pip could not install edge-pse")
    assert machine.output(FILES) == untouched


def test_what_has_another_hash_is_refused(machine, untouched):
    machine.run("cp -r /opt/wheels ~/wheels; for file in ~/wheels/click-*.whl; do echo >>$file; done")
    install = INSTALL.replace("/opt/wheels", "~/wheels")
    failed = machine.run(install, status=1)
    assert "DO NOT MATCH THE HASHES" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("install.sh: pip could not install edge-pse")
    machine.run("rm -r ~/wheels")
    assert machine.output(FILES) == untouched


def test_the_script_installs_the_command_and_starts_the_service(machine, untouched):
    # As after an installation that was cut off.
    machine.run("python3 -m venv --without-pip ~/.local/share/edge-pse/venv")
    machine.run(INSTALL)
    machine.run(f"{EDGE_PSE} --version")
    assert machine.output("systemctl --user is-active edge-pse") == "active"
    assert machine.output("systemctl --user is-enabled edge-pse") == "enabled"
    assert "edge_pse_microphone" in machine.output("pactl list short sources")
    machine.run("~/.local/share/edge-pse/venv/bin/python -m pip check")
    assert "files.conf" in machine.output("systemctl --user show --property=DropInPaths edge-pse")


def test_the_doctor_finds_nothing_to_mend(machine):
    said = machine.run(f"{EDGE_PSE} doctor", status=None).stdout
    failures = [line for line in said.splitlines() if line.startswith("fail")]
    # Whether the network is fast enough is a matter of the machine, and of what else it does.
    assert [line for line in failures if "model in time" not in line] == [], said
    assert "virtual microphone  There, also after a restart." in said


def test_the_script_may_run_again(machine):
    before = machine.output(FILES)
    said = machine.output(INSTALL)
    assert "with apt" not in said
    assert machine.output(FILES) == before
    assert machine.output("systemctl --user is-active edge-pse") == "active"


def test_what_is_installed_is_small(machine):
    assert installed_mb(machine) < INSTALLED_MB["litert"]


def test_a_voice_is_enrolled_and_the_service_keeps_it(machine):
    machine.run(f"{EDGE_PSE} enroll me --from /opt/fixtures/ls367_enrollment.opus")
    options = "EDGE_PSE_OPTIONS=--input desk --output virtual --on-demand --profile me"
    machine.run(f"echo '{options}' >~/.config/edge-pse/service.conf; systemctl --user restart edge-pse")
    assert hears_speech(machine)
    said = machine.output("systemctl --user status edge-pse; journalctl --user --unit edge-pse")
    assert "Running" in said, said
    process = machine.output(MAIN_PROCESS)
    resident_mb = int(machine.output(f"grep VmHWM /proc/{process}/status").split()[1]) * 1024 / 1e6
    print(f"resident at most: {resident_mb:.0f} MB")
    assert resident_mb < RESIDENT_MB


def test_the_service_can_do_what_it_needs_and_no_more(machine):
    """Each setting of the unit by what it does here, in another program of the same unit."""
    machine.run(f"cat >~/.local/share/edge-pse/probe.py <<'END'\n{PROBE}END")
    machine.run("echo secret >~/letter.txt; echo x >/tmp/of-others")
    machine.run(
        "cd ~/.config/systemd/user; mkdir probe.service.d; cp edge-pse.service.d/files.conf probe.service.d;"
        "sed 's,^Type=.*,Type=oneshot,; s,^ExecStart=.*,ExecStart=/usr/bin/python3 %h/.local/share/edge-pse/probe.py,;"
        "/^Restart=/d' edge-pse.service >probe.service; systemctl --user daemon-reload"
    )
    try:
        machine.run("systemctl --user start probe || { journalctl --user -u probe; false; }")
        said = machine.wait_until("journalctl --user --unit probe --output cat | grep ^{")
    finally:
        machine.run(
            "rm -r ~/letter.txt /tmp/of-others ~/.local/share/edge-pse/probe.py ~/.config/systemd/user/probe.service*;"
            "systemctl --user daemon-reload"
        )
    can = {what for what, whether in json.loads(said.splitlines()[-1]).items() if whether}
    assert can == MAY
    assert machine.output("systemctl --user show --property=MemoryMax --value edge-pse") == str(1 << 30)


def test_the_exposure_of_the_service(machine):
    said = machine.output(f"systemd-analyze security --user --no-pager --threshold={EXPOSURE} edge-pse")
    print(said.splitlines()[-1])


def test_the_service_survives_the_sound_server(machine):
    process = machine.output(MAIN_PROCESS)
    machine.run("systemctl --user restart wireplumber pipewire pipewire-pulse")
    machine.wait_until("pactl list short sources | grep edge_pse_microphone")
    assert hears_speech(machine)
    assert machine.output(MAIN_PROCESS) == process


def test_a_service_that_hangs_is_restarted(machine):
    drop_in = "~/.config/systemd/user/edge-pse.service.d"
    machine.run(
        f"mkdir -p {drop_in}; printf '[Service]\\nWatchdogSec=3\\nTimeoutStopSec=2\\n' >{drop_in}/test.conf;"
        "systemctl --user daemon-reload; systemctl --user restart edge-pse; sleep 5"
    )
    process = machine.output(MAIN_PROCESS)
    assert machine.output("systemctl --user show --property=NRestarts --value edge-pse") == "0"
    machine.run(f"kill -STOP {process}")
    machine.wait_until(f'test "$({MAIN_PROCESS})" != {process} && systemctl --user is-active edge-pse')
    assert "watchdog" in machine.output("journalctl --user --unit edge-pse")
    machine.run(f"rm -r {drop_in}; systemctl --user daemon-reload; systemctl --user restart edge-pse")
    assert hears_speech(machine)


def test_a_service_that_its_user_ends_stays_ended(machine):
    machine.run(f"{EDGE_PSE} ctl stop")
    machine.wait_until("systemctl --user is-active edge-pse | grep -x inactive")
    machine.run("sleep 4")  # twice as long as until a restart
    assert machine.output("systemctl --user is-active edge-pse || true") == "inactive"
    # Where the sockets of other streams are.
    assert machine.output("stat --format=%a $XDG_RUNTIME_DIR/edge-pse") == "700"
    machine.run("systemctl --user start edge-pse")
    machine.wait_until("pactl list short sources | grep edge_pse_microphone")
    assert hears_speech(machine)


def test_the_sound_server_takes_the_snippets(machine):
    wireplumber = {
        "bookworm": ("wireplumber/51-edge-pse.lua", ".config/wireplumber/main.lua.d"),
        "trixie": ("wireplumber/51-edge-pse.conf", ".config/wireplumber/wireplumber.conf.d"),
    }[machine.output(". /etc/os-release; echo $VERSION_CODENAME")]
    places = dict([("pipewire/edge-pse.conf", ".config/pipewire/pipewire.conf.d"), wireplumber])
    for snippet, place in places.items():
        machine.run(f"mkdir -p {place}; cp {SNIPPETS}/{snippet} {place}")
    restart = "systemctl --user restart wireplumber pipewire pipewire-pulse"
    machine.run(restart)
    machine.wait_until("pactl list short sources | grep edge_pse_microphone")
    assert "'clock.quantum' value:'480'" in machine.output("pw-metadata -n settings")
    said = machine.output("journalctl --user --boot --unit wireplumber --unit pipewire")
    assert "51-edge-pse" not in said, said
    heard = hears_speech(machine)
    machine.run("rm -r ~/.config/wireplumber ~/.config/pipewire/pipewire.conf.d; " + restart)
    assert heard


def test_the_service_gets_real_time_priority(machine):
    if machine.run("prlimit --rtprio=20:20 true", user="root", status=None).returncode:
        pytest.skip("this machine lets no container raise limits")
    drop_in = "~/.config/systemd/user/edge-pse.service.d"
    machine.run(f"mkdir -p {drop_in}; cp {SNIPPETS}/real-time.conf {drop_in}")
    machine.run(f"cp {SNIPPETS}/etc/security/limits.d/edge-pse.conf /etc/security/limits.d", user="root")
    machine.run(f"systemctl restart user@$(id -u {USER})", user="root")
    machine.wait_until("systemctl --user is-active edge-pse")
    assert "SCHED_RR" in machine.output(f"chrt --pid $({MAIN_PROCESS})")
    machine.run(f"rm -r {drop_in}; systemctl --user daemon-reload; systemctl --user restart edge-pse")


def test_the_script_takes_away_all_but_the_voice(machine, untouched):
    machine.run("/opt/edge-pse/targets/install.sh --uninstall")
    left = set(machine.output(FILES).splitlines()) - set(untouched.splitlines())
    assert sorted(left) == [
        "./.config/edge-pse/service.conf",
        "./.local/share/edge-pse/profiles/.lock",
        "./.local/share/edge-pse/profiles/me.profile.json",
    ]
    assert "edge_pse" not in machine.output("pactl list short sources; pactl list short sinks")
    assert machine.run("systemctl --user cat edge-pse", status=None).returncode != 0
    machine.run("/opt/edge-pse/targets/install.sh --uninstall --purge")
    assert machine.output(FILES) == untouched


def test_onnx_alone_does_as_well_in_other_places(machine, untouched):
    """And with a shell that protects nothing and has the voices elsewhere, which the service finds all the same."""
    places = 'umask 000; export EDGE_PSE_HOME="$HOME/my voices" XDG_CONFIG_HOME=$HOME/elsewhere;'
    machine.run(f"{places} {INSTALL} --backend onnx")
    assert "ai_edge_litert" not in machine.output(
        "ls ~/.local/share/edge-pse/venv/lib/python3*/site-packages"
    )
    assert installed_mb(machine) < INSTALLED_MB["onnx"]
    machine.run(f"{places} {EDGE_PSE} enroll me --from /opt/fixtures/ls367_enrollment.opus")
    options = "EDGE_PSE_OPTIONS=--input desk --output virtual --profile me"
    machine.run(f"echo '{options}' >~/.config/edge-pse/service.conf; systemctl --user restart edge-pse")
    assert hears_speech(machine)
    # What Python compiles lies behind a folder that is closed to others.
    open_to_others = machine.output(
        "find ~/.config ~/.local ~/my* -not -type l -not -path '*/venv/*' -not -path '*/state/*' -perm /022;"
        "find ~/.local/share/edge-pse -maxdepth 0 -perm /077"
    )
    assert open_to_others == ""
    machine.run(f"{places} /opt/edge-pse/targets/install.sh --uninstall --purge")
    machine.run(
        "rm -rf ~/elsewhere/pulse; ! test -d ~/elsewhere || rmdir ~/elsewhere"
    )  # only libpulse's cookie was there
    assert machine.output(FILES) == untouched


def installed_mb(machine):
    size = int(machine.output("du -sb ~/.local/share/edge-pse/venv | cut -f1")) / 1e6
    print(f"installed: {size:.0f} MB")
    return size


def hears_speech(machine):
    """Whether a program that records from the virtual microphone hears what is said at the real one.

    Where other programs keep the processor busy, sound has holes; so there is more than one try.
    """
    return any(likeness_of_what_is_heard(machine) > 0.8 for _ in range(3))


def likeness_of_what_is_heard(machine):
    """Correlation of what is heard with what was said: the median of its quarter seconds; 0 if that is too little."""
    player = machine.start(
        "exec timeout 14 sh -c 'while paplay -d room /opt/fixtures/ls367_speech.opus; do :; done'"
    )
    recorder = machine.start(
        "exec timeout 12 parec --raw --format=s16le --rate=16000 --channels=1 --latency-msec=50 "
        "-d edge_pse_microphone"
    )
    try:
        heard = np.frombuffer(recorder.communicate(timeout=30)[0], np.int16).astype(np.float32)
    except subprocess.TimeoutExpired:
        recorder.kill()
        raise
    finally:
        player.kill()
        player.wait()
    speech, _ = soundfile.read(debian.PROJECT / "tests/fixtures/ls367_speech.opus", dtype="float32")
    said = np.tile(speech, 2)  # a piece may begin in one turn and end in the next
    pieces = [heard[start : start + 4_000] for start in range(0, heard.size - 4_000, 4_000)]
    likeness = [
        np.corrcoef(piece, aligned(piece, said))[0, 1] for piece in pieces if np.abs(piece).max() > 1_000
    ]
    print(f"{len(likeness)} pieces with speech, likeness {np.median(likeness or [0]):.2f}")
    return np.median(likeness) if len(likeness) >= 4 else 0.0
