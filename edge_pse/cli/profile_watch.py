"""Takes the profile in use again when another program has changed it on the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_pse.enhancer import Enhancer
from edge_pse.errors import EdgePseError
from edge_pse.profiles import Profile, ProfileStore

_LOOK_S = 0.2


class ProfileWatch:
    """Looks after the profile of a stream, as long as it is entered; says what has become of it.

    What is damaged, deleted or of another model leaves the stream with the profile that it has. Personal weights that
    come, change or go are taken up alike. ``load`` gives a profile as the stream takes it, with or without them.
    """

    def __init__(self, enhancer: Enhancer, load: Callable[[str], Profile], say: Callable[[str], None]):
        self._enhancer, self._load, self._say = enhancer, load, say
        self._name: str | None = None
        self._seen: object = None
        """What the file in use was like when it was looked into."""
        self._noticed: object = None
        """What it was like a moment ago: it is looked into when that lasts, because its writer may be this program,
        which sets the profile itself."""
        self._trouble = ""
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
            try:
                self._look()
            except EdgePseError as error:
                self._tell(f"{error} The voice that is kept stays the one of before.")
            except (
                Exception
            ) as error:  # whatever it was, the sound goes on, and the next look may be a good one
                self._tell(f"The profile in use can't be looked at: {error or type(error).__name__}.")

    def _look(self) -> None:
        profile = self._enhancer.profile
        if profile is None:
            self._name = None
            return
        state = [_state(path) for path in ProfileStore().files(profile.name)]
        if profile.name != self._name:
            # It is looked into once, because it may have changed since it was read.
            self._name, self._seen, self._trouble = profile.name, "nothing yet", ""
        settled, self._noticed = state == self._noticed, state
        if not settled or state == self._seen:
            return
        self._seen = state
        if state[0] is None:
            self._tell(f"Profile {profile.name} was deleted: its voice is kept until this run ends.")
            return
        changed = self._load(profile.name)
        if _voice(changed) == _voice(profile) and _weights(changed) == _weights(profile):
            self._trouble = ""
            return
        if self._enhancer.profile is profile:  # unless a key has chosen another one meanwhile
            self._trouble = ""
            self._take(changed, profile)

    def _take(self, changed: Profile, profile: Profile) -> None:
        were_personal = self._enhancer.personal
        self._enhancer.profile = changed
        if _voice(changed) != _voice(profile):
            self._say(f"Profile {profile.name} was changed: the new one is used from here on.")
        elif self._enhancer.personal:
            self._say(f"Profile {profile.name} has new personal weights: they are used from here on.")
        elif were_personal:
            self._say(f"Profile {profile.name} goes on with general weights: its personal ones are gone.")

    def _tell(self, trouble: str) -> None:
        """Once, until something else happens."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._say(trouble)


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
