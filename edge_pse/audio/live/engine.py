"""The worker between microphone and output: all that happens to the samples, on one thread.

Microphone block -> one channel -> hops -> network, or the same delay without it, which takes the microphone's rate and
gives the output's -> hops added or given back -> playback buffer. The far end, if there is one, joins at the network.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np

from edge_pse.audio.live.bypass import BypassSwitch
from edge_pse.audio.live.far_end import FarEnd
from edge_pse.audio.live.jitter_buffer import DelayController, JitterBuffer
from edge_pse.audio.live.splicing import Splicer
from edge_pse.audio.pcm import Pcm, to_float, to_pcm
from edge_pse.channels import ChannelChoice
from edge_pse.enhancer import Enhancer
from edge_pse.levels import speech_power
from edge_pse.spectral import Samples

_WAIT_S = 0.2
_BEHIND_S = 0.2
"""Working without a rest for so long, the network can't keep up; bursts of a device take a few ms."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_WARM_UP_HOPS = 50
_SMOOTHING = 0.05  # of the level meters, per hop


@dataclass
class Counters:
    """What the engine has seen since it was made."""

    hops: int = 0
    """How many went through."""
    underruns: int = 0
    """How often the output had nothing to play in time."""
    overruns: int = 0
    """How often the microphone had samples for which nobody came in time."""
    overloads: int = 0
    """How often the network was too slow, and the sound passed as it is for a while."""
    dropped_samples: int = 0
    """Of the input, because the worker was late, and of the output, because nobody played them."""


class Engine:
    """Runs one stream from ``blocks`` to ``playback``; made anew each time devices are opened."""

    def __init__(
        self,
        enhancer: Enhancer,
        input_rate_hz: int,
        output_rate_hz: int,
        channel: int | None = None,
        on_output: Callable[[Samples, int], None] | None = None,
        on_input: Callable[[Samples, int], None] | None = None,
    ):
        """``enhancer``: begins a new stream between these rates, which have whole hops; AudioError otherwise.

        ``channel``: which one of the input, None for the one with most speech. ``on_output`` is given what is played,
        in hops, and its rate; ``on_input`` what came in, alike.
        """
        rates = input_rate_hz, output_rate_hz, input_rate_hz
        # One that went wrong goes on passing the sound, as long as it can: anew it would only say so again.
        if rates != (enhancer.sample_rate_hz, enhancer.output_rate_hz, enhancer.far_rate_hz):
            enhancer.set_rates(input_rate_hz, output_rate_hz)
        self.enhancer = enhancer
        self.hop_samples = enhancer.hop_samples
        self.blocks: SimpleQueue[Pcm] = SimpleQueue()
        self._output_hop_samples = enhancer.output_hop_samples
        half_second = output_rate_hz // 2
        self.playback = JitterBuffer(half_second, self._output_hop_samples, np.int16)
        self.bypass = False
        """Past the network, at the wish of the user."""
        self.far_end: FarEnd | None = None
        """What the loudspeaker plays; may be set at any time, if the model takes one."""
        self.counters = Counters()
        self.hop_times_s: deque[float] = deque(maxlen=1000)
        self.input_power = self.output_power = 0.0
        """Mean squares where speech is, smoothed; of full scale 1."""
        self.failure: BaseException | None = None
        """What ended the worker, if it was not asked to end."""
        self._switch = BypassSwitch(enhancer)
        self._channels = ChannelChoice(channel, input_rate_hz)
        self._splicer = Splicer(self._output_hop_samples)
        self._delay_controller = DelayController(self.playback, self._output_hop_samples)
        self._on_output, self._on_input = on_output, on_input
        self._pending: Samples = np.zeros(0, np.float32)
        self._overload = Overload()
        self._thread = threading.Thread(target=self._run, name="edge-pse worker", daemon=True)
        self._stop = False

    @property
    def latency_s(self) -> float:
        """From block to playback: the network, and what waits to be played.

        What the devices have in their own latency does not count again: the hop of the network that a block
        fills, and what comes and goes with their bursts.
        """
        measured = self._delay_controller.waiting
        left = self.playback.level if measured is None else measured
        return (self.enhancer.delay_samples + left) / self.enhancer.output_rate_hz

    @property
    def overloaded(self) -> bool:
        """Past the network now, because it can't keep up."""
        return self._overload.active

    def start(self) -> None:
        """Run the network a little, because the first calls are slow, then begin to work."""
        for _ in range(_WARM_UP_HOPS):
            self.enhancer.process(np.zeros(self.hop_samples, np.float32))
        if not self.enhancer.fault:
            self.enhancer.reset()
        self._thread.start()

    def close(self) -> None:
        """End the worker."""
        self._stop = True
        if self._thread.ident is not None:
            self._thread.join()

    def process(self, block: Pcm) -> None:
        """One block of the microphone, (n, channels) int16, all the way to the playback buffer."""
        mono = self._channels.pick(to_float(block))
        samples = np.concatenate([self._pending, mono])
        whole = samples.size - samples.size % self.hop_samples
        self._pending = samples[whole:]
        for start in range(0, whole, self.hop_samples):
            self._process_hop(samples[start : start + self.hop_samples])

    def _process_hop(self, hop: Samples) -> None:
        if self._on_input is not None:
            self._on_input(hop, self.enhancer.sample_rate_hz)
        began = time.perf_counter()
        far_end = self.far_end
        far_hop = None if far_end is None else far_end.next_hop(hop)
        out = self._switch.process(hop, self.bypass or self._overload.active, far_hop)
        self.hop_times_s.append(time.perf_counter() - began)
        self.counters.hops += 1
        power_in = float(speech_power(hop, self.enhancer.sample_rate_hz))
        power_out = float(speech_power(out, self.enhancer.output_rate_hz))
        self.input_power += _SMOOTHING * (power_in - self.input_power)
        self.output_power += _SMOOTHING * (power_out - self.output_power)
        for played in self._splicer.process(out):
            if self._on_output is not None:
                self._on_output(played, self.enhancer.output_rate_hz)
            self.playback.write(to_pcm(played))

    def _run(self) -> None:
        try:
            while not self._stop:
                try:
                    block = self.blocks.get(timeout=_WAIT_S)
                except Empty:
                    continue
                self._work_off(block)
        except BaseException as error:  # told by whoever watches the engine
            self.failure = error

    def _work_off(self, block: Pcm | None) -> None:
        """Everything that is there now."""
        now = time.monotonic()
        self._overload.begin(now, self.playback.underruns)
        while block is not None and not self._stop:
            self.process(block)
            now = time.monotonic()
            if not self.bypass and self._overload.check(now, self.playback.underruns):
                self.counters.overloads += 1
            block = None if self.blocks.empty() else self.blocks.get()
        self.control_delay(now)

    def control_delay(self, now: float) -> None:
        """At the end of a window, add or give back what the playback buffer had too little or too much."""
        wanted = self._delay_controller.update(now)
        if wanted is not None:
            self._splicer.request(wanted)
            self.counters.underruns = self._delay_controller.underruns
        far_end = self.far_end
        if far_end is not None:
            far_end.control_delay(now)


class Overload:
    """When to go past the network: for longer each time.

    It is too much when the worker has not rested for a while and the playback has run dry meanwhile.
    """

    def __init__(self) -> None:
        self.active = False
        self._busy_since = self._until = 0.0
        self._underruns = 0
        self._pause = _FIRST_PAUSE_S

    def begin(self, now: float, underruns: int) -> None:
        """The worker had caught up and now has something to do."""
        self._busy_since, self._underruns = now, underruns
        if self.active and now >= self._until:
            self.active = False
        elif not self.active and now > self._until + _LONGEST_PAUSE_S:
            self._pause = _FIRST_PAUSE_S

    def check(self, now: float, underruns: int) -> bool:
        """A block is done -> whether this is where it became too much."""
        if self.active or now - self._busy_since < _BEHIND_S or underruns == self._underruns:
            return False
        self.active = True
        self._until = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        return True
