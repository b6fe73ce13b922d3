"""Personalised speech enhancement on the device: enroll a voice, then keep only that one.

>>> import edge_pse
>>> profile = edge_pse.enroll(ten_seconds_of_one_voice, sample_rate_hz)
>>> enhanced = edge_pse.Enhancer(profile=profile).enhance(noisy, sample_rate_hz)

``enhance_file`` does the same with a file, ``Live`` with a microphone. Arrays hold floating-point samples, full scale
-1 to 1; ``Enhancer.process`` takes a stream in blocks,
``PcmStream`` one of bytes. What this package offers is loaded when it is first named, the
inference runtime with the first model.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime counts what it does, keeps an id of the machine and a queue of events under the user's cache, and sends
# them, unless it finds this when it is loaded. Hence every package of the project imports this one first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from edge_pse.audio.files import enhance_file
    from edge_pse.audio.live import Live
    from edge_pse.audio.stream import PcmStream
    from edge_pse.enhancer import Enhancer
    from edge_pse.enrollment import assess, enroll
    from edge_pse.errors import (
        AudioError,
        EdgePseError,
        EdgePseWarning,
        EnrollmentError,
        ModelError,
        PersonalisationError,
        ProfileError,
        SoundServerError,
        StreamHungError,
        TargetError,
        ThreadError,
    )
    from edge_pse.model import Model, available_models
    from edge_pse.personalisation import LearningProgress, personalise
    from edge_pse.profiles import Profile, ProfileStore

    __version__: str

_MODULES = {
    "AudioError": "errors",
    "EdgePseError": "errors",
    "EdgePseWarning": "errors",
    "Enhancer": "enhancer",
    "EnrollmentError": "errors",
    "LearningProgress": "personalisation",
    "Live": "audio.live",
    "Model": "model",
    "ModelError": "errors",
    "PcmStream": "audio.stream",
    "PersonalisationError": "errors",
    "Profile": "profiles",
    "ProfileError": "errors",
    "ProfileStore": "profiles",
    "SoundServerError": "errors",
    "StreamHungError": "errors",
    "TargetError": "errors",
    "ThreadError": "errors",
    "assess": "enrollment",
    "available_models": "model",
    "enhance_file": "audio.files",
    "enroll": "enrollment",
    "personalise": "personalisation",
}
"""Where the names are that this package offers."""

__all__ = [
    "AudioError",
    "EdgePseError",
    "EdgePseWarning",
    "Enhancer",
    "EnrollmentError",
    "LearningProgress",
    "Live",
    "Model",
    "ModelError",
    "PcmStream",
    "PersonalisationError",
    "Profile",
    "ProfileError",
    "ProfileStore",
    "SoundServerError",
    "StreamHungError",
    "TargetError",
    "ThreadError",
    "__version__",
    "assess",
    "available_models",
    "enhance_file",
    "enroll",
    "personalise",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("edge-pse")
    except metadata.PackageNotFoundError:  # run from a checkout that was not installed
        return "0.1.0"
