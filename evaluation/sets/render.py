"""From a scene to sound: the mixture, its clean reference, the other talkers, and the enrollments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy import fft

from evaluation.data import DataError
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.sets.scene import (
    Echo,
    Enrollment,
    Noise,
    ProfileKind,
    Scene,
    Segment,
    Synthetic,
    Voice,
)
from evaluation.sets.synthetic import synthetic_noise

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
    """A rendered scene. All signals are float32, 1-D, at the scene's rate; those there are, are as long."""

    scene: Scene
    root: Path
    mixture: np.ndarray
    reference: np.ndarray | None
    """What an ideal system returns; None when nobody should be heard, or nobody knows the clean side."""
    interference: np.ndarray | None
    """The other talkers as they sound in the mixture."""
    far_end: np.ndarray | None

    def enrollment(self, profile: ProfileKind) -> np.ndarray | None:
        """Enrollment audio, (samples,) float32 at the scene's rate; None for no profile, or where the scene has none
        of the kind.

        Raises DataError when a recording of it is missing.
        """
        chosen = {"right": self.scene.right, "wrong": self.scene.wrong, "none": None}[profile]
        return render_enrollment(self.root, chosen, self.scene.rate_hz) if chosen else None


@lru_cache(maxsize=128)
def _read(path: Path, rate_hz: int) -> np.ndarray:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise DataError(f"cannot read {path}") from error
    first = samples[:, 0]
    return first if rate == rate_hz else soxr.resample(first, rate, rate_hz)


def read_segment(root: Path, segment: Segment, rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """The samples of a segment at `rate_hz`; shorter than asked only where the recording ends."""
    start = round(segment.start * rate_hz)
    return _read(root / segment.path, rate_hz)[start : start + round(segment.seconds * rate_hz)]


def _joined(root: Path, segments: tuple[Segment, ...], rate_hz: int) -> np.ndarray:
    return np.concatenate([read_segment(root, segment, rate_hz) for segment in segments])


def _gain(gain_db: float) -> np.float32:
    return np.float32(10.0 ** (gain_db / 20.0))


@lru_cache(maxsize=32)
def _room(path: Path, rate_hz: int) -> np.ndarray:
    """A room response that starts at its direct sound, with unit energy."""
    response = _read(path, rate_hz).astype(np.float64)
    direct = int(np.argmax(np.abs(response)))
    response = response[direct:]
    return response / np.sqrt(response @ response)


def _in_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    # As scipy.signal.fftconvolve does it, whose import takes a second of each process.
    size = fft.next_fast_len(len(samples) + len(response) - 1, real=True)
    product = fft.rfft(samples.astype(np.float64), size) * fft.rfft(response, size)
    return fft.irfft(product, size)[: len(samples)].astype(np.float32)


def _early(response: np.ndarray, rate_hz: int) -> np.ndarray:
    return response[: round(EARLY_SECONDS * rate_hz)]


def _placed(samples: np.ndarray, at: float, length: int, rate_hz: int) -> np.ndarray:
    out = np.zeros(length, np.float32)
    start = round(at * rate_hz)
    count = min(len(samples), length - start)
    out[start : start + count] = samples[:count]
    return out


def _voice(root: Path, voice: Voice, length: int, rate_hz: int) -> np.ndarray:
    return _placed(_joined(root, voice.segments, rate_hz) * _gain(voice.gain_db), voice.at, length, rate_hz)


def _noise(root: Path, noise: Noise, length: int, rate_hz: int) -> np.ndarray:
    return np.resize(_source(root, noise.segment, rate_hz), length) * _gain(noise.gain_db)


def _source(root: Path, of: Segment | Synthetic, rate_hz: int) -> np.ndarray:
    return synthetic_noise(of, rate_hz) if isinstance(of, Synthetic) else read_segment(root, of, rate_hz)


def through_device(samples: np.ndarray, name: str, rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """A recording as that microphone gives it: a key of ``DEVICES`` or ``NARROW_BAND``; as long."""
    if name == NARROW_BAND:
        carried = soxr.resample(samples, rate_hz, NARROW_BAND_RATE_HZ)
        return _placed(soxr.resample(carried, NARROW_BAND_RATE_HZ, rate_hz), 0.0, len(samples), rate_hz)
    from scipy.signal import butter, sosfilt  # takes a second, and few scenes have such a microphone

    low, high = DEVICES[name]
    sections = butter(2, [low, high], btype="bandpass", fs=rate_hz, output="sos")
    return sosfilt(sections, samples).astype(np.float32)


def render_enrollment(root: Path, enrollment: Enrollment, rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """Enrollment audio, float32: the speech, then its room, the noise there, and the microphone over both."""
    samples = _joined(root, enrollment.segments, rate_hz) * _gain(enrollment.gain_db)
    if enrollment.intruder:
        samples = _intruded(root, samples, enrollment.intruder, rate_hz)
    if enrollment.room:
        samples = _in_room(samples, _room(root / enrollment.room, rate_hz))
    if enrollment.noise:
        samples = samples + _noise(root, enrollment.noise, len(samples), rate_hz)
    if enrollment.device:
        samples = through_device(samples, enrollment.device, rate_hz)
    return samples


def _intruded(root: Path, samples: np.ndarray, intruder: Voice, rate_hz: int) -> np.ndarray:
    end = intruder.at + sum(segment.seconds for segment in intruder.segments)
    length = max(len(samples), round(end * rate_hz))
    return _placed(samples, 0.0, length, rate_hz) + _voice(root, intruder, length, rate_hz)


def _echo(root: Path, echo: Echo, length: int, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """The far-end signal and its echo in the microphone."""
    far_end = _placed(_joined(root, echo.segments, rate_hz) * _gain(echo.gain_db), 0.0, length, rate_hz)
    if not echo.room:
        return far_end, np.zeros(length, np.float32)
    echoed = _in_room(far_end, _room(root / echo.room, rate_hz)) * _gain(echo.echo_gain_db)
    return far_end, _placed(echoed, echo.delay_seconds, length, rate_hz)


def render(scene: Scene, root: Path) -> Clip:
    """Build a scene's sound from the recordings under `root`. Raises DataError when one is missing."""
    rate_hz = scene.rate_hz
    length = round(scene.seconds * rate_hz)
    far_end, echoed = _echo(root, scene.echo, length, rate_hz) if scene.echo else (None, None)
    if scene.recording:
        mixture = _placed(read_segment(root, scene.recording, rate_hz), 0.0, length, rate_hz)
        clean = None
        if scene.reference:
            clean = _placed(read_segment(root, scene.reference, rate_hz), 0.0, length, rate_hz)
        return Clip(scene, root, mixture, clean, None, far_end)

    response = _room(root / scene.room, rate_hz) if scene.room else None
    mixture = np.zeros(length, np.float32)
    reference = interference = None
    if scene.target:
        dry = _voice(root, scene.target, length, rate_hz)
        mixture += dry if response is None else _in_room(dry, response)
        reference = dry if response is None else _in_room(dry, _early(response, rate_hz))
    if scene.interferers:
        dry = np.sum([_voice(root, voice, length, rate_hz) for voice in scene.interferers], axis=0)
        interference = dry if response is None else _in_room(dry, response)
        mixture += interference
    if scene.noise:
        mixture += _noise(root, scene.noise, length, rate_hz)
    if echoed is not None:
        mixture += echoed
    if scene.device:
        mixture = through_device(mixture, scene.device, rate_hz)
        reference, interference = (
            part if part is None else through_device(part, scene.device, rate_hz)
            for part in (reference, interference)
        )
    return Clip(scene, root, mixture, reference, interference, far_end)
