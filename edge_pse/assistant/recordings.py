"""What was heard and what was sent on, in files, to find out what goes wrong; only for whoever asks for it."""

from __future__ import annotations

import itertools
import os
import stat
import wave
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from edge_pse import atomic
from edge_pse.assistant.sound import WIDTH, Format
from edge_pse.errors import AssistantError

MOST_COMMANDS = 100
"""That are kept; the oldest go first."""
_HEARD, _SENT = "-heard.wav", "-sent.wav"
_UNSIGNED = bytes(code ^ 0x80 for code in range(256))
"""Single bytes have a sign on the wire, and none in a WAV file."""


class Recordings:
    """A folder of commands that its owner alone can read. ``say`` hears of what can't be written.

    Raises AssistantError for a folder that can't be made, or that others may look into.
    """

    def __init__(self, folder: Path, say: Callable[[str], object]):
        self._folder, self._say = folder, say
        self._numbers = itertools.count(1)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.stat()
        except OSError as error:
            raise AssistantError(
                f"Can't record to {folder} ({error.strerror}): give another folder."
            ) from None
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) and os.name == "posix":
            # One that others write into, or that is somebody else's, can't be closed to them.
            own = found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH
            closing = f"chmod 700 {folder}, or give" if own else "give"
            raise AssistantError(
                f"Others may look into {folder}: {closing} a folder for the recordings alone."
            )

    def begin(self, form: Format, sent_rate_hz: int) -> Recording:
        """For the next command; what of it can't be written is not."""
        self._make_room()
        name = f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}-{next(self._numbers):04d}"
        return Recording(self._folder / name, form, sent_rate_hz, self._say)

    def _make_room(self) -> None:
        with suppress(OSError):
            heard = sorted(self._folder.glob(f"*{_HEARD}"))
            for path in heard[: max(0, len(heard) - MOST_COMMANDS + 1)]:
                path.unlink(missing_ok=True)
                path.with_name(path.name.replace(_HEARD, _SENT)).unlink(missing_ok=True)


class Recording:
    """Two files of one command; the first error ends it, and is told. One thread at a time may use it."""

    def __init__(self, place: Path, form: Format, sent_rate_hz: int, say: Callable[[str], object]):
        self._place, self._say, self._unsigned = place, say, form.width == 1
        self._heard = self._sent = None
        try:
            self._heard = _begun(place, _HEARD, form.channels, form.width, form.rate_hz)
            self._sent = _begun(place, _SENT, 1, WIDTH, sent_rate_hz)
        except OSError as error:
            self._end(error)

    def add(self, heard: bytes, sent: bytes) -> None:
        """What came of the client, and what went to the service."""
        if self._heard is None or self._sent is None:
            return
        try:
            self._heard.writeframesraw(heard.translate(_UNSIGNED) if self._unsigned else heard)
            self._sent.writeframesraw(sent)
        except OSError as error:
            self._end(error)

    def close(self) -> None:
        """The end of the command."""
        files, self._heard, self._sent = (self._heard, self._sent), None, None
        for file in files:
            if file is not None:
                with suppress(OSError):
                    file.close()

    def _end(self, error: OSError) -> None:
        self.close()
        self._say(
            f"The recording {self._place.name} is not complete ({error.strerror}); the command goes on."
        )


def _begun(place: Path, suffix: str, channels: int, width: int, rate_hz: int) -> wave.Wave_write:
    descriptor = os.open(
        place.with_name(place.name + suffix), os.O_WRONLY | os.O_CREAT | os.O_EXCL, atomic.OWN
    )
    file = wave.open(os.fdopen(descriptor, "wb"), "wb")  # noqa: SIM115
    file.setnchannels(channels)
    file.setsampwidth(width)
    file.setframerate(rate_hz)
    return file
