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
from edge_pse.audio.files.reading import AudioReader, is_same_file, select_channels, select_from_start
from edge_pse.audio.files.writing import AudioWriter
from edge_pse.channels import Selection
from edge_pse.enhancer import Enhancer, frame_powers_of
from edge_pse.errors import AudioError
from edge_pse.model import DEFAULT_MODEL, Model
from edge_pse.pace import SECONDS, warn_of_pace
from edge_pse.profiles import Profile
from edge_pse.resampling import Resampler
from edge_pse.spectral import Samples, next_whole_hop_rate

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
    full_band: bool = True,
) -> EnhancedFile:
    """Enhance ``source`` into ``target``, which may be the same file.

    The output has the rate, the length and the band of the input and is aligned with it to the sample. It is one
    channel, enhanced from the one that ``channel`` names, counted from 1; without it, several become one.
    With ``keep_channels`` each channel goes through the network by itself. ``on_progress`` is called now and then
    with the seconds done and the seconds there are, None where the file does not tell. ``model``, ``profile``,
    ``strength``, ``full_band``: see ``Enhancer``. ``far_end``: a file of what the loudspeaker was given meanwhile,
    see ``Enhancer.process``, of any rate and number of channels; what it lacks at its end is silence, and what it
    has too much is left out.

    Samples are taken and given at the rate of the file. Only where 10 ms of it are no whole number of samples, as at
    11,025 and 22,050 Hz, or beyond 8 to 192 kHz, they are brought to the next rate that the network takes, and back.

    Each of ``source`` and ``target`` may be a binary stream instead, such as ``sys.stdin.buffer``: WAV or FLAC of
    unknown length, read and written onwards only, a tenth of a second at a time. ``pipe_format`` is WAV or FLAC, for a
    target that is a stream; without it, FLAC if the source is FLAC, and WAV otherwise. Which channels of a stream
    become one is chosen by its first ten seconds, which are held back in memory. A stream stays open, and what was
    written to it before an exception is there; BrokenPipeError tells that nobody reads it any more.

    An EdgePseWarning tells of what sounds like speech of another rate than the file says. Raises
    AudioError for a source or far end that can't be read or a target that can't be written, ModelError
    and ProfileError as Enhancer does. After any exception a target that is a file is as it was before; so is
    a far end, which is never overwritten.
    """
    with ExitStack() as files:
        reader = files.enter_context(AudioReader(source))
        channels = reader.channels if keep_channels else 1
        model = Model.of(model)
        far_ends: list[_FarEndFile | None] = [None] * channels
        if far_end is not None:
            if isinstance(target, str | Path) and is_same_file(far_end, target):
                raise AudioError(
                    f"{target} is the far end, and is never overwritten: choose another name. Nothing was changed."
                )
            taken = select_channels(far_end, far_end=True)
            # Each channel reads the far end for itself: it is the same for all of them, but they take turns.
            far_ends = [
                _FarEndFile(files.enter_context(AudioReader(far_end)), taken) for _ in range(channels)
            ]
        with _writer(target, reader, channels, pipe_format) as writer:
            blocks, selection = reader.blocks(), None
            if not keep_channels and isinstance(source, str | Path):
                selection = select_channels(source, channel)
            elif not keep_channels:
                selection, blocks = select_from_start(reader, blocks, channel)
            rate = next_whole_hop_rate(reader.sample_rate_hz)
            streams = [
                _AlignedStream(
                    Enhancer(
                        model,
                        profile,
                        strength,
                        rate,
                        far_rate_hz=None if far is None else far.rate_hz,
                        full_band=full_band,
                    ),
                    reader.sample_rate_hz,
                    far,
                )
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
    far_notes = far_ends[0].notes if far_ends[0] is not None else ()
    notes = (*reader.notes, *(note for note in far_notes if note not in reader.notes), *writer.notes)
    return EnhancedFile(frames, channels, reader.sample_rate_hz, selection, notes)


def _writer(
    target: str | Path | BinaryIO, source: AudioReader, channels: int, pipe_format: str | None
) -> AudioWriter | PipeWriter:
    if isinstance(target, str | Path):
        return AudioWriter(target, source, channels)
    own = "FLAC" if source.coding[0] == "FLAC" else "WAV"
    return PipeWriter(target, pipe_format or own, source, channels)


class _AlignedStream:
    """One channel at the file's rate, through the network without its delay."""

    def __init__(self, enhancer: Enhancer, sample_rate_hz: int, far_end: _FarEndFile | None):
        self._enhancer = enhancer
        self._far_end = far_end
        # These change something only where the file's rate has no whole hops.
        self._to_hops = Resampler(sample_rate_hz, enhancer.sample_rate_hz)
        self._from_hops = Resampler(enhancer.sample_rate_hz, sample_rate_hz)
        # Two samples more than the rounding of two changes of rate can lose.
        changed = sample_rate_hz != enhancer.sample_rate_hz
        self._tail = np.zeros(changed * ceil(2 * sample_rate_hz / enhancer.sample_rate_hz), np.float32)
        self._waiting = np.empty(0, np.float32)
        self._early = enhancer.delay_samples
        self._missing = 0
        self._rate = sample_rate_hz
        self._start = _Start(sample_rate_hz, enhancer.model.contract.sample_rate_hz)

    def process(self, samples: Samples) -> Samples:
        """The next samples -> those that are ready."""
        self._missing += samples.size
        self._start.add(samples)
        return self._deliver(self._from_hops.process(self._through(self._to_hops.process(samples))))

    def flush(self) -> Samples:
        """The rest: in all, as many samples as went in."""
        last = np.concatenate([self._to_hops.process(self._tail), self._to_hops.flush()])
        enhanced = [self._through(last), self._last_of_far_end(), self._without_delay(self._enhancer.flush())]
        rest = [self._from_hops.process(np.concatenate(enhanced)), self._from_hops.flush()]
        return self._deliver(np.concatenate(rest))

    def warn_of_pace(self) -> None:
        """At the end: an EdgePseWarning if this sounds like speech of another rate than the file says."""
        model = self._enhancer.model
        warn_of_pace(self._start.end(), model.contract.sample_rate_hz, self._rate, frame_powers_of(model))

    def _through(self, samples: Samples) -> Samples:
        if self._far_end is None:
            return self._without_delay(self._enhancer.process(samples))
        # In whole hops, in which samples of the two rates cover the same time.
        waiting = np.concatenate([self._waiting, samples])
        hops = waiting.size // self._enhancer.hop_samples
        ready, self._waiting = np.split(waiting, [hops * self._enhancer.hop_samples])
        far_end = self._far_end.take(hops * self._enhancer.far_hop_samples)
        return self._without_delay(self._enhancer.process(ready, far_end))

    def _last_of_far_end(self) -> Samples:
        """What is left of a hop, with as much of the far end and silence behind both."""
        left, size = self._waiting.size, self._enhancer.hop_samples
        if self._far_end is None or not left:
            return self._waiting
        far_size = self._enhancer.far_hop_samples
        far_left = round(left * far_size / size)
        far_end = np.pad(self._far_end.take(far_left), (0, far_size - far_left))
        last = np.pad(self._waiting, (0, size - left))
        return self._without_delay(self._enhancer.process(last, far_end))

    def _without_delay(self, enhanced: Samples) -> Samples:
        early, self._early = self._early, max(0, self._early - enhanced.size)
        return enhanced[early:]

    def _deliver(self, ready: Samples) -> Samples:
        ready = ready[: self._missing]
        self._missing -= ready.size
        return ready


class _Start:
    """The first seconds of a file at the rate of the network, for what listens to the pace of the speech."""

    def __init__(self, sample_rate_hz: int, model_rate_hz: int):
        self._to_model = Resampler(sample_rate_hz, model_rate_hz)
        self._samples = np.empty(round(SECONDS * model_rate_hz), np.float32)
        self._filled = 0

    def add(self, samples: Samples) -> None:
        """The next samples at the rate of the file, of which nothing is done when there are enough."""
        if self._filled < self._samples.size:
            self._fill(self._to_model.process(samples))

    def end(self) -> Samples:
        """All there is, (samples,) float32."""
        if self._filled < self._samples.size:
            self._fill(self._to_model.flush())
        return self._samples[: self._filled]

    def _fill(self, more: Samples) -> None:
        more = more[: self._samples.size - self._filled]
        self._samples[self._filled : self._filled + more.size] = more
        self._filled += more.size


def _rest(streams: list[_AlignedStream]) -> Samples:
    return np.stack([stream.flush() for stream in streams], axis=1)


class _FarEndFile:
    """One channel of a file, as much as is asked for; after its end comes silence."""

    def __init__(self, reader: AudioReader, selection: Selection):
        self.rate_hz = next_whole_hop_rate(reader.sample_rate_hz)
        """Of what is given: that of the file, where it has whole hops."""
        self.notes = reader.notes
        """What should be said of the file, as far as it was read."""
        self._blocks = reader.blocks()
        self._selection = selection
        self._to_hops = Resampler(reader.sample_rate_hz, self.rate_hz)
        self._ready = np.empty(0, np.float32)
        self._ended = False

    def take(self, count: int) -> Samples:
        """The next samples, (count,) float32."""
        while self._ready.size < count and not self._ended:
            block = next(self._blocks, None)
            self._ended = block is None
            more = (
                self._to_hops.process(self._selection.of(block))
                if block is not None
                else self._to_hops.flush()
            )
            self._ready = np.concatenate([self._ready, more])
        taken, self._ready = self._ready[:count], self._ready[count:]
        return np.pad(taken, (0, count - taken.size))
