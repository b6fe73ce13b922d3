"""Audio files that are written in blocks and come to their place whole, so that a file may take its own place."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from edge_pse import atomic
from edge_pse.audio.files import chunks, flac_blocks, id3, ogg_pages, vorbis_comments
from edge_pse.audio.files.pipe_writing import set_tags
from edge_pse.audio.files.reading import AudioReader, reason_of
from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

OTHER_ENDINGS: dict[str, tuple[str, str | None]] = {
    "aif": ("AIFF", None),
    "oga": ("OGG", None),
    "opus": ("OGG", "OPUS"),
}
"""Endings of names that libsndfile knows by another one: format, and the coding if the ending names it."""

_LOSSLESS = ("PCM_", "FLOAT", "DOUBLE")
_RIFF = ("WAV", "WAVEX", "RF64")
_FASTEST_VORBIS_HZ = 200_000
_RATE_TOLERANCE = 0.01
"""Some formats hold a rate roughly: as the time between two samples, or in fewer digits."""

_TRIAL_FRAMES = 1024


class AudioWriter(AbstractContextManager["AudioWriter"]):
    """A new audio file, at the rate of ``source``, that comes to its place when the ``with`` block ends well.

    The ending of the name says the format; the samples are coded as in the source if that fits, and clipped
    to full scale where the coding has one. Title, artist, date and the like are those of the source. Owner,
    permissions and attributes are those of the file that was there before. After an exception nothing is left
    of the new file. Raises AudioError, here, in ``write`` and at the end, if the file can't be written, or if
    there is something else than a file that may be written.
    """

    def __init__(self, path: str | Path, source: AudioReader, channels: int):
        self.path = Path(path)
        self.notes: list[str] = []
        """At the end, what is not as it was before or in the source, a sentence each."""
        form, coding = _coding(self.path, source)
        riff_chunks = source.riff_chunks if form in _RIFF else []
        self._carried = riff_chunks or (source.aiff_chunks if form == "AIFF" else [])
        self._put = {"FLAC": flac_blocks.put, "OGG": ogg_pages.put}.get(form)
        self._blocks = source.comment_blocks if self._put else []
        self._lost = (
            [] if form == "FLAC" else vorbis_comments.names_beyond(source.comment_blocks, form == "OGG")
        )
        if form != "MP3" and id3.has_picture(source.id3):
            self._lost.append("picture")
        # Where the texts of the source are carried along as they are, nothing is left to be set.
        carried = riff_chunks or self._blocks or (form == "MP3" and source.id3)
        self._tags = {} if carried else source.tags
        self._frames = 0
        self._rate_hz = source.sample_rate_hz
        if coding == "VORBIS" and self._rate_hz > _FASTEST_VORBIS_HZ:  # libsndfile falls over it
            raise AudioError(_other_rate(self.path, self._rate_hz))
        with ExitStack() as ending, self._failures():
            self._before = _found(self.path)
            self._temporary = ending.enter_context(atomic.replacing(self.path, mode=None))
            if form != "MP3":  # whose encoder refuses what it has not
                self._check_rate(form, coding, channels)
            opened = (
                self._open(source.id3 or id3.written(self._tags))
                if form == "MP3"
                else native(self._temporary)
            )
            self._file = soundfile.SoundFile(
                opened, "w", self._rate_hz, channels, coding, format=form, closefd=True
            )
            if form != "MP3":
                set_tags(self._file, self._tags)  # what did not fit is told at the end
            self._ending = ending.pop_all()

    def write(self, samples: Samples) -> None:
        """Append samples, (frames, channels) float32."""
        with self._failures():
            self._file.write(samples)
        self._frames += len(samples)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            with suppress(soundfile.LibsndfileError):
                self._file.close()
            self._ending.__exit__(kind, error, traceback)
            return
        with self._failures(), self._ending:
            self._file.close()
            if self._carried:
                chunks.append(self._temporary, self._carried)
            if self._blocks and self._put:
                self._put(self._temporary, self._blocks)
            self._check()
        self._note_changes()

    def _check_rate(self, form: str, coding: str, channels: int) -> None:
        """AudioError, before the sound is made, for a format without the rate, or one whose length is not that of the
        sound: libsndfile does not mind.
        """
        place, rate = native(self._temporary), self._rate_hz
        with soundfile.SoundFile(place, "w", rate, channels, coding, format=form) as trial:
            trial.write(np.zeros((_TRIAL_FRAMES, channels), np.float32))
        with soundfile.SoundFile(place) as written:
            if abs(written.samplerate - rate) > _RATE_TOLERANCE * rate:
                raise AudioError(_other_rate(self.path, rate))
            if written.frames != _TRIAL_FRAMES:
                endings = ".flac" if form == "WAV" else ".wav or .flac"
                raise AudioError(
                    f"Can't write {self.path}: {coding} in {form} comes out at another length; end the name in "
                    f"{endings}. Nothing was changed."
                )

    def _open(self, head: bytes) -> int:
        """The descriptor of the temporary file, behind a head that soundfile doesn't see."""
        descriptor = os.open(self._temporary, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            while head:
                head = head[os.write(descriptor, head) :]
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _check(self) -> None:
        with soundfile.SoundFile(native(self._temporary)) as written:
            # Not every encoder tells of a disk that filled up.
            if written.frames != self._frames:
                raise OSError(errno.ENOSPC, "it came out too short")
            kept = written.copy_metadata()
        lost = [key for key, text in self._tags.items() if kept.get(key, "") != text or "\ufffd" in text]
        lost += self._lost
        if lost:
            self.notes.append(
                f"{self.path} has no place for this of the source, or changed it: {', '.join(lost)}."
            )

    def _note_changes(self) -> None:
        before = self._before
        if before is None:
            return
        after = self.path.stat()
        if before.st_nlink > 1:
            self.notes.append(
                f"{self.path} had another name (a hard link), which keeps the sound of before: it is a file of its "
                "own from here on."
            )
        if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
            self.notes.append(
                f"{self.path} belonged to another user or group; the new file is yours: `chown` gives it back."
            )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Whatever fails in here becomes an AudioError with a sentence."""
        try:
            yield
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioError(
                f"Can't write {self.path} ({reason_of(error)}): {_advice(error)}. Nothing was changed."
            ) from error


def _other_rate(path: Path, rate_hz: int) -> str:
    return (
        f"Can't write {path}: its format has no {rate_hz} samples a second, as the source has; end the name in .wav or "
        ".flac. Nothing was changed."
    )


def native(path: Path) -> str | bytes:
    """A name as soundfile takes it although it is not UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _advice(error: soundfile.LibsndfileError | OSError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return "make room on the disk, or choose another place"
    if number is not None:
        return "choose another place or name"
    return "make room on the disk, or choose another place or format"


def is_written(place: Path) -> bool:
    """Whether the ending of a name says a format that can be written."""
    try:
        format_of(place)
    except AudioError:
        return False
    return True


def format_of(place: Path) -> tuple[str, str | None]:
    """The format that the ending of a name says, and the coding if it says one; AudioError if it does not tell."""
    ending = place.suffix.lower().removeprefix(".")
    form, coding = OTHER_ENDINGS.get(ending, (ending.upper(), None))
    if form not in soundfile.available_formats() or form == "RAW":
        raise AudioError(f"The name {place.name} does not tell the format to write: end it in .wav or .flac.")
    return form, coding


def holds_rate(form: str, coding: str | None, rate_hz: int) -> bool:
    """Whether a file of one channel can have that rate: encoders refuse some, and libsndfile writes down another."""
    content = io.BytesIO()
    try:
        with soundfile.SoundFile(content, "w", rate_hz, 1, coding, format=form) as trial:
            trial.write(np.zeros(_TRIAL_FRAMES, np.float32))
        if form == "MP3":  # whose encoder refuses what it has not, and which is too short here to be read
            return True
        content.seek(0)
        with soundfile.SoundFile(content) as written:
            return bool(abs(written.samplerate - rate_hz) <= _RATE_TOLERANCE * rate_hz)
    except soundfile.LibsndfileError:
        return False


def _coding(place: Path, source: AudioReader) -> tuple[str, str]:
    """Format and coding of a file to be written."""
    form, coding = format_of(place)
    source_form, source_coding = source.coding
    # A lossy coding stays in its kind of file: nobody who asks for WAV means MP3 inside it.
    fits = form == source_form or source_coding.startswith(_LOSSLESS)
    if coding is None and fits and soundfile.check_format(form, source_coding):
        coding = source_coding
    return form, coding or soundfile.default_subtype(form)
