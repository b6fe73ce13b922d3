"""A profile from commands: what is spoken to a satellite, until there is enough, by the rules of every enrollment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_pse.enrollment import LiveEnrollment, verify
from edge_pse.enrollment.live import NO_SOUND, OTHER_VOICE, TOO_LOUD, TOO_NOISY, TOO_QUIET
from edge_pse.errors import EdgePseError, EnrollmentError
from edge_pse.model import Model
from edge_pse.profiles import Profile, ProfileStore
from edge_pse.samples import at_rate
from edge_pse.spectral import Samples, next_whole_hop_rate

ENROLLED_S = 10.0
"""Of speech, as at a microphone."""
_REFUSED = (NO_SOUND, TOO_LOUD, TOO_QUIET, TOO_NOISY, OTHER_VOICE)
"""Advice with which a command is not taken: a bad one would spoil the good ones."""
_MICROPHONE = "satellite"
"""What a profile calls it."""
_LEAST_S = 0.3  # of new speech in a command that is taken


class CommandEnrollment:
    """Commands of one voice, one after the other, to a profile: a new one, or one that is there and gets a recording.

    ``wanted_seconds``: of speech. ``on_done`` hears of the profile. Any thread may add; one at a time does. Raises
    ProfileError for a profile of another model, and EnrollmentError for one that nothing should be added to.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        store: ProfileStore,
        wanted_seconds: float,
        on_done: Callable[[Profile], object],
    ):
        self._name, self._store, self._wanted, self._on_done = name, store, wanted_seconds, on_done
        self._model = model.profile_network()
        if name in store:
            known = store.load(name)
            known.check_model(self._model.contract.profiles_of)
            if known.personal is not None and known.personal.fits(known):
                raise EnrollmentError(
                    f"A network has learnt {name} as it is, and what was learnt would no longer fit: give another "
                    f"name, or add to it by edge-pse enroll {name} --add."
                )
        self._taken: list[Samples] = []
        self._rate_hz = 0
        """That of the first one taken, or the next one above it that the network takes."""
        self._speech_seconds = 0.0
        self._adding = threading.Lock()
        self.done = False
        """Whether the profile is stored; nothing is taken any more."""

    def add(self, mono: Samples, rate_hz: int) -> str:
        """A command, (n,) float32 -> what became of it, in a sentence for the one who spoke."""
        with self._adding:
            if self.done:
                return f"{self._name} is enrolled already."
            try:
                return self._add(mono, rate_hz)
            except EdgePseError as error:
                return str(error)

    def _add(self, mono: Samples, rate_hz: int) -> str:
        if not self._taken:
            self._rate_hz = next_whole_hop_rate(rate_hz)
        command = at_rate(mono, rate_hz, self._rate_hz)
        enrollment = LiveEnrollment(self._model, self._rate_hz, self._wanted)
        for taken in (*self._taken, command):
            enrollment.add(taken)
        enrollment.finish()
        progress = enrollment.progress()
        if progress.advice in _REFUSED:
            return f"That was not taken. {progress.advice}"
        if progress.speech_seconds < self._speech_seconds + _LEAST_S:
            return "That was not taken, because hardly any speech was in it. Say something else."
        self._taken.append(command)
        self._speech_seconds = progress.speech_seconds
        if progress.missing_seconds and not progress.finished:
            said_s = f"{progress.speech_seconds:.0f} of {self._wanted:.0f} seconds"
            return f"That is {said_s} of {self._name}. Say something else."
        return self._store_it(enrollment)

    def _store_it(self, enrollment: LiveEnrollment) -> str:
        # What does not make a profile now never will: the next command begins anew.
        self._taken, self._speech_seconds = [], 0.0
        recording = enrollment.recording(_MICROPHONE)
        profiles_of, space = self._model.contract.profiles_of, self._model.contract.voice_space

        def added(known: Profile) -> Profile:
            if verify(known, recording, space).answer == "no match":
                raise EnrollmentError(
                    f"This does not sound like {known.name}, so nothing was added. Begin again, or enroll another name."
                )
            return known.with_recording(recording, profiles_of)

        if self._name in self._store:
            profile = self._store.update(self._name, added)
        else:
            profile = Profile(self._name, profiles_of, (recording,))
            self._store.create(profile)
        self.done = True
        self._on_done(profile)
        return f"Done: {self._name} is enrolled with {recording.speech_seconds:.0f} seconds of speech."
