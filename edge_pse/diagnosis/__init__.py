"""What ``edge-pse doctor`` looks at: one small function for each thing that must be right for live sound.

None needs root, and each changes nothing. Those that read the file system of the machine take its root, so that
another machine's can be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge_pse.audio.devices import run_with_timeout
from edge_pse.diagnosis import assistants, learning, machine, network, sound, voices
from edge_pse.diagnosis.finding import Finding, fail
from edge_pse.errors import EdgePseError, StreamHungError

Check = Callable[[], Finding]

CHECKS: dict[str, Check] = {
    "target": machine.target,
    "runtimes": network.runtimes,
    "model in time": network.in_time,
    "profiles": voices.profiles,
    "personal weights": learning.personal_weights,
    "speech-to-text": assistants.speech_to_text,
    "CPU governor": machine.governor,
    "throttling": machine.throttling,
    "temperature": machine.temperature,
    "real-time limits": machine.real_time,
    "PortAudio": sound.portaudio,
    "ALSA": sound.cards,
    "access": sound.access,
    "microphone": sound.microphone,
    "sound server": sound.server,
    "virtual microphone": sound.virtual_microphone,
}
"""By name, in the order in which they are made."""

LIMIT_S = 6.0
"""A check that takes longer has failed."""
_PATIENCE = {"model in time": 5.0, "profiles": 3.0}
"""How many times as long those may take that load the network, or run it for some seconds."""


def examine(checks: dict[str, Check] = CHECKS, limit_s: float = LIMIT_S) -> Iterator[tuple[str, Finding]]:
    """Make the checks one after the other -> the name and the finding of each, as it comes.

    One that hangs is given up, and fails; its thread may then keep the process from ending the usual way.
    """
    for name, check in checks.items():
        yield name, _made(name, check, limit_s * _PATIENCE.get(name, 1.0))


def _made(name: str, check: Check, limit_s: float) -> Finding:
    found: list[Finding] = []
    try:
        run_with_timeout(lambda: found.append(check()), limit_s, name)
    except StreamHungError:
        return fail(
            f"No answer within {limit_s:.0f} s.",
            "Restart the sound server (systemctl --user restart pipewire pipewire-pulse, or pulseaudio -k), "
            "unplug and plug in USB devices, and look again.",
        )
    except EdgePseError as error:
        return fail(str(error), "")
    except Exception as error:  # what one check dies of must not hide the others
        return fail(f"The check itself failed ({type(error).__name__}: {error}).", "Please report this.")
    return found[0]
