"""The profiles of one user."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_pse import atomic
from edge_pse.errors import ProfileError
from edge_pse.profiles import encoding, folder
from edge_pse.profiles.voice import Profile

SUFFIX = ".profile.json"

# No separators and no leading dot, so that a name can't leave the directory or hide in it.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")

Names = list[str]  # inside ProfileStore, ``list`` is its method


class ProfileStore:
    """The profiles of one user: a directory of ``NAME.profile.json``, readable by nobody else.

    ``root``: the directory, made on first use. Without it ``$EDGE_PSE_HOME/profiles``, or ``profiles`` in the
    user's data directory (``~/.local/share/edge-pse`` on Linux). Writes are atomic: after a crash or on a
    full disk a profile is the old one or the new one, whole. Whoever changes a profile has the directory for itself
    meanwhile, so that of two programs at once both do what they say. Every failure is a ProfileError.
    """

    def __init__(self, root: Path | None = None):
        self.root = folder.default() if root is None else Path(root)

    def __contains__(self, name: str) -> bool:
        """Whether there is a profile of that name; ProfileError if there can be none."""
        self._path(name)
        return name in self.list()

    def list(self) -> Names:
        """Names of all profiles, in alphabetical order."""
        folder.close_to_others(self.root, writing=False)
        # A profile that a killed writer did not bring to its place is one that nobody would delete.
        atomic.sweep(self.root)
        try:
            files = [path.name for path in self.root.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ProfileError(f"Can't look into {self.root}: {error.strerror}.") from error
        names = (name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX))
        return sorted(name for name in names if _NAME.fullmatch(name))

    def load(self, name: str) -> Profile:
        """Read a profile by name."""
        path = self._path(name)
        known = self.list()
        if name not in known:
            raise ProfileError(
                f"There is no profile {name!r} in {self.root}; known: {', '.join(known) or 'none'}."
            )
        # The file's name counts: whoever renames the file renames the profile.
        return dataclasses.replace(encoding.read(path), name=name)

    def save(self, profile: Profile) -> None:
        """Write a profile under its name, in the place of an earlier one."""
        with self._changing(profile.name):
            self._write(profile)

    def create(self, profile: Profile) -> None:
        """Write a profile under a name that is free; ProfileError if it is taken."""
        with self._changing(profile.name) as path:
            if os.path.lexists(path):
                raise ProfileError(
                    f"There is a profile {profile.name!r} already, which was left as it is: take another name, or "
                    "delete that one first."
                )
            self._write(profile)

    def update(self, name: str, change: Callable[[Profile], Profile]) -> Profile:
        """Read a profile, write what ``change`` makes of it, and give that.

        Nothing that another program writes is lost: it waits, or is what ``change`` is given.
        """
        with self._changing(name):
            changed = dataclasses.replace(change(self.load(name)), name=name)
            self._write(changed)
        return changed

    def delete(self, name: str) -> None:
        """Remove a profile."""
        if name not in self:
            raise ProfileError(f"There is no profile {name!r} in {self.root}; nothing was deleted.")
        with self._changing(name) as path:
            try:
                path.unlink()
                atomic.sync_directory(self.root)
            except FileNotFoundError:
                raise ProfileError(
                    f"There is no profile {name!r} in {self.root}; nothing was deleted."
                ) from None
            except OSError as error:
                raise ProfileError(
                    f"Can't delete profile {name!r} in {self.root}: {error.strerror}."
                ) from error

    def export(self, name: str, path: str | Path) -> None:
        """Write a profile to a file, to take it to another device; an existing file is replaced."""
        path = Path(path)
        content = encoding.encode(self.load(name))
        try:
            atomic.write(path, content, mode=atomic.OWN)
        except OSError as error:
            raise _cannot_write(name, path, error) from error

    def import_(self, path: str | Path, name: str | None = None) -> Profile:
        """Take in an exported profile, under its own name or another; ProfileError if that name is taken."""
        profile = encoding.read(Path(path))
        if name is not None:
            profile = dataclasses.replace(profile, name=name)
        self.create(profile)
        return profile

    @contextmanager
    def _changing(self, name: str) -> Iterator[Path]:
        """Nobody else changes a profile meanwhile; gives the path of this one."""
        path = self._path(name)
        try:
            folder.make(self.root)
        except OSError as error:
            raise _cannot_write(name, self.root, error) from error
        folder.close_to_others(self.root, writing=True)
        with folder.locked(self.root):
            atomic.sweep(self.root)
            yield path

    def _write(self, profile: Profile) -> None:
        path = self._path(profile.name)
        try:
            atomic.write(path, encoding.encode(profile), mode=atomic.OWN)
        except OSError as error:
            raise _cannot_write(profile.name, self.root, error) from error

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ProfileError(
                f"{name[:80]!r} is no name for a profile: use up to 64 letters (a-z), digits, dots, dashes and "
                "underscores, without a dot in front."
            )
        return self.root / f"{name}{SUFFIX}"


def _cannot_write(name: str, where: Path, error: OSError) -> ProfileError:
    return ProfileError(
        f"Can't write profile {name!r} to {where}: {error.strerror}. Nothing was changed; make room or "
        "choose another place and try again."
    )
