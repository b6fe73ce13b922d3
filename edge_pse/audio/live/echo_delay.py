"""How long after the far end its echo comes, and the far end held back until shortly before that.

The network finds the echo by itself where it comes up to half a second after the far end, as in its training (it can
look back for one), never where it comes before.
What sound servers and devices add to the way through the room is often more than that, and changes while a
stream runs. So the delay is measured all the time, coarsely, and most of it is taken away.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from edge_pse.spectral import HOPS_PER_SECOND, RateChange, Samples

LONGEST_S = 2.0
"""PulseAudio fills the buffer of a card with up to two seconds, and repeats them on the monitor at once."""
EARLIEST_S = -0.25
"""An echo before its far end can't be cancelled, but it is worth knowing."""

_RATE_HZ = 4_000
_BAND_HZ = (200, 1_800)  # what the smallest loudspeakers still play, and a voice has most of
_WINDOW_S = 1.0
_UPDATE_S = 0.5
_MEMORY = 0.7
"""What an update keeps of the ones before: enough to hear the echo 10 dB under a talker, and to follow a jump in
about a second."""
_ACTIVE_POWER = 10 ** (-65 / 10)
_CERTAIN = 15.0
"""Peak of the correlation over its standard deviation. In simulated rooms with the echo 10 dB under noise or another
talker it is mostly over 20; without an echo up to 14."""
_SAME_S = 0.01


class EchoDelay:
    """Measures the delay of the echo by the generalised cross-correlation with phase transform (GCC-PHAT).

    C. Knapp, G. Carter: "The generalized correlation method for estimation of time delay", IEEE Trans. ASSP 24
    (1976). The phase transform makes the echo's peak as narrow as the band allows whatever the spectrum of the
    voice, and only the far end adds up over time: noise and other talkers do not.
    """

    def __init__(self, sample_rate_hz: int):
        self.delay_s: float | None = None
        """The last delay that was certain, None before the first; negative if the echo comes first."""
        self.certainty = 0.0
        """Of the last update: peak of the correlation over its standard deviation."""
        self._to_coarse = [RateChange(sample_rate_hz, _RATE_HZ) for _ in range(2)]
        self._window = round(_WINDOW_S * _RATE_HZ)
        self._after = round(-EARLIEST_S * _RATE_HZ)
        self._length = self._window + self._after + round(LONGEST_S * _RATE_HZ)
        self._recent = np.zeros((2, self._length), np.float32)
        self._new: list[list[Samples]] = [[], []]
        self._waiting = 0
        self._size = 1 << (self._length - 1).bit_length()
        frequencies = np.fft.rfftfreq(self._size, 1 / _RATE_HZ)
        self._band = (frequencies >= _BAND_HZ[0]) & (frequencies <= _BAND_HZ[1])
        self._spectrum = np.zeros(frequencies.size, np.complex128)
        self._candidate_s: float | None = None

    def process(self, microphone: Samples, far_end: Samples) -> bool:
        """The next hops of both, (n,) float32 -> whether ``delay_s`` has been measured anew."""
        for rate_change, new, samples in zip(self._to_coarse, self._new, (microphone, far_end), strict=True):
            new.append(rate_change.process(samples))
        self._waiting += self._new[0][-1].size
        if self._waiting < _UPDATE_S * _RATE_HZ:
            return False
        both = np.stack([np.concatenate(parts) for parts in self._new])
        self._new, self._waiting = [[], []], 0
        self._recent = np.concatenate([self._recent, both], axis=1)[:, -self._length :]
        if np.mean(self._recent[1] ** 2) < _ACTIVE_POWER:
            return False
        return self._measure()

    def _measure(self) -> bool:
        microphone, far_end = self._recent
        # The far end reaches back by the longest delay, and forward for echoes that come too early.
        start = self._length - self._after - self._window
        cross = np.fft.rfft(microphone[start : start + self._window], self._size)
        cross *= np.conj(np.fft.rfft(far_end, self._size))
        size = np.abs(cross)
        self._spectrum *= _MEMORY
        self._spectrum += np.where(self._band & (size > 0), cross / np.maximum(size, 1e-30), 0)
        correlation = np.fft.irfft(self._spectrum)
        # A window of the microphone that begins ``start`` after the far end has its delay d at d - start.
        delays = np.arange(-self._after, self._length - self._after - self._window + 1)
        possible = correlation[delays - start]
        peak = int(np.argmax(possible))
        spread = float(np.std(correlation))
        self.certainty = float(possible[peak]) / spread if spread else 0.0
        before, found = self._candidate_s, float(delays[peak]) / _RATE_HZ
        self._candidate_s = found if self.certainty >= _CERTAIN else None
        if self._candidate_s is None or before is None or abs(found - before) > _SAME_S:
            return False  # twice in a row, or it is not believed
        self.delay_s = found
        return True


class FarEndAligner:
    """Holds the far end back so far that its echo comes shortly after it, whatever the devices do."""

    MARGIN_S = 0.05
    """How long before its echo the far end then is."""
    LEAST_S, MOST_S = 0.02, 0.15
    """While the echo comes so long after the far end as it is held back, it stays as it is: a change costs the
    network the memory of what it has found."""

    def __init__(self, sample_rate_hz: int):
        """``sample_rate_hz``: of both, with whole hops."""
        self.echo = EchoDelay(sample_rate_hz)
        self._hop_s = 1 / HOPS_PER_SECOND
        hop_samples = sample_rate_hz // HOPS_PER_SECOND
        longest = round((LONGEST_S - self.MARGIN_S) / self._hop_s)
        silence = np.zeros(hop_samples, np.float32)
        self._history = deque([silence] * (longest + 1), maxlen=longest + 1)
        self._rising = np.arange(1, hop_samples + 1, dtype=np.float32) / np.float32(hop_samples)
        self._applied_hops = 0

    @property
    def applied_delay_s(self) -> float:
        """How long the far end is held back now."""
        return self._applied_hops * self._hop_s

    @property
    def settled(self) -> bool:
        """The echo is known to come late enough after the far end."""
        return self.echo.delay_s is not None and self.echo.delay_s - self.applied_delay_s >= self.LEAST_S

    def process(self, microphone: Samples, far_end: Samples) -> Samples:
        """The next hop of both, (hop,) float32 each -> that of the far end to give the network."""
        self._history.append(far_end)
        before = self._applied_hops
        if self.echo.process(microphone, far_end):
            self._decide()
        held = self._history[-1 - self._applied_hops]
        if self._applied_hops == before:
            return held
        other = self._history[-1 - before]
        return other + self._rising * (held - other)

    def _decide(self) -> None:
        assert self.echo.delay_s is not None
        if not self.LEAST_S <= self.echo.delay_s - self.applied_delay_s <= self.MOST_S:
            wanted = round((self.echo.delay_s - self.MARGIN_S) / self._hop_s)
            self._applied_hops = min(max(wanted, 0), len(self._history) - 1)
