"""Audio files in any format of libsndfile, read and written in blocks.

A file is written beside its place and moved there when it is whole, so that an error, a full disk or Ctrl-C
leaves what was there before, and a file may take its own place.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from edge_pse.channels import Selection, choose_in, named
from edge_pse.errors import AudioError
from edge_pse.samples import checked_samples
from edge_pse.spectral import Samples

MIN_SAMPLE_RATE_HZ = 4_000
"""Lower rates hold no speech that could be understood."""
MAX_SAMPLE_RATE_HZ = 768_000
"""The fastest converters; beyond it the header of the file is wrong."""

# Samples of all channels in a block: a second or so of ordinary audio, and never much memory.
_BLOCK_SAMPLES = 1 << 16

# Endings of names that libsndfile knows by another one: format, and the coding if the ending names it.
_ENDINGS = {"aif": ("AIFF", None), "oga": ("OGG", None), "opus": ("OGG", "OPUS")}

_LOSSLESS = ("PCM_", "FLOAT", "DOUBLE")


class AudioReader(AbstractContextManager["AudioReader"]):
    """An audio file, opened for reading from its beginning to its end, once.

    Raises AudioError, here and in ``blocks``, with a sentence on what is wrong with the file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file = _open(self.path)
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int = self._file.frames
        """Samples of each channel according to the header; compressed files may hold a few more or less."""
        if not MIN_SAMPLE_RATE_HZ <= self.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            self._file.close()
            raise AudioError(
                f"{self.path} claims {self.sample_rate_hz} samples a second, which can't be speech: "
                f"give a recording of {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz."
            )

    @property
    def coding(self) -> tuple[str, str]:
        """Names of the file's format and of the coding of its samples, as soundfile has them."""
        return self._file.format, self._file.subtype

    def blocks(self) -> Iterator[Samples]:
        """The samples from here to the end, (frames, channels) float32, full scale -1 to 1, a part at a time.

        Every sample is finite and of a sensible size. A file without samples is an AudioError.
        """
        size = max(1, _BLOCK_SAMPLES // self.channels)
        frames_read = 0
        while True:
            try:
                block = self._file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                seconds = frames_read / self.sample_rate_hz
                raise AudioError(
                    f"{self.path} is damaged {seconds:.1f} s from its start ({_reason(error)}): "
                    "copy it again, or cut that part out."
                ) from error
            if not len(block):
                break
            frames_read += len(block)
            yield self._checked(block)
        if not frames_read:
            raise AudioError(f"{self.path} holds no sound, its length is zero: record it again.")

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _checked(self, block: Samples) -> Samples:
        try:
            return checked_samples(block)
        except AudioError as error:
            raise AudioError(f"{self.path} can't be used. {error}") from error


def select_channels(path: str | Path, channel: int | None = None, far_end: bool = False) -> Selection:
    """The channels of a file that become one: the one named, counted from 1, or see ``channels.choose_in``."""
    with AudioReader(path) as reader:
        if channel is not None:
            try:
                return named(channel, reader.channels)
            except AudioError as error:
                raise AudioError(f"{path} can't be used. {error}") from error
        # One channel needs no look at its samples.
        blocks = reader.blocks() if reader.channels > 1 else ()
        return choose_in(blocks, reader.channels, reader.sample_rate_hz, far_end)


def read_recordings(
    paths: Sequence[str | Path], max_seconds: float, channel: int | None = None
) -> tuple[Samples, int]:
    """Whole files, one after the other -> samples, (frames, channels) float32, and their rate in Hz.

    A single file keeps its channels, for whoever chooses among them. Of several, and where ``channel`` names
    one (counted from 1), each file is brought to one channel by itself, because each may have the voice in
    another one; and to the rate of the first file. AudioError if a file can't be used, or if it is longer
    than ``max_seconds``, before it fills the memory.
    """
    recordings = []
    for path in paths:
        samples, rate = _read_whole(path, max_seconds)
        if channel is not None or len(paths) > 1:
            samples = select_channels(path, channel).of(samples)[:, None]
        recordings.append((samples, rate))
    first_rate = recordings[0][1]
    alike = [
        samples if rate == first_rate else soxr.resample(samples, rate, first_rate)
        for samples, rate in recordings
    ]
    return np.concatenate(alike), first_rate


class AudioWriter(AbstractContextManager["AudioWriter"]):
    """A new audio file, at the rate of ``source``, that comes to its place when the ``with`` block ends well.

    The ending of the name says the format; the samples are coded as in the source if that fits, and clipped
    to full scale where the coding has one. The permissions are those of the file that was there before.
    After an exception nothing is left of the new file. Raises AudioError, here, in ``write`` and at the end,
    if the file can't be written.
    """

    def __init__(self, path: str | Path, source: AudioReader, channels: int):
        self.path = Path(path)
        # Through a link, so that the file it points at is renewed and not the link replaced.
        self._place = self.path.resolve()
        form, coding = _coding(self._place, source)
        self._temporary = _create_beside(self._place)
        self._frames = 0
        rate = source.sample_rate_hz
        try:
            with self._failures():
                self._file = soundfile.SoundFile(self._temporary, "w", rate, channels, coding, format=form)
        except AudioError:
            self._temporary.unlink()
            raise

    def write(self, samples: Samples) -> None:
        """Append samples, (frames, channels) float32."""
        with self._failures():
            self._file.write(samples)
        self._frames += len(samples)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            with self._failures():
                self._file.close()
                if kind is None:
                    self._put_in_place()
        finally:
            self._temporary.unlink(missing_ok=True)

    def _put_in_place(self) -> None:
        # Not every encoder tells of a disk that filled up.
        if soundfile.info(self._temporary).frames != self._frames:
            raise OSError(errno.ENOSPC, "it came out too short")
        _force_to_disk(self._temporary)
        if self._place.exists():
            shutil.copymode(self._place, self._temporary)
        self._temporary.replace(self._place)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Whatever fails in here becomes an AudioError with a sentence."""
        try:
            yield
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioError(
                f"Can't write {self.path} ({_reason(error)}): make room on the disk, or choose another place "
                "or format. Nothing was changed."
            ) from error


def _read_whole(path: str | Path, max_seconds: float) -> tuple[Samples, int]:
    blocks, frames = [], 0
    with AudioReader(path) as reader:
        for block in reader.blocks():
            frames += len(block)
            if frames > max_seconds * reader.sample_rate_hz:
                raise AudioError(
                    f"{path} is longer than {max_seconds / 60:.0f} minutes: cut out one minute of the voice."
                )
            blocks.append(block)
    return np.concatenate(blocks), reader.sample_rate_hz


class _SequentialFile(soundfile.SoundFile):
    """A file that is only read onwards.

    soundfile seeks to where it already is after each block of a seekable file, after which the MP3 decoder
    goes on with other samples than it would have.
    """

    def seekable(self) -> bool:
        return False


def _open(path: Path) -> soundfile.SoundFile:
    if path.is_dir():
        raise AudioError(f"{path} is a directory: name an audio file.")
    if path.exists() and not path.is_file():
        raise AudioError(f"{path} is not a regular file: save the sound to a file first.")
    try:
        # By descriptor, because errors then have a reason and the ending of the name is not believed.
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise AudioError(f"Can't read {path}: {_reason(error)}.") from error
    if not os.fstat(descriptor).st_size:
        os.close(descriptor)
        raise AudioError(f"{path} is empty: record or copy it again.")
    try:
        return _SequentialFile(descriptor, closefd=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path} is not audio that can be read here ({_reason(error)}): convert it to WAV or FLAC first."
        ) from error


def _coding(place: Path, source: AudioReader) -> tuple[str, str]:
    """Format and coding of a file to be written; AudioError if the name does not tell."""
    ending = place.suffix.lower().removeprefix(".")
    form, coding = _ENDINGS.get(ending, (ending.upper(), None))
    if form not in soundfile.available_formats() or form == "RAW":
        raise AudioError(f"The name {place.name} does not tell the format to write: end it in .wav or .flac.")
    source_form, source_coding = source.coding
    # A lossy coding stays in its kind of file: nobody who asks for WAV means MP3 inside it.
    fits = form == source_form or source_coding.startswith(_LOSSLESS)
    if coding is None and fits and soundfile.check_format(form, source_coding):
        coding = source_coding
    return form, coding or soundfile.default_subtype(form)


def _create_beside(place: Path) -> Path:
    """A new empty file in the same directory, so that it can be moved to its place in one step."""
    if place.is_dir():
        raise AudioError(f"{place} is a directory: name a file in it.")
    if place.exists() and not place.is_file():
        raise AudioError(f"{place} is a device or a pipe: name a regular file.")
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise AudioError(f"Can't write {place}: {_reason(error)}.") from error
    return temporary


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: soundfile.LibsndfileError | OSError) -> str:
    """What the system or libsndfile says, as a part of a sentence."""
    text = error.strerror if isinstance(error, OSError) else error.error_string.removeprefix("Error : ")
    return str(text).rstrip(".")
