"""A whole file through the network, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_pse.audio.files.pipe_writing import PipeWriter
from edge_pse.audio.files.reading import AudioReader, select_channels, select_from_start
from edge_pse.audio.files.writing import AudioWriter
from edge_pse.channels import Selection
from edge_pse.enhancer import Enhancer, frame_powers_of
from edge_pse.errors import AudioError
from edge_pse.model import DEFAULT_MODEL, Model
from edge_pse.pace import SECONDS, warn_of_pace
from edge_pse.profiles import Profile
from edge_pse.resampling import Resampler
from edge_pse.spectral import Samples

ProgressCallback = Callable[[float, float | None], None]


@dataclass(frozen=True)
class EnhancedFile:
    """What was written."""

    frames: int
    """Samples of each channel, as many as in the source."""
    channels: int
    """How many were written."""
    sample_rate_hz: int
    """That of the source."""
    selection: Selection | None
    """The channels of the source that it was made from; None for each by itself."""
    notes: tuple[str, ...]
    """What should be said of the source and of what changed, a sentence each."""

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.frames / self.sample_rate_hz


def enhance_file(
    source: str | Path | BinaryIO,
    target: str | Path | BinaryIO,
    model: Model | str | Path = DEFAULT_MODEL,
    profile: Profile | Sequence[Profile] | None = None,
    strength: float = 1.0,
    keep_channels: bool = False,
    on_progress: ProgressCallback | None = None,
    far_end: str | Path | None = None,
    channel: int | None = None,
    pipe_format: str | None = None,
) -> EnhancedFile:
    """Enhance ``source`` into ``target``, which may be the same file.

    The output has the rate and the length of the input and is aligned with it to the sample. It is one
    channel, enhanced from the one that ``channel`` names, counted from 1; without it, several become one.
    With ``keep_channels`` each channel goes through the network by itself. Sound
    above half the model's rate (8 kHz) is not kept. ``on_progress`` is called now and then with the seconds
    done and the seconds there are, None where the file does not tell. ``model``, ``profile``, ``strength``:
    see ``Enhancer``. ``far_end``: a file of what the loudspeaker was given meanwhile, see
    ``Enhancer.process``, of any rate and number of channels; what it lacks at its end is silence, and what it
    has too much is left out.

    Each of ``source`` and ``target`` may be a binary stream instead, such as ``sys.stdin.buffer``: WAV or FLAC of
    unknown length, read and written onwards only, a tenth of a second at a time. ``pipe_format`` is WAV or FLAC, for a
    target that is a stream; without it, FLAC if the source is FLAC, and WAV otherwise. Which channels of a stream
    become one is chosen by its first ten seconds, which are held back in memory. A stream stays open, and what was
    written to it before an exception is there; BrokenPipeError tells that nobody reads it any more.

    An EdgePseWarning tells of what sounds like speech of another rate than the file says. Raises
    AudioError for a source or far end that can't be read or a target that can't be written, ModelError
    and ProfileError as Enhancer does. After any exception a target that is a file is as it was before.
    """
    with ExitStack() as files:
        reader = files.enter_context(AudioReader(source))
        channels = reader.channels if keep_channels else 1
        model = Model.of(model)
        far_ends: list[_FarEndFile | None] = [None] * channels
        if far_end is not None:
            taken = select_channels(far_end, far_end=True)
            # Each channel reads the far end for itself: it is the same for all of them, but they take turns.
            far_ends = [
                _FarEndFile(files.enter_context(AudioReader(far_end)), taken, model.contract.sample_rate_hz)
                for _ in range(channels)
            ]
        with _writer(target, reader, channels, pipe_format) as writer:
            blocks, selection = reader.blocks(), None
            if not keep_channels and isinstance(source, str | Path):
                selection = select_channels(source, channel)
            elif not keep_channels:
                selection, blocks = select_from_start(reader, blocks, channel)
            streams = [
                _AlignedStream(Enhancer(model, profile, strength), reader.sample_rate_hz, far)
                for far in far_ends
            ]
            frames = 0
            try:
                for block in blocks:
                    inputs = block.T if selection is None else selection.of(block)[None]
                    enhanced = [stream.process(one) for stream, one in zip(streams, inputs, strict=True)]
                    writer.write(np.stack(enhanced, axis=1))
                    frames += len(block)
                    if on_progress:
                        there = None if reader.frames is None else reader.frames / reader.sample_rate_hz
                        on_progress(frames / reader.sample_rate_hz, there)
            except AudioError:
                if isinstance(writer, PipeWriter):  # what came before the fault is heard to its end
                    writer.write(_rest(streams))
                raise
            writer.write(_rest(streams))
            streams[0].warn_of_pace()
            files.close()  # Windows replaces no file that is open
    notes = (*reader.notes, *writer.notes)
    return EnhancedFile(frames, channels, reader.sample_rate_hz, selection, notes)


def _writer(
    target: str | Path | BinaryIO, source: AudioReader, channels: int, pipe_format: str | None
) -> AudioWriter | PipeWriter:
    if isinstance(target, str | Path):
        return AudioWriter(target, source, channels)
    own = "FLAC" if source.coding[0] == "FLAC" else "WAV"
    return PipeWriter(target, pipe_format or own, source, channels)


class _AlignedStream:
    """One channel at the file's rate, through the network at its own, without the delay of either step."""

    def __init__(self, enhancer: Enhancer, sample_rate_hz: int, far_end: _FarEndFile | None):
        self._enhancer = enhancer
        self._far_end = far_end
        self._to_model = Resampler(sample_rate_hz, enhancer.sample_rate_hz)
        self._from_model = Resampler(enhancer.sample_rate_hz, sample_rate_hz)
        self._early = enhancer.delay_samples
        # Two samples of the model's rate: more than the rounding of two changes of rate can lose.
        self._tail = np.zeros(ceil(2 * sample_rate_hz / enhancer.sample_rate_hz), np.float32)
        self._missing = 0
        self._rate = sample_rate_hz
        self._start = np.empty(round(SECONDS * enhancer.sample_rate_hz), np.float32)
        self._started = 0

    def process(self, samples: Samples) -> Samples:
        """The next samples -> those that are ready."""
        self._missing += samples.size
        return self._deliver(self._through(self._to_model.process(samples)))

    def flush(self) -> Samples:
        """The rest: in all, as many samples as went in."""
        at_model = np.concatenate([self._to_model.process(self._tail), self._to_model.flush()])
        rest = [
            self._through(at_model),
            self._from_model.process(self._without_delay(self._enhancer.flush())),
            self._from_model.flush(),
        ]
        return self._deliver(np.concatenate(rest))

    def warn_of_pace(self) -> None:
        """At the end: an EdgePseWarning if this sounds like speech of another rate than the file says."""
        enhancer = self._enhancer
        warn_of_pace(
            self._start[: self._started], enhancer.sample_rate_hz, self._rate, frame_powers_of(enhancer.model)
        )

    def _through(self, at_model: Samples) -> Samples:
        more = at_model[: self._start.size - self._started]
        self._start[self._started : self._started + more.size] = more
        self._started += more.size
        far_end = None if self._far_end is None else self._far_end.take(at_model.size)
        return self._from_model.process(self._without_delay(self._enhancer.process(at_model, far_end)))

    def _without_delay(self, enhanced: Samples) -> Samples:
        early, self._early = self._early, max(0, self._early - enhanced.size)
        return enhanced[early:]

    def _deliver(self, ready: Samples) -> Samples:
        ready = ready[: self._missing]
        self._missing -= ready.size
        return ready


def _rest(streams: list[_AlignedStream]) -> Samples:
    return np.stack([stream.flush() for stream in streams], axis=1)


class _FarEndFile:
    """One channel of a file at the model's rate, as much as is asked for; after its end comes silence."""

    def __init__(self, reader: AudioReader, selection: Selection, model_rate_hz: int):
        self._blocks = reader.blocks()
        self._selection = selection
        self._to_model = Resampler(reader.sample_rate_hz, model_rate_hz)
        self._ready = np.empty(0, np.float32)
        self._ended = False

    def take(self, count: int) -> Samples:
        """The next samples, (count,) float32."""
        while self._ready.size < count and not self._ended:
            block = next(self._blocks, None)
            self._ended = block is None
            more = (
                self._to_model.process(self._selection.of(block))
                if block is not None
                else self._to_model.flush()
            )
            self._ready = np.concatenate([self._ready, more])
        taken, self._ready = self._ready[:count], self._ready[count:]
        return np.pad(taken, (0, count - taken.size))
