"""The profiles of one user."""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edge_pse import atomic
from edge_pse.errors import EdgePseWarning, ProfileError
from edge_pse.paths import is_file
from edge_pse.profiles import archive, encoding, folder, personal
from edge_pse.profiles.personal import PersonalWeights
from edge_pse.profiles.voice import Profile

SUFFIX = ".profile.json"
_PROFILE = "profile.json"
"""The entry of an exported archive that holds the profile; the others are its personal weights."""

# No separators and no leading dot, so that a name can't leave the directory or hide in it.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")

Names = list[str]  # inside ProfileStore, ``list`` is its method


class ProfileStore:
    """The profiles of one user: a directory of ``NAME.profile.json``, readable by nobody else.

    What networks have learnt of a voice (``Profile.personal``) lies beside it, in ``NAME.personal``.

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
        return _names(files, SUFFIX)

    def left_over(self) -> Names:
        """Names of profiles that somebody has removed or renamed by hand, and whose personal weights are still there.

        They still hold a voice: ``delete`` takes them away. Renamed as the profile was, they are its again.
        """
        try:
            files = [path.name for path in self.root.iterdir()]
        except OSError:
            return []
        return sorted({*_names(files, personal.SUFFIX)} - {*_names(files, SUFFIX)})

    def load(self, name: str, general: bool = False) -> Profile:
        """Read a profile by name, with its personal weights if it has some; ``general``: without them.

        An EdgePseWarning tells of weights that can't be read: the profile then is without.
        """
        profile = self._read(name, general)
        if profile.personal is not None and not profile.personal.fits(profile):
            # Perhaps another program was writing both just now: when it is done, they fit.
            with suppress(ProfileError), folder.locked(self.root, make=False):
                return self._read(name, general)
        return profile

    def _read(self, name: str, general: bool = False) -> Profile:
        path = self._path(name)
        known = self.list()
        if name not in known:
            raise ProfileError(
                f"There is no profile {name!r} in {self.root}; known: {', '.join(known) or 'none'}."
            )
        profile = encoding.read(path)
        # The file's name counts: whoever renames the file renames the profile.
        return dataclasses.replace(profile, name=name, personal=None if general else self._personal(name))

    def files(self, name: str) -> tuple[Path, Path]:
        """Where a profile and its personal weights are, or would be."""
        return self._path(name), self._personal_path(name)

    def save(self, profile: Profile) -> None:
        """Write a profile under its name, in the place of an earlier one and of that one's personal weights."""
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

        Nothing that another program writes is lost: it waits, or is what ``change`` is given. Personal weights that
        ``change`` leaves as they are stay, even if they no longer fit.
        """
        with self._changing(name):
            known = self._read(name)
            changed = dataclasses.replace(change(known), name=name)
            self._write(changed, keep_personal=changed.personal is known.personal)
        return changed

    def delete(self, name: str) -> None:
        """Remove a profile and its personal weights, or such weights alone, see ``left_over``."""
        nothing = ProfileError(f"There is no profile {name!r} in {self.root}; nothing was deleted.")
        if name not in self and name not in self.left_over():
            raise nothing
        with self._changing(name) as path:
            # In this order what a crash leaves is still listed, and can be deleted.
            there = [file for file in (self._personal_path(name), path) if os.path.lexists(file)]
            if not there:
                raise nothing
            try:
                for file in there:
                    file.unlink()
                atomic.sync_directory(self.root)
            except OSError as error:
                raise ProfileError(
                    f"Can't delete profile {name!r} in {self.root}: {error.strerror}."
                ) from error

    def export(self, name: str, path: str | Path, general: bool = False) -> None:
        """Write a profile to a file, to take it to another device; an earlier export of it is replaced, no other file,
        and none that holds what the new one does not: personal weights, or other recordings.

        Personal weights go with it unless ``general`` is set, or unless they no longer fit. Where they can't be read,
        it is a ProfileError: an earlier export may hold what is left of them.
        """
        path = Path(path)
        profile = self.load(name)
        content = encoding.encode(profile)
        if not general and profile.personal is None and os.path.lexists(self._personal_path(name)):
            raise ProfileError(
                f"The personal weights of {name!r} can't be read, so nothing was written: export the general profile "
                "alone (--general), or have the voice learnt again."
            )
        if profile.personal is not None and (general or not profile.personal.fits(profile)):
            profile = profile.general()
        if profile.personal is not None:
            content = archive.pack({_PROFILE: content, **profile.personal.entries()})
        self._check_export(path, profile)
        try:
            atomic.write(path, content, mode=atomic.OWN)
        except OSError as error:
            raise _cannot_write(name, path, error) from error

    def _check_export(self, path: Path, profile: Profile) -> None:
        """ProfileError where an export would take the place of a profile of the store, or of what is not in it.

        An earlier export of the same profile has recordings of it, whatever its name.
        """
        place = Path(os.path.realpath(path))
        if place.parent == Path(os.path.realpath(self.root)):
            raise ProfileError(
                f"{path} is among the profiles themselves, and nothing was changed: export to another folder."
            )
        if is_file(place) and place.stat().st_size:
            try:
                earlier = _exported(place)
            except ProfileError:
                raise ProfileError(
                    f"{path} is there already, is no exported profile, and stays as it is: choose another name."
                ) from None
            if not any(profile.has(recording) for recording in earlier.recordings):
                whose = f"the voice of {earlier.name[:80]!r}"
                if earlier.name == profile.name:
                    whose = "another voice of that name"
                raise ProfileError(
                    f"{path} is there already, holds {whose}, and stays as it is: choose another name, or delete that "
                    "file first."
                )
            if earlier.personal is not None and profile.personal is None:
                raise ProfileError(
                    f"{path} is there already, holds personal weights, which would be lost, and stays as it is: choose "
                    "another name, or delete that file first."
                )

    def import_(self, path: str | Path, name: str | None = None) -> Profile:
        """Take in an exported profile, under its own name or another; ProfileError if that name is taken."""
        profile = _exported(Path(path))
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

    def _write(self, profile: Profile, keep_personal: bool = False) -> None:
        """Both files; a crash between them leaves the new profile beside weights that fit it or are not used."""
        path, beside = self._path(profile.name), self._personal_path(profile.name)
        content = encoding.encode(profile)
        weights = None if profile.personal is None else profile.personal.encode()
        try:
            with ExitStack() as places:
                if weights is not None and not keep_personal:
                    # Written before, so that a disk that is full changes neither; in its place after the profile.
                    places.enter_context(atomic.replacing(beside, mode=atomic.OWN)).write_bytes(weights)
                atomic.write(path, content, mode=atomic.OWN)
        except OSError as error:
            raise _cannot_write(profile.name, self.root, error) from error
        if weights is None and not keep_personal:
            try:
                beside.unlink(missing_ok=True)
            except OSError as error:
                raise ProfileError(
                    f"Profile {profile.name!r} was written, but not all is gone of the one before: {beside} can't be "
                    f"removed ({error.strerror}). Remove it by hand."
                ) from error

    def _personal(self, name: str) -> PersonalWeights | None:
        path = self._personal_path(name)
        if not os.path.lexists(path):
            return None
        try:
            return PersonalWeights.decode(encoding.bytes_of(path, archive.MOST_BYTES))
        except ProfileError as error:
            warnings.warn(
                f"Profile {name!r} goes without its personal weights. {error}", EdgePseWarning, stacklevel=4
            )
            return None

    def _personal_path(self, name: str) -> Path:
        return self.root / f"{name}{personal.SUFFIX}"

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ProfileError(
                f"{name[:80]!r} is no name for a profile: use up to 64 letters (a-z), digits, dots, dashes and "
                "underscores, without a dot in front."
            )
        return self.root / f"{name}{SUFFIX}"


def _names(files: Names, suffix: str) -> Names:
    """Of the files that end so, in alphabetical order."""
    names = (file.removesuffix(suffix) for file in files if file.endswith(suffix))
    return sorted(name for name in names if _NAME.fullmatch(name))


def _exported(path: Path) -> Profile:
    """The profile in an exported file of either kind; ProfileError unless all that it holds is whole and fits."""
    content = encoding.bytes_of(path, archive.MOST_BYTES)
    if not content.startswith(archive.SIGNATURE):
        return encoding.decode(content, path)
    try:
        entries = archive.unpack(content)
        profile = encoding.decode(entries.pop(_PROFILE), path)
    except (ValueError, KeyError) as error:
        reason = str(error) if isinstance(error, ValueError) else "there is no profile in it"
        raise ProfileError(f"{path} can't be used: {reason}. Export and copy it again.") from None
    try:
        weights = PersonalWeights.of_entries(entries)
    except ProfileError as error:
        raise ProfileError(f"{path} can't be used. {error}") from error
    if not weights.fits(profile):
        raise ProfileError(f"{path} holds the personal weights of another voice: export and copy it again.")
    return dataclasses.replace(profile, personal=weights)


def _cannot_write(name: str, where: Path, error: OSError) -> ProfileError:
    return ProfileError(
        f"Can't write profile {name!r} to {where}: {error.strerror}. Nothing was changed; make room or "
        "choose another place and try again."
    )
