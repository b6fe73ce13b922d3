"""WAV and FLAC that come through a pipe: of unknown length, as ffmpeg writes them, and read onwards only."""

from __future__ import annotations

import io
import os
import struct
from typing import BinaryIO, NoReturn

import numpy as np
import soundfile

from edge_pse.audio.files import chunks, flac_blocks, vorbis_comments
from edge_pse.audio.pcm import SampleFormat
from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

_WAVES = {b"RIFF": "WAV", b"RF64": "RF64", b"BW64": "RF64", b"riff": "W64"}
CODINGS = {
    "PCM_U8": "u8",
    "PCM_16": "s16le",
    "PCM_24": "s24le",
    "PCM_32": "s32le",
    "FLOAT": "f32le",
    "DOUBLE": "f64le",
    "ULAW": "mulaw",
    "ALAW": "alaw",
}
"""soundfile's names of codings, and ours."""
INTEGERS, FLOATS, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
UNKNOWN_FRAMES = (1 << 63) - 1
"""What libsndfile says of FLAC whose writer did not know its length, or never closed it."""
_ADVICE = "put `ffmpeg -v error -i - -f wav -` before this, or save it to a file first"
_MOST_CHANNELS = 1024  # as libsndfile has it
_OPEN_64 = 1 << 62
_FLAC_FRAMES = 1024
"""Read at a time: where it is damaged, libsndfile gives nothing of what it was asked for."""
_MOST_BEFORE = 1 << 24
"""Bytes of what may stand before the samples of a WAV, all in all."""


def opened(stream: BinaryIO) -> WavePipe | FlacPipe:
    """What comes through a pipe, read up to its first sample; AudioError if it is neither WAV nor FLAC."""
    magic = _take(stream, 4)
    if not magic:
        raise AudioError("The input is empty: see what the program before this one said.")
    if magic in _WAVES:
        return WavePipe(stream, magic)
    if magic == b"fLaC":
        return FlacPipe(stream, magic)
    raise AudioError(f"The input is neither WAV nor FLAC: {_ADVICE}.")


class WavePipe:
    """WAV, RF64 or Wave64 as it comes; as much of ``soundfile.SoundFile`` as a reader needs."""

    blocks: tuple[vorbis_comments.Block, ...] = ()

    def __init__(self, stream: BinaryIO, magic: bytes):
        self.notes: list[str] = []
        """At the end, what was wrong with it, a part of a sentence each."""
        self.chunks: list[bytes] = []
        """What stands before the samples and should be in what is made of them, too; as written."""
        self._stream = stream
        self._layout = chunks.WAVE64 if magic == b"riff" else chunks.RIFF
        self.format = _WAVES[magic]
        size = self._read_head()
        self._claimed = self._left = size
        self.frames: int | None = None if size is None else size // self._frame_bytes
        """Unknown where the header leaves it open."""

    def read(self, frames: int, dtype: str, always_2d: bool) -> Samples:
        """The next ``frames`` or what is left, (frames, channels) float32."""
        wanted = frames * self._frame_bytes
        if self._left is not None:
            wanted = min(wanted, self._left)
        content = _take(self._stream, wanted)
        if self._left is not None:
            self._left -= len(content)
            if len(content) < wanted:
                self.notes.append(chunks.SHORTER)
                self._left = 0
            elif self._left == 0 and len(content) < frames * self._frame_bytes:
                more = self._behind()
                content += more + _take(self._stream, frames * self._frame_bytes - len(content) - len(more))
        whole = len(content) - len(content) % self._frame_bytes
        return self._coding.decode(content[:whole]).reshape(-1, self.channels)

    def copy_metadata(self) -> dict[str, str]:
        """None but those in ``chunks``."""
        return {}

    def close(self) -> None:
        """The pipe is of whoever opened it."""

    def _behind(self) -> bytes:
        """Behind the last sample that the header knows of: nothing, or what comes if that is samples still."""
        assert self._claimed is not None
        padding = -self._claimed % self._layout.alignment
        next_bytes = _take(self._stream, padding + 4)
        name = next_bytes[padding:]
        if not name or (name.isascii() and name.decode("ascii").isprintable()):
            while _take(self._stream, 1 << 16):  # let the program before this one end in peace
                pass
            return b""
        self.notes.append(chunks.NEVER_CLOSED)
        self._left = None
        return next_bytes

    def _read_head(self) -> int | None:
        """Up to the samples -> how many bytes they have, None if that is left open."""
        layout, at = self._layout, self._layout.first
        _take(self._stream, at - 4)
        before: dict[bytes, bytes] = {}
        while True:
            head = _take(self._stream, layout.head.size)
            if len(head) < layout.head.size or at > _MOST_BEFORE:
                self._refuse("its header is damaged")
            name, size = layout.head.unpack(head)
            chunk = chunks.Chunk(name, at + len(head), size - len(head) * layout.counts_itself)
            if name == layout.samples:
                break
            after = layout.after(chunk)
            if not chunk.start <= after <= _MOST_BEFORE:
                self._refuse("its header is damaged")
            content = _take(self._stream, after - chunk.start)
            before[name[:4]] = content
            if layout is chunks.RIFF and name in chunks.CARRIED:
                self.chunks.append(head + content)
            at = after
        self._read_coding(before.get(b"fmt ", b""))
        if self.format == "RF64" and chunk.size == 0xFFFF_FFFF and len(before.get(b"ds64", b"")) >= 16:
            size = struct.unpack_from("<Q", before[b"ds64"], 8)[0]
            return size if 0 < size < _OPEN_64 else None
        is_open = chunk.size <= 0 or chunk.size >= (_OPEN_64 if layout is chunks.WAVE64 else chunks.OPEN_SIZE)
        return None if is_open else chunk.size

    def _read_coding(self, content: bytes) -> None:
        if len(content) < 16:
            self._refuse("its header is damaged")
        tag, channels, rate, _, frame_bytes, _ = struct.unpack_from("<HHIIHH", content)
        if tag == _EXTENSIBLE and len(content) >= 26:
            tag = struct.unpack_from("<H", content, 24)[0]
        if not 0 < channels <= _MOST_CHANNELS or not frame_bytes or frame_bytes % channels:
            self._refuse("its header is damaged")
        bits = 8 * frame_bytes // channels
        integers = "u8" if bits == 8 else f"s{bits}le"
        names = {INTEGERS: integers, FLOATS: f"f{bits}le", _ALAW: "alaw", _MULAW: "mulaw"}
        subtypes = [subtype for subtype, name in CODINGS.items() if name == names.get(tag)]
        if not subtypes or SampleFormat.named(names[tag]).width_bytes != bits // 8:
            self._refuse(f"its samples have a coding (0x{tag:04x}, {bits} bits) that is not read from a pipe")
        self.subtype = subtypes[0]
        self._coding = SampleFormat.named(names[tag])
        self.samplerate, self.channels, self._frame_bytes = rate, channels, frame_bytes

    def _refuse(self, reason: str) -> NoReturn:
        raise AudioError(f"The input begins as {self.format}, but {reason}: {_ADVICE}.")


class FlacPipe:
    """FLAC as it comes, by libsndfile."""

    format = "FLAC"
    chunks: tuple[bytes, ...] = ()

    def __init__(self, stream: BinaryIO, magic: bytes):
        self.notes: list[str] = []
        """At the end, what was wrong with it, a part of a sentence each."""
        self._frames_read = 0
        self._bytes = _Onwards(stream, magic)
        try:
            self._sound = FlacSound(self._bytes)
        except soundfile.LibsndfileError as error:
            self._bytes.raise_failure()
            reason = error.error_string.removeprefix("Error : ").rstrip(".")
            raise AudioError(
                f"The input begins as FLAC, but its header is damaged ({reason}): {_ADVICE}."
            ) from error
        self.blocks = flac_blocks.of_beginning(self._bytes.kept)
        """What stands before the sound and should be in what is made of it, too."""
        self._bytes.opened()
        self.subtype: str = self._sound.subtype
        self.samplerate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.frames: int = self._sound.frames

    def read(self, frames: int, dtype: str, always_2d: bool) -> Samples:
        """See ``soundfile``."""
        block: Samples = self._sound.read(frames, dtype=dtype, always_2d=always_2d)
        self._bytes.raise_failure()
        self._frames_read += len(block)
        if len(block) < frames and self._frames_read < self.frames < UNKNOWN_FRAMES:
            self.notes = [chunks.SHORTER]
        return block

    def copy_metadata(self) -> dict[str, str]:
        """See ``soundfile``."""
        metadata: dict[str, str] = self._sound.copy_metadata()
        return metadata

    def close(self) -> None:
        """The pipe is of whoever opened it."""
        self._sound.close()


class SequentialFile(soundfile.SoundFile):
    """A file that is only read onwards.

    soundfile seeks to where it already is after each block of a seekable file, after which the MP3 decoder
    goes on with other samples than it would have.
    """

    def seekable(self) -> bool:
        return False


class FlacSound(SequentialFile):
    """The same of FLAC, of which all is given that comes before a damaged place or a missing end."""

    def __init__(self, file: BinaryIO | _Onwards | int, closefd: bool = True):
        self._damage: soundfile.LibsndfileError | None = None
        super().__init__(file, closefd=closefd)
        self._left = self.frames  # behind them there may be something else, such as the texts of an MP3

    def read(self, frames: int, dtype: str, always_2d: bool) -> Samples:
        """See ``soundfile``; LibsndfileError only where nothing is left before the damage."""
        if self._damage is not None:
            raise self._damage
        parts: list[Samples] = []
        wanted = min(frames, self._left)
        while wanted:
            try:
                part = super().read(min(wanted, _FLAC_FRAMES), dtype=dtype, always_2d=always_2d)
            except soundfile.LibsndfileError as error:
                if not parts:
                    raise
                self._damage = error
                break
            if not len(part):
                break
            parts.append(part)
            wanted -= len(part)
            self._left -= len(part)
        return np.concatenate(parts) if parts else np.empty((0, self.channels), np.float32)


class Callbacks:
    """What soundfile calls from C, where an exception would be printed and forgotten."""

    _failure: BaseException | None = None

    def raise_failure(self) -> None:
        """What went wrong in one of these calls; libsndfile then does no more."""
        if self._failure is not None:
            raise self._failure


class _Onwards(Callbacks):
    """A stream as a file whose end is nowhere; what was read while it is opened may be read again."""

    def __init__(self, stream: BinaryIO, head: bytes):
        self._stream, self._kept = stream, head
        self._at, self._taken = 0, len(head)
        self._keeps = True

    @property
    def kept(self) -> bytes:
        """All that was read so far, until it is opened."""
        return self._kept

    def opened(self) -> None:
        """From here on it is only read onwards, as much at a time as there is."""
        self._keeps = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: _OPEN_64}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        try:
            content = self._kept[self._at : self._at + size] if self._at < self._taken else b""
            if self._keeps:
                more = _take(self._stream, max(0, self._at + size - self._taken))
                self._kept += more
                self._taken += len(more)
                content = self._kept[self._at : self._at + size]
            elif not content:
                content = _some(self._stream, size)
                self._taken += len(content)
        except BaseException as failure:
            self._failure = failure
            return b""
        self._at += len(content)
        return content


def _some(stream: BinaryIO, count: int) -> bytes:
    """The next bytes, as many as there are, up to ``count``; none at the end only."""
    try:
        content: bytes = getattr(stream, "read1", stream.read)(count)
    except OSError as error:
        raise AudioError(f"Can't read the input: {error.strerror}.") from error
    return content


def _take(stream: BinaryIO, count: int) -> bytes:
    """The next ``count`` bytes, fewer at the end only."""
    parts = io.BytesIO()
    while parts.tell() < count:
        content = _some(stream, count - parts.tell())
        if not content:
            break
        parts.write(content)
    return parts.getvalue()
