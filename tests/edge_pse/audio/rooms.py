"""Far-end speech, and what a microphone hears of it in a simulated room."""

import subprocess
import threading
from collections.abc import Callable

import numpy as np
import pytest

from edge_pse.audio.pcm import to_float, to_pcm
from tests.edge_pse.audio.running import SoundServer

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


class LiveRoom:
    """A room between a sink that plays and the microphone ``desk``, as long as it is entered.

    What the sink is given is heard from its monitor, goes through the room and on to the microphone, in real time
    and with whatever delay the sound server makes of it.
    """

    _BLOCK = RATE_HZ // 50

    def __init__(self, server: SoundServer, sink: str, response: np.ndarray):
        self._server, self._sink = server, sink
        self._size = 1 << (response.size + self._BLOCK).bit_length()
        self._response = np.fft.rfft(response, self._size)
        self._tail = np.zeros(self._size, np.float32)

    def __enter__(self) -> "LiveRoom":
        raw = ("--raw", "--format=s16le", f"--rate={RATE_HZ}", "--channels=1", "--latency-msec=40")
        env = self._server.env
        self._from_sink = subprocess.Popen(
            ["parec", *raw, "-d", f"{self._sink}.monitor"], env=env, stdout=subprocess.PIPE
        )
        self._to_microphone = subprocess.Popen(
            ["pacat", "--playback", *raw, "-d", "room"], env=env, stdin=subprocess.PIPE
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._from_sink, self._to_microphone):
            process.kill()
            process.wait()
        self._thread.join()

    def _run(self) -> None:
        try:
            while len(data := self._from_sink.stdout.read(2 * self._BLOCK)) == 2 * self._BLOCK:
                self._to_microphone.stdin.write(self._through(np.frombuffer(data, np.int16)).tobytes())
                self._to_microphone.stdin.flush()
        except (OSError, ValueError):
            pass  # the room has been left

    def _through(self, block: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(to_float(block), self._size)
        self._tail += np.fft.irfft(spectrum * self._response).astype(np.float32)
        out = to_pcm(self._tail[: self._BLOCK])
        self._tail = np.concatenate([self._tail[self._BLOCK :], np.zeros(self._BLOCK, np.float32)])
        return out
