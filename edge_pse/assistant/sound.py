"""The format of what a client sends, and its way through the network."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

from edge_pse.audio.pcm import SampleFormat
from edge_pse.audio.stream import PcmStream
from edge_pse.channels import choose
from edge_pse.enhancer import Enhancer
from edge_pse.spectral import Samples

WIDTH = 2
"""Bytes of a sample that is sent on: signed, little-endian, one channel at the rate of the network."""
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 4_000, 192_000
_LEAST_COMMON_HZ = 25
"""With 16 kHz, as 11,025 Hz have it. Rates with less need filters of hundreds of megabytes, and no device has one."""
_MOST_CHANNELS = 32
_NAMES = {1: "s8", 2: "s16le", 3: "s24le", 4: "s32le"}
"""Of ``edge_pse.audio.pcm``, by the width; ``wyoming`` takes single bytes for signed, too."""


@dataclass(frozen=True)
class Format:
    """Of interleaved samples: signed, little-endian integers."""

    rate_hz: int
    width: int
    """Bytes of a sample."""
    channels: int

    @classmethod
    def of(cls, data: dict[str, Any]) -> Format:
        """As an event names it; ValueError, with a sentence, for what is no format."""
        rate, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
        if (
            type(rate) is int
            and type(width) is int
            and type(channels) is int
            and _LOWEST_RATE_HZ <= rate <= _HIGHEST_RATE_HZ
            and gcd(rate, 16_000) >= _LEAST_COMMON_HZ
            and width in _NAMES
            and 1 <= channels <= _MOST_CHANNELS
        ):
            return cls(rate, width, channels)
        raise ValueError(
            f"Sound of rate {rate!s:.20}, width {width!s:.20} and {channels!s:.20} channels can't be used: give a "
            f"usual rate from {_LOWEST_RATE_HZ} to {_HIGHEST_RATE_HZ} Hz, a width of 1 to 4 bytes and 1 to "
            f"{_MOST_CHANNELS} channels."
        )

    @property
    def bytes_per_s(self) -> int:
        """Of all channels."""
        return self.rate_hz * self.frame_bytes

    @property
    def frame_bytes(self) -> int:
        """Of one sample of each channel."""
        return self.width * self.channels

    def decoded(self, content: bytes) -> Samples:
        """Whole frames -> the channel with most speech, (n,) float32, full scale -1 to 1."""
        frames = SampleFormat.named(_NAMES[self.width]).decode(content).reshape(-1, self.channels)
        return choose(frames, self.rate_hz).of(frames)

    def through(self, enhancer: Enhancer) -> PcmStream:
        """The stream of a command that comes in this format."""
        return PcmStream(
            enhancer,
            self.rate_hz,
            _NAMES[self.width],
            self.channels,
            output_rate_hz=enhancer.model.contract.sample_rate_hz,
            output_format=_NAMES[WIDTH],
        )
