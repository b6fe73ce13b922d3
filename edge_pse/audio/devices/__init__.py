"""Sound devices: found, opened, watched; the sound server and the virtual microphone.

- ``listing``: which devices there are, which one a user means, in which format it opens.
- ``streams``: PortAudio's streams, whose callbacks only move samples.
- ``microphone``: a microphone alone, read as it comes.
- ``microphone_level``: how loud speech and noise are at a microphone.
- ``sound_server``: PulseAudio or PipeWire, asked and watched through ``pactl``.
- ``virtual_mic``: the microphone that other programs see, made and removed.
- ``demand``: whether a program records from the virtual microphone.
"""

from edge_pse.audio.devices.demand import Demand
from edge_pse.audio.devices.listing import (
    THROUGH_SERVER,
    Device,
    Format,
    find_format,
    list_devices,
    rescan,
    resolve,
)
from edge_pse.audio.devices.microphone import Microphone, resolve_microphone
from edge_pse.audio.devices.microphone_level import Levels, MicrophoneLevel, measure_level
from edge_pse.audio.devices.streams import (
    BLOCKS_PER_SECOND,
    InputStream,
    OutputStream,
    Stream,
    run_with_timeout,
)

__all__ = [
    "BLOCKS_PER_SECOND",
    "THROUGH_SERVER",
    "Demand",
    "Device",
    "Format",
    "InputStream",
    "Levels",
    "Microphone",
    "MicrophoneLevel",
    "OutputStream",
    "Stream",
    "find_format",
    "list_devices",
    "measure_level",
    "rescan",
    "resolve",
    "resolve_microphone",
    "run_with_timeout",
]
