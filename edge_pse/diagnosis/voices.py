"""The voices: whether the profiles are private, whole, and for this model."""

from __future__ import annotations

import os
import stat

from edge_pse import targets
from edge_pse.diagnosis.finding import Finding, fail, ok, warn
from edge_pse.errors import BundleError, ProfileError
from edge_pse.profiles import ProfileStore

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def profiles(store: ProfileStore | None = None) -> Finding:
    """Whether nobody else can read the profiles, and each of them works with the model of this machine."""
    store = store or ProfileStore()
    root = store.root
    if not root.exists():
        return ok(f"None yet; they will lie in {root}. To make one: edge-pse enroll")
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return fail(f"{root} can't be read and written by this user.", f"sudo chown -R $USER {root}")
    shared = [path for path in root.iterdir() if path.is_file() and path.stat().st_mode & _OTHERS]
    if shared:
        return fail(
            f"Others can read what is in {root}: {_few([path.name for path in shared])}.",
            f"chmod 700 {root}; chmod 600 {root}/*",
        )
    unusable = _unusable(store)
    if unusable:
        return warn(f"Not usable here: {_few(unusable)}.", "Enroll again: edge-pse enroll NAME --replace")
    if root.stat().st_mode & _OTHERS:
        return warn(f"Others can see the names of the profiles in {root}.", f"chmod 700 {root}")
    return ok(f"{len(store.list())} in {root}, readable by this user alone.")


def _unusable(store: ProfileStore) -> list[str]:
    """Names of those that are damaged or made with another model, and why."""
    try:
        model_id = targets.choose().settings.load_bundle().contract.model_id
    except BundleError:
        model_id = None  # another check says so
    reasons = []
    for name in store.list():
        try:
            profile = store.load(name)
        except ProfileError:
            reasons.append(f"{name} (damaged)")
            continue
        if model_id not in (None, profile.model_id):
            reasons.append(f"{name} (made with {profile.model_id}, the model here is {model_id})")
    return reasons


def _few(names: list[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
