"""Takes the profile in use again when another program has changed it on the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from edge_pse.enhancer import Enhancer
from edge_pse.errors import EdgePseError
from edge_pse.profiles import SUFFIX, Profile, ProfileStore

_LOOK_S = 0.2


class ProfileWatch:
    """Looks after the profile of a stream, as long as it is entered; says what has become of it.

    What is damaged, deleted or of another model leaves the stream with the profile that it has.
    """

    def __init__(self, enhancer: Enhancer, say: Callable[[str], None]):
        self._enhancer, self._say = enhancer, say
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
        store = ProfileStore()
        state = _state(store.root / f"{profile.name}{SUFFIX}")
        if profile.name != self._name:
            # It is looked into once, because it may have changed since it was read.
            self._name, self._seen, self._trouble = profile.name, "nothing yet", ""
        settled, self._noticed = state == self._noticed, state
        if not settled or state == self._seen:
            return
        self._seen = state
        if state is None:
            self._tell(f"Profile {profile.name} was deleted: its voice is kept until this run ends.")
            return
        changed = store.load(profile.name)
        if _same(changed, profile):
            self._trouble = ""
            return
        if self._enhancer.profile is profile:  # unless a key has chosen another one meanwhile
            self._enhancer.profile = changed
            self._trouble = ""
            self._say(f"Profile {profile.name} was changed: the new one is used from here on.")

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


def _same(one: Profile, other: Profile) -> bool:
    return one.model_id == other.model_id and np.array_equal(one.embedding, other.embedding)
