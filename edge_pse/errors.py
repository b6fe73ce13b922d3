"""What can go wrong, one class for each thing a user can put right.

The text of every error is for the person in front of the machine: what is wrong and what to do about it.
"""


class EdgePseError(Exception):
    """Anything that this library refuses, with a sentence that says what to do."""


class AudioError(EdgePseError):
    """The samples can't be used: wrong type, wrong shape, not finite, not a file of audio."""


class ModelError(EdgePseError):
    """The model file is missing, damaged, made for something else, or has no runtime here."""


class ProfileError(EdgePseError):
    """A voice profile can't be read, written or used with this model."""


class EnrollmentError(EdgePseError):
    """The recording would not make a good profile."""


class ThreadError(EdgePseError):
    """Something that one thread at a time may use was called into the middle of its work."""


class TargetError(EdgePseError):
    """There are no settings of that name."""


class EdgePseWarning(UserWarning):
    """Something that goes on, but not as it should; with a sentence for the person in front of the machine."""
