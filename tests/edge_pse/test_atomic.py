"""Files that come to their place whole, and replace nothing but files."""

import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from edge_pse import atomic


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask_000():
    previous = os.umask(0)
    yield
    os.umask(previous)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_a_file_has_the_mode_that_was_asked_for_whatever_the_umask(tmp_path, names_in, mode):
    for umask in (0, 0o077):
        previous = os.umask(umask)
        try:
            atomic.write(tmp_path / "file", b"content", mode=mode)
        finally:
            os.umask(previous)
        assert (tmp_path / "file").read_bytes() == b"content"
        assert mode_of(tmp_path / "file") == mode
    assert names_in(tmp_path) == ["file"]


def test_without_a_mode_it_is_that_of_the_file_before_or_of_any_new_file(tmp_path):
    previous = os.umask(0o027)
    try:
        atomic.write(tmp_path / "new", b"1", mode=None)
        atomic.write(tmp_path / "old", b"1", mode=0o604)
        atomic.write(tmp_path / "old", b"2", mode=None)
    finally:
        os.umask(previous)
    assert (mode_of(tmp_path / "new"), mode_of(tmp_path / "old")) == (0o640, 0o604)


def test_while_it_is_written_nobody_else_can_read_it(tmp_path, umask_000):
    with atomic.replacing(tmp_path / "file", mode=0o644) as temporary:
        temporary.write_bytes(b"a voice")
        assert mode_of(temporary) == 0o600


def test_names_of_255_bytes_can_be_written(tmp_path, names_in):
    name = "ä" * 127 + "n"
    atomic.write(tmp_path / name, b"content", mode=0o600)
    atomic.write(tmp_path / name, b"again", mode=0o600)
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_after_an_error_there_is_what_was_there_before(tmp_path, names_in, error):
    (tmp_path / "file").write_bytes(b"before")
    for name in ("file", "other"):
        with pytest.raises(error), atomic.replacing(tmp_path / name, mode=0o600) as temporary:
            temporary.write_bytes(b"half of i")
            raise error
    assert names_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def make(kind, path):
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(path))
    else:
        try:
            os.mknod(
                path, (stat.S_IFCHR if kind == "character device" else stat.S_IFBLK) | 0o666, os.makedev(1, 3)
            )
        except PermissionError as error:
            pytest.skip(f"making a device node needs root: {error}")


@pytest.mark.parametrize("kind", ["pipe", "directory", "socket", "character device", "block device"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path, names_in, monkeypatch, kind, linked):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = tmp_path / "it"
    make(kind, path.relative_to(tmp_path) if kind == "socket" else path)
    before = path.lstat()
    (tmp_path / "link").symlink_to(path)
    names = names_in(tmp_path)
    with pytest.raises(OSError) as refused:
        atomic.write(tmp_path / ("link" if linked else "it"), b"content", mode=0o600)
    assert refused.value.strerror.startswith("it is a d")
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert names_in(tmp_path) == names


def test_the_file_behind_a_link_is_renewed_and_the_link_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").symlink_to("folder/file")
    for content in (b"made", b"renewed"):  # a link to nothing, then to a file
        atomic.write(tmp_path / "there", content, mode=0o600)
        assert (tmp_path / "there").is_symlink()
        assert (tmp_path / "folder" / "file").read_bytes() == content


def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(OSError, match="circle"):
        atomic.write(tmp_path / "one", b"", mode=0o600)


def test_a_write_protected_file_is_kept(tmp_path, names_in):
    path = tmp_path / "file"
    path.write_bytes(b"kept")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="write-protected"):
        atomic.write(path, b"content", mode=0o600)
    assert path.read_bytes() == b"kept"
    assert names_in(tmp_path) == ["file"]


WRITER = """
import sys, time
from edge_pse import atomic
with atomic.replacing(sys.argv[1], mode=0o600) as temporary:
    temporary.write_bytes(b"a whole file")
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """A process that has written its file and not yet moved it to its place."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "file")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    yield process
    process.kill()
    process.communicate()


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path, names_in, writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(names_in(tmp_path)) == 1  # the file under its temporary name
    atomic.write(tmp_path / "other", b"", mode=0o600)
    assert len(names_in(tmp_path)) == 2
    atomic.write(tmp_path / "file", b"mine", mode=0o600)
    assert names_in(tmp_path) == ["file", "other"]


def test_what_somebody_writes_at_the_moment_stays(tmp_path, names_in, writer):
    atomic.write(tmp_path / "file", b"mine", mode=0o600)
    atomic.sweep(tmp_path)
    assert len(names_in(tmp_path)) == 2
    writer.communicate("")
    assert writer.returncode == 0
    assert names_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"a whole file"


def test_it_works_where_there_is_no_fcntl(tmp_path, names_in, monkeypatch):
    """As on Windows: nothing is locked, and the file is closed before it is moved."""
    monkeypatch.setattr(atomic, "fcntl", None)
    for content in (b"one", b"two"):
        atomic.write(tmp_path / "file", content, mode=0o600)
        assert (tmp_path / "file").read_bytes() == content
    assert names_in(tmp_path) == ["file"]
