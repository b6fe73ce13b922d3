"""Raw samples in, enhanced ones out, as they come: what a pipe or a connection carries, of any rate and format."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from edge_pse.audio.pcm import SampleFormat
from edge_pse.channels import ChannelChoice, named
from edge_pse.enhancer import Enhancer
from edge_pse.errors import AudioError, ModelError
from edge_pse.resampling import LowDelayResampler
from edge_pse.samples import LOWEST_RATE_HZ, checked_samples
from edge_pse.spectral import Samples, next_whole_hop_rate

_HIGHEST_RATE_HZ = 384_000
"""The fastest converters; filters for an odd rate beyond it would take too much memory."""
_MOST_CHANNELS = 64


class PcmStream:
    """A stream of PCM in pieces of any size through an ``Enhancer``, each hop as soon as it is complete.

    What comes out is one channel. It is aligned with the input: its first sample is the first one of the input,
    enhanced, and in all there are as many, in time. Nothing is held back beyond ``latency_ms``. The stream of the
    enhancer is this one's from now on, at the rates that are named here; its profiles, strength and observer may be set
    at any time. Whether sound above the network's band comes out is the enhancer's to say, too (``full_band``).

    ``sample_rate_hz``: of the input, 4,000 to 384,000. ``sample_format``: a name for it that ffmpeg, sox or arecord
    has, such as ``u8``, ``s16le``, ``s24le`` (three bytes), ``S24_LE`` (four bytes) or ``f32le``. ``channels``: how
    many there are, sample by sample in turn. ``channel``: the one to enhance, counted from 1; without it, the one with
    most speech in the first second. ``far_end_channel``: the one with what the loudspeaker plays, see
    ``Enhancer.process``.
    ``output_rate_hz``, ``output_format``: of what comes out, as in the input if not given.

    Raises AudioError for a rate, a format or a channel that can't be, and ModelError for a far end that the model does
    not take.
    """

    def __init__(
        self,
        enhancer: Enhancer,
        sample_rate_hz: int,
        sample_format: str = "s16le",
        channels: int = 1,
        *,
        channel: int | None = None,
        far_end_channel: int | None = None,
        output_rate_hz: int | None = None,
        output_format: str | None = None,
    ):
        self._format = SampleFormat.named(sample_format)
        self._output_format = SampleFormat.named(sample_format if output_format is None else output_format)
        if not 1 <= channels <= _MOST_CHANNELS:
            raise AudioError(f"A stream has 1 to {_MOST_CHANNELS} channels, not {channels}.")
        self._channels = channels
        self._rate = _checked_rate(sample_rate_hz)
        self._near, self._far = _places(channels, channel, far_end_channel)
        if self._far is not None and not enhancer.model.contract.far_end:
            raise ModelError(
                f"The model {enhancer.model.path.name} cancels no echo: name no channel of the far end, or take a "
                "model that does."
            )
        output_rate_hz = _checked_rate(sample_rate_hz if output_rate_hz is None else output_rate_hz)
        self._stream = _Channel(enhancer, self._rate, output_rate_hz, self._far is not None)
        self._begin()

    def _begin(self) -> None:
        self._choice = ChannelChoice(None, self._rate)
        self._rest = b""

    @property
    def frame_bytes(self) -> int:
        """Of one sample of each channel of the input."""
        return self._channels * self._format.width_bytes

    @property
    def latency_ms(self) -> float:
        """How long a sample waits in here at most: for its hop and the one after it, 20 ms.

        A rate without whole hops of 10 ms (22,050 Hz, 11,025 Hz) is changed on the way. That adds up to 4 ms for the
        input and as much for the output, below 8,000 Hz up to 8 ms each.
        """
        return self._stream.latency_ms

    @property
    def incomplete_bytes(self) -> int:
        """How many bytes of a frame are here whose others have not come yet."""
        return len(self._rest)

    def process(self, content: bytes) -> bytes:
        """The next bytes, as many as there are -> those of the enhanced channel that they complete.

        Where samples meet the ends of the pieces changes nothing. AudioError for numbers that are no sound (NaN,
        infinite, far beyond full scale); the stream is then as it was before the call.
        """
        content = self._rest + content
        whole = len(content) - len(content) % self.frame_bytes
        frames = self._format.decode(content[:whole]).reshape(-1, self._channels)
        checked_samples(frames)
        self._rest = content[whole:]
        near = frames[:, self._near]
        far = None if self._far is None else frames[:, self._far]
        return self._output_format.encode(self._stream.process(self._choice.pick(near), far))

    def flush(self) -> bytes:
        """The rest, without a last frame that is incomplete; a new stream begins."""
        self._begin()
        return self._output_format.encode(self._stream.flush())


class _Channel:
    """One channel at a rate of its own, through the network and to another rate, with little delay.

    The enhancer takes and gives rates that have whole hops as they are. Only others are changed, to the next such rate
    and back.
    """

    def __init__(self, enhancer: Enhancer, rate_hz: int, output_rate_hz: int, far_end: bool):
        self._enhancer, self._rate, self._output_rate = enhancer, rate_hz, output_rate_hz
        taken_hz, given_hz = next_whole_hop_rate(rate_hz), next_whole_hop_rate(output_rate_hz)
        enhancer.set_rates(taken_hz, given_hz)
        self._taken = LowDelayResampler(rate_hz, taken_hz)
        self._far_taken = LowDelayResampler(rate_hz, taken_hz) if far_end else None
        self._given = LowDelayResampler(given_hz, output_rate_hz)
        self._begin()

    def _begin(self) -> None:
        self._enhancer.reset()
        for resampler in (self._taken, self._far_taken, self._given):
            if resampler is not None:
                resampler.reset()
        self._early = self._enhancer.delay_samples
        self._samples_in = self._samples_out = 0

    @property
    def latency_ms(self) -> float:
        return self._enhancer.latency_ms + 1000 * (self._taken.delay_s + self._given.delay_s)

    def process(self, near: Samples, far: Samples | None) -> Samples:
        """The next samples, (n,) float32, and as many of the far end -> those that are ready."""
        self._samples_in += near.size
        out = self._given.process(self._enhanced(near, far))
        self._samples_out += out.size
        return out

    def flush(self) -> Samples:
        """The rest: in all, the length of the input at the rate of the output. Begins anew."""
        # What the filters wait for, and more than the rounding of the changes of rate can lose.
        taken_hz, given_hz = self._enhancer.sample_rate_hz, self._enhancer.output_rate_hz
        tail_s = self._taken.delay_s + 4 / min(self._rate, taken_hz, given_hz)
        last = self._enhanced(np.zeros(ceil(tail_s * self._rate), np.float32), None)
        ended = self._without_delay(self._enhancer.flush())
        silence = np.zeros(ceil(self._given.delay_s * given_hz) + 4, np.float32)
        missing = round(self._samples_in * self._output_rate / self._rate) - self._samples_out
        rest = self._given.process(np.concatenate([last, ended, silence]))[:missing]
        self._begin()
        return rest

    def _enhanced(self, near: Samples, far: Samples | None) -> Samples:
        far_taken = None if far is None or self._far_taken is None else self._far_taken.process(far)
        return self._without_delay(self._enhancer.process(self._taken.process(near), far_taken))

    def _without_delay(self, enhanced: Samples) -> Samples:
        early, self._early = self._early, max(0, self._early - enhanced.size)
        return enhanced[early:]


def _checked_rate(rate_hz: int) -> int:
    if not LOWEST_RATE_HZ <= rate_hz <= _HIGHEST_RATE_HZ or rate_hz != int(rate_hz):
        raise AudioError(
            f"A stream has {LOWEST_RATE_HZ} to {_HIGHEST_RATE_HZ} whole samples a second, not {rate_hz}."
        )
    return int(rate_hz)


def _places(
    channels: int, channel: int | None, far_end_channel: int | None
) -> tuple[Sequence[int], int | None]:
    """Where in a frame the microphone is, or all that may be it, and where the far end; counted from 0."""
    far = None if far_end_channel is None else named(far_end_channel, channels).channels[0]
    if channel is not None:
        near = list(named(channel, channels).channels)
    else:
        near = [place for place in range(channels) if place != far]
    if not near or far in near:
        raise AudioError("The far end is a channel of its own, beside that of the microphone.")
    return near, far
