"""The far end of a live stream: what the loudspeaker is given, brought to the clock of the microphone."""

from __future__ import annotations

from queue import SimpleQueue

import numpy as np

from edge_pse.audio.live.echo_delay import FarEndAligner
from edge_pse.audio.live.jitter_buffer import DelayController, JitterBuffer
from edge_pse.audio.live.splicing import Splicer
from edge_pse.audio.pcm import Pcm, to_float
from edge_pse.spectral import HOPS_PER_SECOND, RateChange, Samples

_BUFFER_S = 0.5
_SMOOTHING = 0.05  # of the level meter, per hop


class FarEnd:
    """Loudspeaker block -> as many hops as the microphone has -> at its rate -> shortly before their echo.

    The device, whose rate has whole hops, fills ``blocks``; all the rest happens on the thread that asks for hops. The
    clocks of the two devices may differ: hops are added to a buffer between them, or dropped, as between the network
    and the output. Made anew each time the device is opened.
    """

    def __init__(self, rate_hz: int, microphone_rate_hz: int):
        self.blocks: SimpleQueue[Pcm] = SimpleQueue()
        self.power = 0.0
        """Mean square, smoothed; of full scale 1."""
        self._hop_samples = hop_samples = rate_hz // HOPS_PER_SECOND
        self._pending: Samples = np.zeros(0, np.float32)
        self._splicer = Splicer(hop_samples)
        self._buffer = JitterBuffer(round(_BUFFER_S * rate_hz), hop_samples, np.float32)
        self._delay_controller = DelayController(self._buffer, hop_samples)
        # A hop later, and then so much less is to be held back.
        self._rate_change = None if rate_hz == microphone_rate_hz else RateChange(rate_hz, microphone_rate_hz)
        self._aligner = FarEndAligner(microphone_rate_hz)

    @property
    def echo_delay_s(self) -> float | None:
        """How long after the far end its echo comes; negative if before it, None while nothing is certain."""
        return self._aligner.echo.delay_s

    @property
    def applied_delay_s(self) -> float:
        """How much of that is taken away by holding the far end back."""
        return self._aligner.applied_delay_s

    def next_hop(self, microphone: Samples) -> Samples:
        """One hop of the microphone, (hop,) float32 -> that of the far end for the network; silence if it is late.

        Both at the microphone's rate.
        """
        while not self.blocks.empty():
            self._take_in(self.blocks.get())
        hop = np.empty(self._hop_samples, np.float32)
        self._buffer.read_into(hop)
        self.power += _SMOOTHING * (float(hop @ hop) / hop.size - self.power)
        if self._rate_change is not None:
            hop = self._rate_change.process(hop)
        return self._aligner.process(microphone, hop)

    def control_delay(self, now: float) -> None:
        """Call often; ``now`` in monotonic seconds.

        What waits in the buffer holds the far end back too, and to drop it costs the network the place of the echo:
        it is dropped only while the echo is unknown or would come too soon.
        """
        wanted = self._delay_controller.update(now)
        if wanted is not None:
            self._splicer.request(wanted if wanted > 0 or not self._aligner.settled else 0)

    def _take_in(self, block: Pcm) -> None:
        mono = to_float(block).mean(axis=1)
        samples = np.concatenate([self._pending, mono])
        whole = samples.size - samples.size % self._hop_samples
        self._pending = samples[whole:]
        for start in range(0, whole, self._hop_samples):
            for hop in self._splicer.process(samples[start : start + self._hop_samples]):
                self._buffer.write(hop)
