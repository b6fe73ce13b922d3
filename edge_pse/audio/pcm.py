"""Samples as devices, files and pipes carry them, and of floating point, as the network takes them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pse.errors import AudioError
from edge_pse.spectral import Samples

Pcm = NDArray[np.int16]

FULL_SCALE = 32768
"""Of 16-bit samples: dividing by it and multiplying again gives every one of them back."""

_NATIVE = "le" if sys.byteorder == "little" else "be"


def to_float(pcm: Pcm) -> Samples:
    """16 bits of any shape -> float32 of the same, full scale -1 to 1."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def to_pcm(samples: Samples) -> Pcm:
    """Full scale 1 -> 16 bits, rounded and limited."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


@dataclass(frozen=True)
class SampleFormat:
    """How samples are written in bytes, one after the other."""

    name: str
    """As ffmpeg has it; of 24 bits in four bytes, as arecord has it."""
    kind: str
    """``s`` and ``u``: integers with a sign and without; ``f``: floating point; ``mulaw``, ``alaw``: of G.711."""
    bits: int
    """That count."""
    width_bytes: int
    """Of a sample; where it is more than the bits need, the lowest are taken."""
    order: str
    """Of the bytes: ``le`` or ``be``."""

    @staticmethod
    def named(name: str) -> SampleFormat:
        """The format of a name that ffmpeg, sox or arecord has for it, in small letters or capitals; or AudioError.

        ``s24le`` is 24 bits in three bytes, as ffmpeg means it, and ``S24_LE`` in four, as arecord does. A name
        without an order of bytes, as sox has it, is of the order of this machine.
        """
        try:
            return _formats()[name.lower()]
        except KeyError:
            raise AudioError(
                f"There is no format {name!r} of samples: give one of ffmpeg's, such as u8, s16le, s24le, s32le, f32le "
                "or mulaw, or arecord's name for it, such as S16_LE."
            ) from None

    def decode(self, content: bytes) -> Samples:
        """Whole samples -> (samples,) float32, full scale -1 to 1."""
        if self.kind.endswith("law"):
            return self._law[np.frombuffer(content, np.uint8)]
        if self.kind == "f":
            with np.errstate(over="ignore"):  # infinity says it as well
                return np.frombuffer(content, self._type).astype(np.float32)
        if self.width_bytes == 3:
            padded = np.zeros((len(content) // 3, 4), np.uint8)
            place = slice(1, 4) if self.order == "le" else slice(0, 3)
            padded[:, place] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            raw, bits = padded.view(f"{self._type[0]}u4").ravel(), 32
        else:
            raw, bits = np.frombuffer(content, self._type), 8 * self.width_bytes
            if self.bits < bits:
                raw, bits = raw << (bits - self.bits), bits
        raw = raw.astype(raw.dtype.newbyteorder("="))
        if self.kind == "u":
            raw = raw ^ raw.dtype.type(1 << (bits - 1))
        signed = raw.view(f"i{raw.dtype.itemsize}")
        return signed.astype(np.float32) * np.float32(2.0 ** (1 - bits))

    def encode(self, samples: Samples) -> bytes:
        """(samples,) float32 -> as bytes; rounded and limited to full scale, where the format has one."""
        if self.kind.endswith("law"):
            codes = np.argsort(self._law, kind="stable")
            levels = self._law[codes]
            return codes.astype(np.uint8)[np.searchsorted((levels[1:] + levels[:-1]) / 2, samples)].tobytes()
        if self.kind == "f":
            return samples.astype(self._type).tobytes()
        full = 2.0 ** (self.bits - 1)
        scaled = np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1).astype(np.int64)
        if self.kind == "u":
            scaled += int(full)
        if self.width_bytes != 3:
            return scaled.astype(self._type).tobytes()
        place = slice(0, 3) if self.order == "le" else slice(1, 4)
        return scaled.astype(f"{self._type[0]}i4").view(np.uint8).reshape(-1, 4)[:, place].tobytes()

    @cached_property
    def _type(self) -> str:
        """NumPy's name for a sample; of three bytes, for one of four."""
        width = 4 if self.width_bytes == 3 else self.width_bytes
        # Shifts and signs are a matter of the bits alone: integers are read without a sign.
        return f"{'<' if self.order == 'le' else '>'}{'f' if self.kind == 'f' else 'u'}{width}"

    @cached_property
    def _law(self) -> Samples:
        """The level of each code: ITU-T G.711, tables 1 and 2, in which a level is a chord and a step of it."""
        codes = np.arange(256)
        if self.kind == "mulaw":
            codes = codes ^ 0xFF
            levels = ((((codes & 15) << 3) + 132) << (codes >> 4 & 7)) - 132
            positive = codes < 128
        else:
            codes = codes ^ 0x55
            chord, step = codes >> 4 & 7, (codes & 15) << 4
            levels = np.where(chord == 0, step + 8, (step + 264) << np.maximum(chord - 1, 0))
            positive = codes >= 128
        return np.where(positive, levels, -levels).astype(np.float32) / np.float32(FULL_SCALE)


@cache
def _formats() -> dict[str, SampleFormat]:
    """By all names, in small letters."""
    found: dict[str, Any] = {}

    def add(form: SampleFormat, *names: str) -> None:
        found.update(dict.fromkeys((form.name, *names), form))

    for sign in "su":
        add(SampleFormat(f"{sign}8", sign, 8, 1, "le"))
        for order in ("le", "be"):
            for bits in (16, 24, 32):
                packed = SampleFormat(f"{sign}{bits}{order}", sign, bits, bits // 8, order)
                arecord = f"{sign}24_3{order}" if bits == 24 else f"{sign}{bits}_{order}"
                add(packed, arecord, *([f"{sign}{bits}"] if order == _NATIVE else []))
            add(SampleFormat(f"{sign}24_{order}", sign, 24, 4, order))
    for order in ("le", "be"):
        for bits, name in ((32, "float"), (64, "float64")):
            native = [f"f{bits}"] if order == _NATIVE else []
            add(SampleFormat(f"f{bits}{order}", "f", bits, bits // 8, order), f"{name}_{order}", *native)
    add(SampleFormat("mulaw", "mulaw", 8, 1, "le"), "mu_law", "ul")
    add(SampleFormat("alaw", "alaw", 8, 1, "le"), "a_law", "al")
    return found
