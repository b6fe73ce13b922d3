"""WAV and FLAC to a pipe: each block as it comes, of a length that nobody knows yet, as ffmpeg reads them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any, BinaryIO

import soundfile

from edge_pse.audio.files.pipe_reading import CODINGS, FLOATS, INTEGERS, Callbacks
from edge_pse.audio.files.reading import AudioReader, reason_of
from edge_pse.audio.pcm import SampleFormat
from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

PIPE_FORMATS = ("WAV", "FLAC")
"""What may be written."""
_COMPANDED = ("ULAW", "ALAW")
_INFO = {
    "title": b"INAM",
    "artist": b"IART",
    "album": b"IPRD",
    "tracknumber": b"ITRK",
    "date": b"ICRD",
    "genre": b"IGNR",
    "comment": b"ICMT",
    "copyright": b"ICOP",
}
"""Names of texts in a WAV, by soundfile's for them."""


class _Append(Callbacks):
    """A stream as a file that grows; what an encoder writes into its head at the end is left out."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._at = self._length = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, content: bytes) -> int:
        try:
            if self._at == self._length:
                _write(self._stream, content)
                self._length += len(content)
        except BaseException as failure:
            self._failure = failure
            return 0
        self._at += len(content)
        return len(content)


class PipeWriter(AbstractContextManager["PipeWriter"]):
    """WAV or FLAC to a pipe, at the rate of ``source`` and coded as it is, if that fits.

    Each block is written as it comes. A WAV has the sizes of one whose length nobody knows yet (all bits set), and the
    texts of the source before the samples. Raises AudioError where nothing more can be written; BrokenPipeError where
    nobody reads any more.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, stream: BinaryIO, form: str, source: AudioReader, channels: int):
        self._stream, self._file, self._bytes = stream, None, _Append(stream)
        if form not in PIPE_FORMATS:
            raise AudioError(f"A pipe takes {' or '.join(PIPE_FORMATS)}, not {form}.")
        coding = source.coding[1]
        if coding not in CODINGS or coding in _COMPANDED:
            coding = "PCM_16"
        with self._failures():
            if form == "FLAC":
                coding = coding if soundfile.check_format("FLAC", coding) else "PCM_24"
                self._file = soundfile.SoundFile(
                    self._bytes, "w", source.sample_rate_hz, channels, coding, format="FLAC"
                )
                set_tags(self._file, source.tags)
                return
            self._coding = SampleFormat.named(CODINGS[coding])
            kept = source.riff_chunks or _info_chunks(source.tags)
            _write(stream, _wave_head(self._coding, source.sample_rate_hz, channels, kept))

    def write(self, samples: Samples) -> None:
        """Append samples, (frames, channels) float32."""
        with self._failures():
            if self._file is not None:
                self._file.write(samples)
            else:
                _write(self._stream, self._coding.encode(samples.ravel()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        if error is not None:
            with suppress(soundfile.LibsndfileError):
                self._file.close()
            return
        with self._failures():
            self._file.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Whatever fails in here becomes an AudioError with a sentence."""
        try:
            try:
                yield
            finally:
                self._bytes.raise_failure()  # rather than what libsndfile makes of it
        except BrokenPipeError:
            raise
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioError(
                f"Can't write the output ({reason_of(error)}): what was written before is there."
            ) from error


def set_tags(file: Any, tags: Mapping[str, str]) -> None:
    """Give a ``soundfile.SoundFile`` its title, artist and so on, as far as its format has a place for them."""
    for key, text in tags.items():
        if "\ufffd" not in text:  # what was not text
            with suppress(soundfile.LibsndfileError):
                setattr(file, key, text)


def _wave_head(coding: SampleFormat, rate_hz: int, channels: int, kept: list[bytes]) -> bytes:
    frame_bytes = coding.width_bytes * channels
    tag = FLOATS if coding.kind == "f" else INTEGERS
    form = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 8 * coding.width_bytes
    )  # fmt: skip
    open_size = struct.pack("<I", 0xFFFF_FFFF)
    return b"".join([b"RIFF", open_size, b"WAVE", form, *kept, b"data", open_size])


def _info_chunks(tags: Mapping[str, str]) -> list[bytes]:
    """Texts as a WAV holds them; none if there are none."""
    texts = [(_INFO[key], text.encode() + b"\0") for key, text in tags.items() if key in _INFO]
    parts = [struct.pack("<4sI", name, len(text)) + text + bytes(len(text) % 2) for name, text in texts]
    content = b"INFO" + b"".join(parts)
    return [struct.pack("<4sI", b"LIST", len(content)) + content] if parts else []


def _write(stream: BinaryIO, content: bytes) -> None:
    """All of it, now."""
    view = memoryview(content)
    while view:
        view = view[stream.write(view) :]
    stream.flush()
