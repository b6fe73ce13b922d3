"""Audio files in any format of libsndfile or, where it is installed, ffmpeg; and what a pipe brings; read in blocks."""

from __future__ import annotations

import os
import shlex
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from edge_pse.audio.files import chunks, flac_blocks, id3, ogg_pages, pipe_reading, vorbis_comments
from edge_pse.audio.files.ffmpeg import FfmpegFile, installed
from edge_pse.channels import Selection, choose_in, named
from edge_pse.errors import AudioError, EdgePseWarning, FfmpegError
from edge_pse.samples import checked_samples
from edge_pse.spectral import Samples

MIN_SAMPLE_RATE_HZ = 4_000
"""Lower rates hold no speech that could be understood."""
MAX_SAMPLE_RATE_HZ = 768_000
"""The fastest converters; beyond it the header of the file is wrong."""

# Not the program that made the file: the next one is made by another.
_TAGS = ("title", "artist", "album", "tracknumber", "date", "genre", "comment", "copyright", "license")

# Samples of all channels in a block: a second or so of ordinary audio, and never much memory.
_BLOCK_SAMPLES = 1 << 16
CHOICE_SECONDS = 10
"""Of what comes through a pipe, by which channels are chosen."""
_MOST_HELD = 1 << 23  # samples of all channels
_PIPED_SECONDS = 0.1
"""Of a block of what comes through a pipe, perhaps while it is recorded."""
_LENGTH_TOLERANCE, _LENGTH_TOLERANCE_S = 0.02, 0.1
"""By so much, of what is there and in seconds, the header of a compressed file may exceed it."""


class AudioReader(AbstractContextManager["AudioReader"]):
    """An audio file, opened for reading from its beginning to its end, once.

    ``source``: its path; or what comes through a pipe, WAV or FLAC, which is read onwards only and stays open. Raises
    AudioError, here and in ``blocks``, with a sentence on what is wrong with the file.
    """

    def __init__(self, source: str | Path | BinaryIO):
        self.name = str(source) if isinstance(source, str | Path) else "The input"
        self.notes: list[str] = []
        """What should be said of the file although it can be read, a sentence each."""
        self.riff_chunks: list[bytes] = []
        """Of a WAV file: what stands in it beside the samples, such as the date of a broadcast; as written."""
        self.aiff_chunks: list[bytes] = []
        """Of an AIFF file: the same, as far as libsndfile does not know it."""
        self.id3: bytes = b""
        """Of an MP3 file: the same; empty where there is nothing of the kind."""
        self.comment_blocks: list[vorbis_comments.Block] = []
        """Of a FLAC file: the same, with pictures; of an Ogg file its texts."""
        self._ogg: ogg_pages.Course | None = None
        self._repaired: chunks.RepairedFile | None = None
        self.piped = not isinstance(source, str | Path)
        """Whether it can't be read again."""
        self._file: soundfile.SoundFile | FfmpegFile | pipe_reading.WavePipe | pipe_reading.FlacPipe
        if isinstance(source, str | Path):
            self._file = self._open(Path(source))
        else:
            self._file = pipe_reading.opened(source)
            self.riff_chunks = list(self._file.chunks)
            self.comment_blocks = list(self._file.blocks)
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        frames = self._file.frames
        self.frames: int | None = None if frames == pipe_reading.UNKNOWN_FRAMES else frames
        """Samples of each channel by the header, if it tells; compressed files may hold a few more or less."""
        if not MIN_SAMPLE_RATE_HZ <= self.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            self.close()
            raise AudioError(
                f"{self.name} claims {self.sample_rate_hz} samples a second, which can't be speech: "
                f"give a recording of {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz."
            )

    @property
    def coding(self) -> tuple[str, str]:
        """Names of the file's format and of the coding of its samples, as soundfile has them."""
        return self._file.format, self._file.subtype

    @property
    def tags(self) -> dict[str, str]:
        """Title, artist, date and so on, by soundfile's names for them."""
        found = {"comment": vorbis_comments.comment_of(self.comment_blocks), **self._file.copy_metadata()}
        return {key: text for key, text in found.items() if key in _TAGS and text}

    def blocks(self) -> Iterator[Samples]:
        """The samples from here to the end, (frames, channels) float32, full scale -1 to 1, a part at a time.

        Every sample is finite and of a sensible size. A file without samples is an AudioError.
        """
        size = max(1, _BLOCK_SAMPLES // self.channels)
        if self.piped:
            size = min(size, ceil(_PIPED_SECONDS * self.sample_rate_hz))
        frames_read = 0
        while True:
            try:
                block = self._file.read(size, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, FfmpegError) as error:
                if frames_read and isinstance(self._file, _FlacFile) and self._file.at_end:
                    if self.frames is None:
                        self.notes.append(f"{self.name}: {chunks.NEVER_CLOSED}.")
                    break
                seconds = frames_read / self.sample_rate_hz
                raise AudioError(
                    f"{self.name} is damaged {seconds:.1f} s from its start ({reason_of(error)}): "
                    "copy it again, or cut that part out."
                ) from error
            if not len(block):
                break
            frames_read += len(block)
            yield self._checked(block)
        if not self.piped and frames_read and self._lacks(frames_read):
            self.notes.append(f"{self.name}: {chunks.SHORTER}.")
        elif frames_read and self._is_cut_off():
            self.notes.append(f"{self.name}: {chunks.CUT_OFF}.")
        if isinstance(self._file, pipe_reading.WavePipe | pipe_reading.FlacPipe):
            self.notes += [f"{self.name}: {note}." for note in self._file.notes]
        if not frames_read:
            raise AudioError(f"{self.name} holds no sound, its length is zero: record it again.")

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._close_repaired()

    def _open(self, path: Path) -> soundfile.SoundFile | FfmpegFile:
        # By descriptor, because errors then have a reason and the ending of the name is not believed.
        descriptor = _regular(path)
        try:
            magic = os.read(descriptor, 4)
            os.lseek(descriptor, 0, os.SEEK_SET)
            if magic == flac_blocks.MAGIC:
                self.comment_blocks = flac_blocks.read(descriptor)
            elif magic == ogg_pages.MAGIC:
                self.comment_blocks = ogg_pages.read(descriptor)
                self._ogg = ogg_pages.course(descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)
            beside = chunks.beside_samples(descriptor)
            self.riff_chunks, self.aiff_chunks = ([], beside) if magic == b"FORM" else (beside, [])
            self.id3 = id3.read(descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)
            self._repaired = chunks.repaired(
                descriptor
            )  # last: it goes on reading through the same place in the file
            if self._repaired is None:
                os.lseek(descriptor, 0, os.SEEK_SET)
        except BaseException:
            os.close(descriptor)
            raise
        if self._repaired is not None:
            os.close(descriptor)
            if self._repaired.note:
                self.notes.append(f"{path}: {self._repaired.note}.")
        if self._ogg is not None and self._ogg.chained and installed():
            os.close(descriptor)
            return _through_ffmpeg(path, "it holds several recordings")  # libsndfile gives the first
        try:
            if magic == flac_blocks.MAGIC:
                return _FlacFile(descriptor)
            return pipe_reading.SequentialFile(self._repaired or descriptor, closefd=True)
        except soundfile.LibsndfileError as error:
            self._close_repaired()
            return _through_ffmpeg(path, reason_of(error))

    def _lacks(self, frames_read: int) -> bool:
        """Whether that is less than the header says, and by more than it may be wrong."""
        exact = isinstance(self._file, _FlacFile)
        tolerance = (
            0 if exact else max(_LENGTH_TOLERANCE * frames_read, _LENGTH_TOLERANCE_S * self.sample_rate_hz)
        )
        return self.frames is not None and self.frames - frames_read > tolerance

    def _is_cut_off(self) -> bool:
        """Of a format whose header does not say how much there should be, as far as that can be told at its end."""
        if self._ogg is not None:  # of its second recording ffmpeg takes the head for damage
            return not self._ogg.closed or (self._ogg.chained and not isinstance(self._file, FfmpegFile))
        return isinstance(self._file, FfmpegFile) and self._file.cut_off

    def _close_repaired(self) -> None:
        if self._repaired is not None:
            self._repaired.close()

    def _checked(self, block: Samples) -> Samples:
        try:
            return checked_samples(block)
        except AudioError as error:
            raise AudioError(f"{self.name} can't be used. {error}") from error


def warn_of_notes(reader: AudioReader) -> None:
    """An EdgePseWarning for each thing that should be said of a file that was read."""
    for note in reader.notes:
        warnings.warn(note, EdgePseWarning, stacklevel=3)


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


def select_from_start(
    reader: AudioReader, blocks: Iterator[Samples], channel: int | None
) -> tuple[Selection, Iterator[Samples]]:
    """The same of what can't be read again, by its first ten seconds -> and all of its blocks, those among them."""
    if channel is not None:
        return named(channel, reader.channels), blocks
    start: list[Samples] = []
    most = min(CHOICE_SECONDS * reader.sample_rate_hz, _MOST_HELD // reader.channels)
    while reader.channels > 1 and sum(map(len, start)) < most:
        block = next(blocks, None)
        if block is None:
            break
        start.append(block)
    return choose_in(start, reader.channels, reader.sample_rate_hz), chain(start, blocks)


def read_recordings(
    paths: Sequence[str | Path], max_seconds: float, channel: int | None = None, cut: bool = False
) -> tuple[Samples, int]:
    """Whole files, one after the other -> samples, (frames, channels) float32, and their rate in Hz.

    A single file keeps its channels, for whoever chooses among them. Of several, and where ``channel`` names
    one (counted from 1), each file is brought to one channel by itself, because each may have the voice in
    another one; and to the rate of the first file. AudioError if a file can't be used, or if it is longer
    than ``max_seconds``, before it fills the memory. ``cut``: what is beyond ``max_seconds`` of them all is left out
    instead. An EdgePseWarning tells of files that are shorter than they say, and of those that are named twice, which
    count once: what is heard again is no more speech.
    """
    paths = _each_once(paths)
    recordings = []
    left = max_seconds
    for path in paths:
        samples, rate = _read_whole(path, left if cut else max_seconds, cut)
        left -= len(samples) / rate
        if channel is not None or len(paths) > 1:
            samples = select_channels(path, channel).of(samples)[:, None]
        recordings.append((samples, rate))
        if cut and left <= 0:
            break
    first_rate = recordings[0][1]
    alike = [
        samples if rate == first_rate else soxr.resample(samples, rate, first_rate)
        for samples, rate in recordings
    ]
    return np.concatenate(alike), first_rate


def _each_once(paths: Sequence[str | Path]) -> list[str | Path]:
    kept: list[str | Path] = []
    for path in paths:
        if any(is_same_file(path, other) for other in kept):
            warnings.warn(f"{path} is named twice, and counts once.", EdgePseWarning, stacklevel=3)
        else:
            kept.append(path)
    return kept


def _read_whole(path: str | Path, max_seconds: float, cut: bool) -> tuple[Samples, int]:
    blocks, frames = [], 0
    with AudioReader(path) as reader:
        for block in reader.blocks():
            frames += len(block)
            if frames > max_seconds * reader.sample_rate_hz:
                if cut:
                    beyond = frames - round(max_seconds * reader.sample_rate_hz)
                    blocks.append(block[: len(block) - beyond])
                    break
                raise AudioError(
                    f"{path} is longer than {max_seconds / 60:.0f} minutes: cut out one minute of the voice."
                )
            blocks.append(block)
        warn_of_notes(reader)
    if frames < reader.channels:
        raise AudioError(f"{path} is {frames} samples long: record at least 3 s.")
    return np.concatenate(blocks), reader.sample_rate_hz


class _FlacFile(pipe_reading.FlacSound):
    """The same of FLAC."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        super().__init__(descriptor, closefd=True)

    @property
    def at_end(self) -> bool:
        """Whether the decoder has been given the file to its last byte."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR) >= os.fstat(self._descriptor).st_size


def _regular(path: Path) -> int:
    """The descriptor of a file that is opened to be read; AudioError if there is none, or something else."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise AudioError(f"{path} is a directory: name an audio file.")
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(f"{path} is not a regular file: save the sound to a file first.")
        if not found.st_size:
            raise AudioError(f"{path} is empty: record or copy it again.")
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise AudioError(f"Can't read {path}: {getattr(error, 'strerror', error)}.") from error
    return descriptor


def _through_ffmpeg(path: Path, reason: str) -> FfmpegFile:
    """What libsndfile can't read, for a ``reason``; AudioError if ffmpeg is missing or can't read it either."""
    if not installed():
        command = shlex.join(["ffmpeg", "-i", f"file:{path}", f"file:{path.with_suffix('.wav').name}"])
        raise AudioError(
            f"{path} is not audio that can be read here ({reason}): if it is audio or video, install ffmpeg, "
            f"through which it is read then (`sudo apt-get install ffmpeg`), or convert it elsewhere (`{command}`)."
        )
    try:
        return FfmpegFile(path)
    except FfmpegError as error:
        raise AudioError(
            f"{path} is not audio that can be read here ({error}): convert it to WAV or FLAC first."
        ) from error


def is_same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two names are of one file that is there, by links, too."""
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):
        return False


def reason_of(error: soundfile.LibsndfileError | FfmpegError | OSError) -> str:
    """What the system, libsndfile or ffmpeg says, as a part of a sentence."""
    if isinstance(error, FfmpegError):
        return str(error)
    text = error.strerror if isinstance(error, OSError) else error.error_string.removeprefix("Error : ")
    return str(text).rstrip(".")
