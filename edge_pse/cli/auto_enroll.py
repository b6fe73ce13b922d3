"""What ``edge-pse run --auto-enroll`` does beside the stream."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_pse.enhancer import Enhancer, FrameFeatures
from edge_pse.enrollment import AutoEnrollment, Gathered, verify
from edge_pse.errors import EdgePseError, ProfileError
from edge_pse.profiles import Profile, ProfileStore


class StreamEnrollment:
    """Enrolls, or adds to the profile in use, what was gathered from the stream; once, and then it stops.

    ``asks``: whether to wait for ``keep`` when the voice is ready; else it is kept at once. ``microphone``: says what
    the voice is recorded with; empty if unknown. ``bypassed``: says whether the sound passes the network by, so that
    nothing is gathered. Raises ProfileError for a name that is taken by another profile than
    the one in use.
    """

    def __init__(
        self,
        name: str,
        enhancer: Enhancer,
        say: Callable[[str], None],
        asks: bool,
        microphone: Callable[[], str] = str,
        bypassed: Callable[[], bool] = bool,
    ):
        self._store = ProfileStore()
        self._name, self._enhancer, self._say, self._asks = name, enhancer, say, asks
        self._microphone, self._bypassed = microphone, bypassed
        self._refined = next((profile for profile in enhancer.profiles if profile.name == name), None)
        if name in self._store and self._refined is None:
            raise ProfileError(
                f"There is a profile {name!r} already: add --profile {name} to refine it, or choose another name."
            )
        hop_seconds = enhancer.hop_samples / enhancer.sample_rate_hz
        known = self._refined.embedding if self._refined else None
        self._gatherer = AutoEnrollment(hop_seconds, enhancer.model.contract.voice_space, known)
        self._told = False
        self._keeping = threading.Lock()
        self._kept = False
        enhancer.observe(self.add)

    def keep(self) -> None:
        """At the wish of the user: make the profile, or say how far it is."""
        gathered = self._gatherer.gathered()
        if self._kept:
            self._say(f"{self._name} was enrolled in this run already.")
        elif gathered.ready:
            self._keep(gathered)
        elif not self.tell_if_bypassed():
            self._say(self._progress(gathered))

    def tell_if_bypassed(self) -> bool:
        """Say that nothing is gathered, if that is so -> whether it is."""
        bypassed = self._bypassed()
        if bypassed:
            self._say(f"{self._name} is not enrolled while the sound passes as it is: end the bypass.")
        return bypassed

    def add(self, features: FrameFeatures) -> None:
        """One hop more of the stream."""
        if not self._gatherer.add(features) or self._told:
            return
        gathered = self._gatherer.gathered()
        if not gathered.ready:
            return
        self._told = True
        if self._asks:
            self._say(
                f"{gathered.seconds:.0f} s of one voice were heard: press e to keep it as {self._name}."
            )
        else:
            # The stream does not wait for the disk.
            threading.Thread(target=self._keep, args=(gathered,), name="edge-pse enrollment").start()

    def _keep(self, gathered: Gathered) -> None:
        with self._keeping:
            if self._kept:
                return
            try:
                profile = self._write(gathered)
                self._enhancer.observe(None)
                self._gatherer.forget()
                # What is added to has no personal weights, or none that fit.
                others = [other for other in self._enhancer.profiles if other.name != self._name]
                self._enhancer.profiles = [profile.general(), *others]
                self._kept = True
            except EdgePseError as error:
                self._say(str(error))
                return
            done = "Added to" if self._refined else "Enrolled"
            kept = " and ".join(f"that of {other.name}" for other in others)
            kept = f"this voice and {kept} are kept now" if others else "only this voice is kept now"
            self._say(f"{done} {self._name} from {gathered.seconds:.0f} s of talk; {kept}.")

    def _write(self, gathered: Gathered) -> Profile:
        recording = gathered.recording(self._microphone())
        contract = self._enhancer.model.contract

        def added(known: Profile) -> Profile:
            if known.personal is not None and known.personal.fits(known):
                raise ProfileError(
                    f"Nothing was added to {known.name}: its personal weights fit it as it is."
                )
            # What was gathered is near to the profile as it was when this run began.
            changed = self._refined is None or known.id != self._refined.id
            if changed and verify(known, recording, contract.voice_space).answer == "no match":
                raise ProfileError(f"Nothing was added to {known.name}: it is another voice's by now.")
            return known.with_recording(recording, contract.profiles_of)

        if self._refined is not None:
            return self._store.update(self._name, added)
        profile = Profile(self._name, contract.profiles_of, (recording,))
        self._store.create(profile)
        return profile

    def _progress(self, gathered: Gathered) -> str:
        enough = self._gatherer.rule.enough_seconds
        if gathered.seconds < enough:
            return (
                f"{gathered.seconds:.0f} s of one voice were heard, {enough:.0f} s are needed: keep talking."
            )
        return "Several voices were heard, none of them most of the time: keep talking when nobody else does."
