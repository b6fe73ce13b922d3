"""From a scene to sound: the mixture, its clean reference, the other talkers, and the enrollments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, fftconvolve, sosfilt

from evaluation.data import DataError
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.sets.scene import Echo, Enrollment, Noise, ProfileKind, Scene, Segment, Voice

EARLY_SECONDS = 0.05
"""In a room the reference keeps the direct sound and 50 ms of early reflections, which help to understand."""

DEVICES: dict[str, tuple[float, float]] = {
    "telephone": (300.0, 3400.0),
    "laptop": (180.0, 5500.0),
    "headset": (100.0, 7200.0),
}
"""Band limits in Hz (second-order slopes) of microphones of our own design: no measured one is in dev."""

NARROW_BAND = "narrow-band"
NARROW_BAND_RATE_HZ = 8000
"""One more device keeps what this rate carries, and nothing else, as telephones and older Bluetooth headsets do."""


@dataclass(frozen=True)
class Clip:
    """A rendered scene. All signals are float32, 1-D, 16 kHz; those that exist have the mixture's length."""

    scene: Scene
    root: Path
    mixture: np.ndarray
    reference: np.ndarray | None
    """What an ideal system returns; None when nobody should be heard, or nobody knows the clean side."""
    interference: np.ndarray | None
    """The other talkers as they sound in the mixture."""
    far_end: np.ndarray | None

    def enrollment(self, profile: ProfileKind) -> np.ndarray | None:
        """Enrollment audio, (samples,) float32; None for no profile, or where the scene has none of the kind.

        Raises DataError when a recording of it is missing.
        """
        chosen = {"right": self.scene.right, "wrong": self.scene.wrong, "none": None}[profile]
        return render_enrollment(self.root, chosen) if chosen else None


@lru_cache(maxsize=128)
def _read(path: Path) -> np.ndarray:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise DataError(f"cannot read {path}") from error
    first = samples[:, 0]
    return first if rate == SAMPLE_RATE_HZ else soxr.resample(first, rate, SAMPLE_RATE_HZ)


def read_segment(root: Path, segment: Segment) -> np.ndarray:
    """The samples of a segment; shorter than asked only where the recording ends."""
    start = round(segment.start * SAMPLE_RATE_HZ)
    return _read(root / segment.path)[start : start + round(segment.seconds * SAMPLE_RATE_HZ)]


def _joined(root: Path, segments: tuple[Segment, ...]) -> np.ndarray:
    return np.concatenate([read_segment(root, segment) for segment in segments])


def _gain(gain_db: float) -> np.float32:
    return np.float32(10.0 ** (gain_db / 20.0))


@lru_cache(maxsize=32)
def _room(path: Path) -> np.ndarray:
    """A room response that starts at its direct sound, with unit energy."""
    response = _read(path).astype(np.float64)
    direct = int(np.argmax(np.abs(response)))
    response = response[direct:]
    return response / np.sqrt(response @ response)


def _in_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    return fftconvolve(samples.astype(np.float64), response)[: len(samples)].astype(np.float32)


def _early(response: np.ndarray) -> np.ndarray:
    return response[: round(EARLY_SECONDS * SAMPLE_RATE_HZ)]


def _placed(samples: np.ndarray, at: float, length: int) -> np.ndarray:
    out = np.zeros(length, np.float32)
    start = round(at * SAMPLE_RATE_HZ)
    count = min(len(samples), length - start)
    out[start : start + count] = samples[:count]
    return out


def _voice(root: Path, voice: Voice, length: int) -> np.ndarray:
    return _placed(_joined(root, voice.segments) * _gain(voice.gain_db), voice.at, length)


def _noise(root: Path, noise: Noise, length: int) -> np.ndarray:
    return np.resize(read_segment(root, noise.segment), length) * _gain(noise.gain_db)


def through_device(samples: np.ndarray, name: str) -> np.ndarray:
    """A recording as that microphone gives it: a key of ``DEVICES`` or ``NARROW_BAND``; as long."""
    if name == NARROW_BAND:
        carried = soxr.resample(samples, SAMPLE_RATE_HZ, NARROW_BAND_RATE_HZ)
        return _placed(soxr.resample(carried, NARROW_BAND_RATE_HZ, SAMPLE_RATE_HZ), 0.0, len(samples))
    low, high = DEVICES[name]
    sections = butter(2, [low, high], btype="bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return sosfilt(sections, samples).astype(np.float32)


def render_enrollment(root: Path, enrollment: Enrollment) -> np.ndarray:
    """Enrollment audio, float32: the speech, then its room, the noise there, and the microphone over both."""
    samples = _joined(root, enrollment.segments) * _gain(enrollment.gain_db)
    if enrollment.intruder:
        samples = _intruded(root, samples, enrollment.intruder)
    if enrollment.room:
        samples = _in_room(samples, _room(root / enrollment.room))
    if enrollment.noise:
        samples = samples + _noise(root, enrollment.noise, len(samples))
    if enrollment.device:
        samples = through_device(samples, enrollment.device)
    return samples


def _intruded(root: Path, samples: np.ndarray, intruder: Voice) -> np.ndarray:
    end = intruder.at + sum(segment.seconds for segment in intruder.segments)
    length = max(len(samples), round(end * SAMPLE_RATE_HZ))
    return _placed(samples, 0.0, length) + _voice(root, intruder, length)


def _echo(root: Path, echo: Echo, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The far-end signal and its echo in the microphone."""
    far_end = _placed(_joined(root, echo.segments) * _gain(echo.gain_db), 0.0, length)
    if not echo.room:
        return far_end, np.zeros(length, np.float32)
    echoed = _in_room(far_end, _room(root / echo.room)) * _gain(echo.echo_gain_db)
    return far_end, _placed(echoed, echo.delay_seconds, length)


def render(scene: Scene, root: Path) -> Clip:
    """Build a scene's sound from the recordings under `root`. Raises DataError when one is missing."""
    length = round(scene.seconds * SAMPLE_RATE_HZ)
    far_end, echoed = _echo(root, scene.echo, length) if scene.echo else (None, None)
    if scene.recording:
        mixture = _placed(read_segment(root, scene.recording), 0.0, length)
        clean = _placed(read_segment(root, scene.reference), 0.0, length) if scene.reference else None
        return Clip(scene, root, mixture, clean, None, far_end)

    response = _room(root / scene.room) if scene.room else None
    mixture = np.zeros(length, np.float32)
    reference = interference = None
    if scene.target:
        dry = _voice(root, scene.target, length)
        mixture += dry if response is None else _in_room(dry, response)
        reference = dry if response is None else _in_room(dry, _early(response))
    if scene.interferers:
        dry = np.sum([_voice(root, voice, length) for voice in scene.interferers], axis=0)
        interference = dry if response is None else _in_room(dry, response)
        mixture += interference
    if scene.noise:
        mixture += _noise(root, scene.noise, length)
    if echoed is not None:
        mixture += echoed
    if scene.device:
        mixture = through_device(mixture, scene.device)
        reference, interference = (
            part if part is None else through_device(part, scene.device) for part in (reference, interference)
        )
    return Clip(scene, root, mixture, reference, interference, far_end)
