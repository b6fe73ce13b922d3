"""The folder of the profiles: where it is, that it is its user's alone, and that one command changes it at a time."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from edge_pse.errors import ProfileError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ImportError:
    msvcrt = None  # type: ignore[assignment]

HOME_VARIABLE = "EDGE_PSE_HOME"
LOCK = ".lock"

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# A command holds the lock for a few milliseconds; who waits for so long waits for one that was stopped.
PATIENCE_S = 10.0
_LOOK_S = 0.02
_OPENING = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def default() -> Path:
    """``$EDGE_PSE_HOME/profiles``, or that of the user's data directory; ProfileError where there is no home."""
    folder = named()
    if folder is None:
        try:
            folder = Path(platformdirs.user_data_dir("edge-pse")).expanduser()
        except RuntimeError:
            folder = Path()
        if not folder.is_absolute():
            raise ProfileError(
                f"There is no home directory to keep profiles in: set {HOME_VARIABLE} to a folder, or HOME."
            )
    return folder / "profiles"


def named() -> Path | None:
    """What ``$EDGE_PSE_HOME`` says, None where it says nothing; ProfileError for the home of nobody."""
    home = os.environ.get(HOME_VARIABLE)
    try:
        return Path(home).expanduser() if home else None
    except RuntimeError:  # a folder of that name in the current one is not what was meant
        raise ProfileError(
            f"{HOME_VARIABLE} is {home}, and there is no such home directory: name a folder from / on."
        ) from None


def make(folder: Path) -> None:
    """Make it and what is missing above it, closed to others whatever the umask; OSError if that can't be done."""
    try:
        _make_one(folder)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make(folder.parent)
        _make_one(folder)  # not from the beginning: some systems find nothing where nothing may be made


def _make_one(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise


def close_to_others(folder: Path, writing: bool) -> None:
    """Take the rights of others from a folder of the user's own; ProfileError if it can't be trusted with voices.

    ``writing``: what can't be made private is still read, but nothing is added to it.
    """
    if not hasattr(os, "geteuid"):  # Windows: what lies in a user's folders is private there
        return
    try:
        found = folder.stat()
        open_above = [above for above in {folder.parent, folder.resolve().parent} if _open_to_all(above)]
    except FileNotFoundError:
        return
    except OSError as error:
        raise ProfileError(
            f"Can't look into {folder}: {error.strerror}. Set {HOME_VARIABLE} to a folder of your own."
        ) from error
    me = os.geteuid()
    # Root reads what is anybody's, and everybody what is root's; but what it wrote there, the owner could not read.
    if found.st_uid != me and (writing or 0 not in (me, found.st_uid)):
        raise ProfileError(
            f"The profiles in {folder} belong to another user (number {found.st_uid}): run this as that user, or set "
            f"{HOME_VARIABLE} to a folder of your own."
        )
    if open_above:
        raise ProfileError(
            f"Everybody may write in {open_above[0]}, and so replace the profiles in it: chmod o-w {open_above[0]}"
        )
    if found.st_uid == me and found.st_mode & _OTHERS:
        with suppress(OSError):
            folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
        if writing and folder.stat().st_mode & _OTHERS:
            raise ProfileError(
                f"Others can read {folder}, and that can't be changed there: set {HOME_VARIABLE} to another place."
            )


def _open_to_all(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


@contextmanager
def locked(folder: Path, make: bool = True) -> Iterator[None]:
    """One program at a time; ProfileError if another one does not end, or if nothing can be locked there.

    ``make``: where nobody has ever locked it, too; whoever only reads leaves nothing there.

    The system takes the lock from a process that ends, so that none is left over.
    """
    descriptor = -1
    try:
        try:
            descriptor = _open_lock(folder / LOCK, make)
            _wait_for(descriptor, folder)
        except OSError as error:
            raise ProfileError(
                f"Can't change the profiles in {folder}: {error.strerror}. Nothing was changed; make room or choose "
                "another place and try again."
            ) from error
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _open_lock(path: Path, make: bool) -> int:
    descriptor = os.open(path, _OPENING | (os.O_CREAT if make else 0), 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} in it is not a file")
    return descriptor


def _wait_for(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not _take(descriptor):
        if time.monotonic() > deadline:
            raise ProfileError(
                f"Another program has been changing the profiles in {folder} for {PATIENCE_S:.0f} s: end it if it was "
                "stopped, and try again. Nothing was changed."
            )
        time.sleep(_LOOK_S)


def _take(descriptor: int) -> bool:
    """Try to get the lock; where a system has none, nobody waits."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except (BlockingIOError, PermissionError):
        return False
    return True
