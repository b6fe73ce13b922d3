"""Takes profiles in use again when another program has changed them on the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_pse.enhancer import Enhancer
from edge_pse.errors import EdgePseError
from edge_pse.profiles import Profile, ProfileStore

_LOOK_S = 0.2


class ProfileWatch:
    """Looks after the profiles of a stream, as long as it is entered; says what has become of them.

    What is damaged, deleted or of another model leaves the stream with the profiles that it has. Personal weights that
    come, change or go are taken up alike. ``load`` gives a profile as the stream takes it, with or without them.
    """

    def __init__(self, enhancer: Enhancer, load: Callable[[str], Profile], say: Callable[[str], None]):
        self._enhancer, self._load, self._say = enhancer, load, say
        self._watched: dict[str, _Watched] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="profile watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(1.0)  # it may be waiting for a disk

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            profiles = self._enhancer.profiles
            # Each is looked into once, because it may have changed since it was read.
            self._watched = {p.name: self._watched.get(p.name) or _Watched() for p in profiles}
            for profile in profiles:
                watched = self._watched[profile.name]
                try:
                    self._look(profile, watched)
                except EdgePseError as error:
                    self._tell(f"{error} The voice that is kept stays the one of before.", watched)
                # Whatever it was, the sound goes on, and the next look may be a good one.
                except Exception as error:
                    reason = error or type(error).__name__
                    self._tell(f"Profile {profile.name} can't be looked at: {reason}.", watched)

    def _look(self, profile: Profile, watched: _Watched) -> None:
        state = [_state(path) for path in ProfileStore().files(profile.name)]
        settled, watched.noticed = state == watched.noticed, state
        if not settled or state == watched.seen:
            return
        watched.seen = state
        if state[0] is None:
            self._tell(f"Profile {profile.name} was deleted: its voice is kept until this run ends.", watched)
            return
        changed = self._load(profile.name)
        if _voice(changed) == _voice(profile) and _weights(changed) == _weights(profile):
            watched.trouble = ""
            return
        now = self._enhancer.profiles
        if any(kept is profile for kept in now):  # unless a key has chosen others meanwhile
            watched.trouble = ""
            self._take(changed, profile, now)

    def _take(self, changed: Profile, profile: Profile, now: tuple[Profile, ...]) -> None:
        was_personal = profile in self._enhancer.personal
        self._enhancer.profiles = [changed if kept is profile else kept for kept in now]
        is_personal = changed in self._enhancer.personal
        if _voice(changed) != _voice(profile):
            self._say(f"Profile {profile.name} was changed: the new one is used from here on.")
        elif is_personal:
            self._say(f"Profile {profile.name} has new personal weights: they are used from here on.")
        elif was_personal:
            self._say(f"Profile {profile.name} goes on with general weights: its personal ones are gone.")

    def _tell(self, trouble: str, watched: _Watched) -> None:
        """Once, until something else happens."""
        if trouble != watched.trouble:
            watched.trouble = trouble
            self._say(trouble)


@dataclass
class _Watched:
    """What is known of the files of one profile."""

    seen: object = None
    """What they were like when they were looked into; None before that."""
    noticed: object = None
    """What they were like a moment ago: they are looked into when that lasts, because their writer may be this program,
    which sets the profile itself."""
    trouble: str = ""


def _state(path: Path) -> object:
    """Something that differs after each change of a file; None without one."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def _voice(profile: Profile) -> tuple[str, str]:
    return profile.model_id, profile.id


def _weights(profile: Profile) -> str:
    """Which personal weights can be used with it; empty for none."""
    weights = profile.personal
    return weights.fingerprint if weights is not None and weights.fits(profile) else ""
