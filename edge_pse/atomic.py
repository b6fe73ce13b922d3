"""Files that are written beside their place and come to it whole, in one step.

After an error, Ctrl-C, a kill, a full disk or a power cut there is what was there before, or the new file whole.
Only a regular file is ever replaced. Everything here raises OSError, whose ``strerror`` fits into a sentence.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file in use can't be removed anyhow
    fcntl = None  # type: ignore[assignment]

OWN = 0o600
"""The mode of what holds a voice: nobody else may read it."""

_BINARY = getattr(os, "O_BINARY", 0)


def write(path: str | Path, content: bytes, *, mode: int | None) -> None:
    """Write a file, whole or not at all; for ``mode`` see ``replacing``."""
    with replacing(path, mode=mode) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: str | Path, *, mode: int | None) -> Iterator[Path]:
    """A new empty file to write, which takes the place of ``path`` when the block ends well.

    It lies in the same directory and is gone after an exception; what a killed writer of the same file left is
    removed. ``mode``: the permissions, whatever the umask; None for those of the file that is replaced, its access
    list and attributes too, or of any new file. The owner stays the same as far as the system lets us. OSError,
    before anything is written, for what ``place_of`` refuses.
    """
    place = place_of(path)
    sweep(place.parent, f"{_prefix(place)}*.tmp")
    before = place.stat() if place.exists() else None
    like = before if mode is None else None
    if like is not None:
        mode = stat.S_IMODE(like.st_mode)
    temporary, descriptor = _create_beside(place, 0o666 if mode is None else OWN)
    try:
        yield temporary
        if before is not None:
            _give(temporary, before)
        if like is not None:
            _copy_attributes(place, temporary)
        if mode is not None:
            temporary.chmod(mode)
        os.fsync(descriptor)
        if fcntl is None:  # what is open can't be moved there
            os.close(descriptor)
            descriptor = -1
        temporary.replace(place)
    except BaseException:
        _close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    _close(descriptor)
    sync_directory(place.parent)


def place_of(path: str | Path) -> Path:
    """Where a file of that name is to be written: at the end of its links, so that the links stay.

    OSError unless nothing is there or a regular file that may be written: a directory, a device, a pipe or a socket
    is never replaced.
    """
    place = Path(os.path.realpath(path))
    try:
        found = place.lstat().st_mode
    except FileNotFoundError:
        return place
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
    if stat.S_ISLNK(found):
        raise OSError(errno.ELOOP, "its links lead in a circle", str(path))
    if not stat.S_ISREG(found):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket and not a file", str(path))
    # To be replaced it need not be writable; but whoever protects a file wants to keep it. Root may write all.
    if not found & 0o222 or not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected", str(path))
    return place


def sweep(directory: Path, pattern: str = ".*.tmp") -> None:
    """Remove what killed writers left in a directory, and nothing that somebody writes at the moment."""
    for path in directory.glob(pattern):
        with suppress(OSError):  # somebody else's, or gone
            if stat.S_ISREG(path.lstat().st_mode) and not _in_use(path):
                path.unlink()


def _prefix(place: Path) -> str:
    # Short, because the name of the place may be as long as a name can be.
    return f".edge-pse-{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:8]}-"


def _create_beside(place: Path, mode: int) -> tuple[Path, int]:
    """A new file and its descriptor, which holds it for as long as it is open."""
    while True:
        temporary = place.with_name(f"{_prefix(place)}{secrets.token_hex(4)}.tmp")
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, mode)
        except FileExistsError:
            continue
        except BaseException:  # Ctrl-C can come between the file and its descriptor
            temporary.unlink(missing_ok=True)
            raise
        try:
            _hold(descriptor)
            if os.fstat(descriptor).st_nlink:
                return temporary, descriptor
            os.close(descriptor)  # swept before it was held
        except BaseException:
            _close(descriptor)
            temporary.unlink(missing_ok=True)
            raise


def _give(path: Path, before: os.stat_result) -> None:
    """To the owner and the group of the file before: after `sudo` it is still its owner's."""
    if not hasattr(os, "chown"):
        return
    now = path.stat()
    if now.st_gid != before.st_gid:
        with suppress(OSError):
            os.chown(path, -1, before.st_gid)
    if now.st_uid != before.st_uid:
        with suppress(OSError):
            os.chown(path, before.st_uid, -1)


def _copy_attributes(source: Path, target: Path) -> None:
    """Access lists and other extended attributes, where the system has them."""
    if not hasattr(os, "listxattr"):
        return
    with suppress(OSError):
        for name in os.listxattr(source):
            with suppress(OSError):  # some are the system's own
                os.setxattr(target, name, os.getxattr(source, name))


def _hold(descriptor: int) -> None:
    """Show to ``sweep`` that the file is being written."""
    if fcntl is not None:
        with suppress(OSError):  # where nothing can be locked, nothing is swept
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _in_use(path: Path) -> bool:
    if fcntl is None:
        return False
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def sync_directory(directory: Path) -> None:
    """Make a rename in the directory survive a power cut, where the system can do that."""
    # The file is in its place already: an error here is none of the writer's.
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)
