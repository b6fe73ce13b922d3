"""What can go wrong, one class for each thing a user can put right.

The text of every error is for the person in front of the machine: what is wrong and what to do about it.
"""


class EdgePseError(Exception):
    """Anything that this library refuses, with a sentence that says what to do."""


class AudioError(EdgePseError):
    """Sound can't be had or used: samples of a wrong type or shape, not finite, no file of audio, no such device."""


class ModelError(EdgePseError):
    """The model file is missing, damaged, made for something else, or has no runtime here."""


class ProfileError(EdgePseError):
    """A voice profile can't be read, written or used with this model."""


class EnrollmentError(EdgePseError):
    """The recording would not make a good profile."""


class PersonalisationError(EdgePseError):
    """Personal weights can't be learnt: the learner, PyTorch or memory is missing, or the recordings will not do."""


class AssistantError(EdgePseError):
    """The proxy of an assistant can't listen where it should, or its service behind has no proper address."""


class ControlError(EdgePseError):
    """No stream runs that could be controlled, or it refuses what it is asked for."""


class ThreadError(EdgePseError):
    """Something that one thread at a time may use was called into the middle of its work."""


class TargetError(EdgePseError):
    """There are no settings of that name."""


class SoundServerError(AudioError):
    """The sound server said nothing, or nothing that can be read; what was last known of it still holds."""

    def __init__(self, question: str):
        super().__init__(
            f"The sound server does not answer (pactl {question}): wait until it is less busy, or restart it "
            "(systemctl --user restart pipewire pipewire-pulse, or pulseaudio -k)."
        )


class StreamHungError(EdgePseError):
    """PortAudio did not come back: nothing but a new process helps.

    PortAudio 19.6 spins in its own thread for ever when an ALSA device vanishes, and closing the stream, or
    even leaving Python the usual way, may then wait for that thread. No AudioError: whoever waits for a device to
    come back would wait for ever.
    """


class FfmpegError(Exception):
    """ffmpeg finds no sound in a file, or something wrong with it; its text is a part of a sentence.

    Never seen outside of ``edge_pse.audio.files``, where it becomes an AudioError.
    """


class EdgePseWarning(UserWarning):
    """Something that goes on, but not as it should; with a sentence for the person in front of the machine."""
