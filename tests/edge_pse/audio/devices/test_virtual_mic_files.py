"""What the virtual microphone does to files of the user: takes its own lines out again, and nothing else."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_pse.audio.devices import sound_server as server_side
from edge_pse.audio.devices import virtual_mic
from edge_pse.errors import AudioError

BEGIN, END = "# edge-pse virtual microphone: begin\n", "# edge-pse virtual microphone: end\n"
SINK = "load-module module-null-sink sink_name=edge_pse rate=16000\n"
SOURCE = "load-module module-remap-source source_name=edge_pse_microphone master=edge_pse.monitor\n"
INCLUDE = ".include /etc/pulse/default.pa\n"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """PulseAudio's of a user without a sound server."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return at_home(tmp_path / "home", monkeypatch)


@pytest.fixture
def script_at_server(sound_server, tmp_path, monkeypatch):
    """The same where a server runs."""
    for name, value in sound_server.env.items():
        monkeypatch.setenv(name, value)
    return at_home(tmp_path / "home", monkeypatch)


def at_home(home, monkeypatch):
    (home / ".config" / "pulse").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home / ".config" / "pulse" / "default.pa"


def test_what_was_there_is_there_again_byte_by_byte(script_at_server, tmp_path):
    script = script_at_server
    contents = [
        (INCLUDE + "# réglage\n").encode("latin-1"),
        INCLUDE.encode(),
        b".include /etc/pulse/default.pa\r\nset-default-sink x\r\n",
        b"# no line end",
        b"\x00\xff\xfe broken \n\n\n",
        None,
    ]
    for content in contents:
        if content is not None:
            script.write_bytes(content)
            script.chmod(0o640)
        virtual_mic.turn_on()
        written = script.read_bytes()
        assert written.startswith(content or BEGIN.encode())
        assert virtual_mic.status() == virtual_mic.Status("pulseaudio", True, True, 0)
        before = script.stat()
        virtual_mic.turn_on()  # twice is as good as once
        assert (script.stat().st_ino, script.read_bytes()) == (before.st_ino, written)
        assert virtual_mic.turn_off()
        assert virtual_mic.status() == virtual_mic.Status("pulseaudio", False, False, 0)
        if content is None:
            assert not script.exists()
        else:
            assert script.read_bytes() == content
            assert script.stat().st_mode & 0o777 == 0o640
            script.unlink()
    assert {path.name for path in script.parent.iterdir()} <= {"cookie"}


def test_a_script_that_is_a_link_stays_one(script_at_server, tmp_path):
    dotfile = tmp_path / "dotfiles.pa"
    dotfile.write_text(INCLUDE)
    script_at_server.symlink_to(dotfile)
    virtual_mic.turn_on()
    assert script_at_server.is_symlink()
    assert BEGIN in dotfile.read_text()
    virtual_mic.turn_off()
    assert (script_at_server.is_symlink(), dotfile.read_text()) == (True, INCLUDE)


def test_made_by_several_at_once_it_is_there_once(script_at_server):
    with ThreadPoolExecutor(4) as several:
        for future in [several.submit(virtual_mic.ensure) for _ in range(4)]:
            future.result()
    loaded = [text for text in server_side.modules().values() if "edge_pse" in text]
    assert len(loaded) == 2, loaded


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INCLUDE + BEGIN + SINK, INCLUDE),
        (INCLUDE + BEGIN + SINK + SOURCE, INCLUDE),
        (INCLUDE + BEGIN + SINK + "load-module module-remap-source source_na", INCLUDE),
        (BEGIN + SINK + SOURCE + "set-default-sink mine\n" + SINK, "set-default-sink mine\n" + SINK),
        (BEGIN + SINK + "# mine\n" + SOURCE + END + INCLUDE, "# mine\n" + INCLUDE),
        (BEGIN + SINK + INCLUDE + BEGIN + SINK + SOURCE + END + "x\n", INCLUDE + "x\n"),
        (BEGIN + SINK + END + INCLUDE + BEGIN + SINK + END, INCLUDE),
        (INCLUDE + SOURCE + END, INCLUDE + SOURCE),
        ((INCLUDE + BEGIN + SINK + END).replace("\n", "\r\n"), INCLUDE.replace("\n", "\r\n")),
        (INCLUDE + SINK, INCLUDE + SINK),
        ("\ufeff" + BEGIN + SINK + SOURCE + END + INCLUDE, "\ufeff" + INCLUDE),
        ("\ufeff" + INCLUDE + BEGIN + SINK + END, "\ufeff" + INCLUDE),
    ],
    ids=["one line left", "no end", "cut in a line", "no end and more", "somebody wrote into it",
         "an old one without end", "two", "no begin", "other line ends", "somebody's own",
         "byte order mark", "mark far from it"],
)  # fmt: skip
def test_a_damaged_block_is_taken_out_and_nothing_else(script, before, after):
    script.write_bytes(before.encode())
    virtual_mic.turn_off()
    assert script.read_bytes().decode() == after
    assert virtual_mic.status().permanent is False


def test_of_a_script_of_ours_alone_no_byte_order_mark_is_left_to_silence_the_server(script):
    script.write_text("\ufeff" + BEGIN + INCLUDE + SINK + SOURCE + END)
    virtual_mic.turn_off()
    assert not script.exists()


def test_what_is_left_of_a_cut_file_of_pipewire_is_taken_away(script, monkeypatch):
    monkeypatch.setattr(server_side, "kind_of_server", lambda: "pipewire")
    for name in ("ensure", "_unload"):
        monkeypatch.setattr(virtual_mic, name, lambda: None)
    virtual_mic.turn_on()
    path = script.parents[1] / "pipewire" / "pipewire-pulse.conf.d" / "edge-pse.conf"
    whole = path.read_bytes()
    for end in range(len(BEGIN), len(whole) + 1, 7):
        path.write_bytes(whole[:end])
        virtual_mic.turn_off()
        assert not path.exists(), whole[:end]


@pytest.mark.parametrize("odd", ["directory", "pipe", "protected", "circle"])
def test_what_cannot_be_read_or_written_is_said_in_a_sentence(script_at_server, odd):
    script = script_at_server
    content = (INCLUDE + BEGIN + SINK).encode()
    if odd == "directory":
        script.mkdir()
    elif odd == "pipe":
        os.mkfifo(script)
    elif odd == "circle":
        script.symlink_to(script)
    else:
        script.write_bytes(content)
        script.chmod(0o444)
    with pytest.raises(AudioError, match=r"default\.pa"):
        virtual_mic.turn_on()
    assert virtual_mic.status().permanent is (True if odd == "protected" else None)
    with pytest.raises(AudioError, match=r"default\.pa"):
        virtual_mic.turn_off()
    assert virtual_mic.status().present is False
    if odd == "protected":
        assert script.read_bytes() == content


def test_without_a_home_there_is_no_file_and_no_traceback(script):
    """As a user that the system does not know, without a HOME."""
    if os.getuid():
        pytest.skip("only root can become a user that the system does not know")
    become = "import os; from edge_pse.audio.devices import virtual_mic; del os.environ['HOME']; os.setuid(54321); "
    look = "print(virtual_mic.status().permanent, virtual_mic.turn_off())"
    done = subprocess.run([sys.executable, "-c", become + look], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False False\n", "")
