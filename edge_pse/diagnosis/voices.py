"""The voices: whether the profiles are private, whole, and for this model."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge_pse import targets
from edge_pse.diagnosis.finding import Finding, fail, ok, warn
from edge_pse.errors import ModelError, ProfileError
from edge_pse.profiles import ProfileStore, folder

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def profiles(store: ProfileStore | None = None) -> Finding:
    """Whether nobody else can read or replace the profiles, and each of them works with the model of this machine."""
    try:
        store = store or ProfileStore()
        return _private(store) or _usable(store)
    except ProfileError as error:
        return fail(str(error), "")
    except OSError as error:
        return fail(
            f"Can't look at the profiles: {error.strerror}.", "Set EDGE_PSE_HOME to a folder of your own."
        )


def _private(store: ProfileStore) -> Finding | None:
    """What is wrong with the folder, or all there is to say before it is made; None if it is as it should be."""
    root = store.root
    if not root.exists():
        above = next(above for above in root.absolute().parents if above.exists())
        if not _may(above, os.W_OK | os.X_OK):
            return fail(
                f"{root} can't be made: this user may not write in {above}.",
                "Set EDGE_PSE_HOME to a folder of your own.",
            )
        return ok(f"None yet; they will lie in {root}. To make one: edge-pse enroll")
    if not _may(root, os.R_OK | os.W_OK | os.X_OK):
        return fail(f"{root} can't be read and written by this user.", f"sudo chown -R $USER {root}")
    files = [path for path in root.iterdir() if path.is_file()]
    shared = [path.name for path in files if path.stat().st_mode & _OTHERS]
    if shared:
        return fail(
            f"Others can read what is in {root}: {_few(shared)}.", f"chmod 700 {root}; chmod 600 {root}/*"
        )
    if root.stat().st_mode & _OTHERS:
        return warn(f"Others can see the names of the profiles in {root}.", f"chmod 700 {root}")
    folder.close_to_others(root, writing=True)
    return None


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _usable(store: ProfileStore) -> Finding:
    unusable = _unusable(store)
    if unusable:
        return warn(f"Not usable here: {_few(unusable)}.", "Enroll again: edge-pse enroll NAME --replace")
    return ok(f"{len(store.list())} in {store.root}, readable by this user alone.")


def _unusable(store: ProfileStore) -> list[str]:
    """Names of those that are damaged or made with another model, and why."""
    try:
        profiles_of = targets.choose().settings.load_model().contract.profiles_of
    except ModelError:
        profiles_of = None  # another check says so
    reasons = []
    for name in store.list():
        try:
            profile = store.load(name)
        except ProfileError:
            reasons.append(f"{name} (damaged)")
            continue
        if profiles_of not in (None, profile.model_id):
            reasons.append(
                f"{name} (made with {profile.model_id}, the model here takes those of {profiles_of})"
            )
    return reasons


def _few(names: list[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
