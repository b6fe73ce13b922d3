"""The live stream between devices: one worker, jitter buffers, the far end, and recovery from faults.

- ``supervisor``: ``Live``, which opens devices, waits out their faults, and opens them again.
- ``session``: one microphone, one output and the engine between them, from their opening to the first fault.
- ``engine``: the worker, and all that happens to the samples on its thread.
- ``bypass``: through the network or past it, with the same delay.
- ``jitter_buffer``: the buffer between two clocks, and the control of its delay.
- ``splicing``: hops added to a stream or dropped from it where it is hardly heard.
- ``loopback``: the device that repeats what the loudspeaker plays.
- ``far_end``: its samples, brought to the clock of the microphone.
- ``echo_delay``: how long after the far end its echo comes, and the far end held back that long.
- ``recorder``: a file of what is played.
"""

from edge_pse.audio.live.engine import Counters
from edge_pse.audio.live.loopback import AUTO, FarEndStatus
from edge_pse.audio.live.recorder import Recorder
from edge_pse.audio.live.session import VIRTUAL, Status
from edge_pse.audio.live.supervisor import Live

__all__ = ["AUTO", "VIRTUAL", "Counters", "FarEndStatus", "Live", "Recorder", "Status"]
