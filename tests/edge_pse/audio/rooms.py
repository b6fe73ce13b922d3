"""Far-end speech, and what a microphone hears of it in a simulated room."""

from collections.abc import Callable

import numpy as np
import pytest

RATE_HZ = 16_000
FAR_VOICES = ("ls3080_speech", "ls1688_enrollment", "ls3080_enrollment", "ls1688_speech")
NEAR_VOICES = ("ls367_speech", "ls2033_enrollment", "ls367_enrollment")


def voices(recording: Callable[[str], np.ndarray], names: tuple[str, ...], seconds: float) -> np.ndarray:
    """Real speech of several talkers, one after the other, float32 at 16 kHz."""
    return np.resize(np.concatenate([recording(name) for name in names]), round(seconds * RATE_HZ))


def room_response(reverberation_s: float) -> np.ndarray:
    """From a loudspeaker to a microphone half a metre away; the direct sound comes after 4 ms."""
    rooms = pytest.importorskip("pyroomacoustics", reason="simulating a room needs pyroomacoustics")
    absorption, order = rooms.inverse_sabine(reverberation_s, [4, 5, 2.7])
    room = rooms.ShoeBox(
        [4, 5, 2.7], fs=RATE_HZ, materials=rooms.Material(absorption), max_order=min(order, 17)
    )
    room.add_source([2, 2, 1])
    room.add_microphone([2.3, 2.4, 1.1])
    room.compute_rir()
    response = np.asarray(room.rir[0][0], np.float32)
    return response / np.abs(response).max()


def delayed(samples: np.ndarray, delay_s: float) -> np.ndarray:
    """As long as before; negative delays make it earlier."""
    shift = round(delay_s * RATE_HZ)
    silence = np.zeros(abs(shift), np.float32)
    if shift < 0:
        return np.concatenate([samples[-shift:], silence])
    return np.concatenate([silence, samples])[: samples.size]


def at_ratio(wanted: np.ndarray, other: np.ndarray, ratio_db: float) -> np.ndarray:
    """``other``, made as long as ``wanted`` and scaled to be ``ratio_db`` below it."""
    other = np.resize(other, wanted.size)
    return other * np.float32(np.sqrt(np.mean(wanted**2) / np.mean(other**2)) * 10 ** (-ratio_db / 20))
