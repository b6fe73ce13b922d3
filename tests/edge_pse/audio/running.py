"""The command as a user starts it, and a sound server of its own; both as processes that tests can hurt."""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-X", "faulthandler", "-c", "from edge_pse.cli import main; main()"]


class Command:
    """``edge-pse`` with arguments, its lines as they come."""

    def __init__(self, *arguments: str, env: dict[str, str], program: Sequence[str] = COMMAND):
        self.process = subprocess.Popen(
            [*program, *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, text: str, seconds: float = 20) -> float:
        """The next line with ``text``; returns when it came (monotonic seconds)."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                line = self._new.get(timeout=0.05)
            except queue.Empty:
                continue
            if text in line:
                return time.monotonic()
        raise AssertionError(f"no {text!r} within {seconds} s, but: {self.lines}")

    def stop(self, number: int = signal.SIGINT, seconds: float = 20) -> dict[str, float]:
        """End it as a user would -> the numbers of its last line."""
        self.process.send_signal(number)
        try:
            assert self.process.wait(seconds) == 0, self.lines
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # where it hangs becomes its last lines
            self.process.wait()
            raise AssertionError(f"does not stop: {self.lines}") from None
        self.wait_for("Stopped after", 5)
        words = self.lines[-1].removeprefix("Stopped after ").rstrip(".").replace(" s:", " seconds,")
        return {name: float(value) for value, name in (part.split()[:2] for part in words.split(", "))}

    def clock_ratios(self) -> dict[str, float]:
        """Samples that each device moved, as a share of what the clock asks for; of a run that has stopped."""
        (line,) = (line for line in self.lines if line.startswith("Samples against the clock"))
        return {device: float(share) / 100 for device, share in re.findall(r"(\w+) ([\d.]+)%", line)}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._new.put(line)


class Pauses:
    """Watches, as long as it is entered, how long this machine lets a process wait that only wants a moment of it.

    It can't see how long the other processes of a live stream wait, those of the sound server among them: where all
    cores are busy it takes for granted that they do.

    A live stream that must wait as long may lose samples without any fault of its own: what is measured meanwhile says
    nothing about it, and is measured again.
    """

    LONG_S = 0.03
    _EVERY_S = 0.005

    def __enter__(self) -> "Pauses":
        self.last = -np.inf
        """When the last long one ended, in monotonic seconds."""
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    @property
    def any(self) -> bool:
        """Whether there has been a long one, or so much to do here that other processes may have had to wait."""
        cores = os.cpu_count() or 1
        return bool(self.last > -np.inf) or os.getloadavg()[0] > cores

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._left.wait(self._EVERY_S):
            now = time.monotonic()
            if now - before > self._EVERY_S + self.LONG_S:
                self.last = now
            before = now


def again_if_busy(measure: Callable[[], object], tries: int = 3) -> None:
    """``measure()``, which asserts something of live audio; once more where it fails and this machine has paused."""
    for left in reversed(range(tries)):
        with Pauses() as pauses:
            try:
                measure()
            except AssertionError:
                if not left or not pauses.any:
                    raise
            else:
                return


class SoundServer:
    """A private PulseAudio with silent sinks. Its microphone ``desk`` hears what is played to ``room``."""

    MICROPHONE = (
        "module-remap-source source_name=desk master=room.monitor channels=1 master_channel_map=front-left"
    )

    def __init__(self, root: Path):
        self.root = root
        runtime = root / "runtime"
        socket = runtime / "pulse" / "native"
        socket.parent.mkdir(parents=True)
        runtime.chmod(0o700)
        configuration = root / ".config" / "pulse"
        configuration.mkdir(parents=True)
        (configuration / "default.pa").write_text(
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={socket}\n"
            "load-module module-null-sink sink_name=room rate=48000 channels=2\n"
            "load-module module-null-sink sink_name=other rate=48000 channels=2\n"
            "load-module module-null-sink sink_name=ears rate=16000 channels=1\n"
            f"load-module {self.MICROPHONE}\n"
            "set-default-source other.monitor\n"
            "set-default-sink other\n"
        )
        self.env = {
            **os.environ,
            "HOME": str(root),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(root / ".config"),
            "PULSE_RUNTIME_PATH": str(socket.parent),
            "PULSE_SERVER": f"unix:{socket}",
            "EDGE_PSE_HOME": str(root / "edge-pse"),
        }
        self.env.pop("ALSA_CONFIG_PATH", None)
        self.process: subprocess.Popen[bytes] | None = None
        self._listener: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self.process = subprocess.Popen(
            ["pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=no",
             "--high-priority=no", "--log-target=stderr"],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(100):
            if subprocess.run(["pactl", "info"], env=self.env, capture_output=True).returncode == 0:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the private PulseAudio does not answer")
        self._listener = self.listen("room.monitor")

    def listen(self, source: str) -> subprocess.Popen[bytes]:
        """Somebody hears it, as in a call: a silent sink that nobody listens to is not paced well.

        After an underrun it looks for samples every two seconds only.
        """
        return subprocess.Popen(
            ["parec", "--raw", "--latency-msec=10", "-d", source],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        for process in (self.process, self._listener):
            assert process is not None
            process.kill()
            process.wait()

    def pactl(self, *arguments: str) -> str:
        done = subprocess.run(["pactl", *arguments], env=self.env, capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, f"pactl {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def unplug(self) -> None:
        """Take the microphone away."""
        modules = (line.split("\t") for line in self.pactl("list", "short", "modules").splitlines())
        number = next(number for number, *rest in modules if "source_name=desk" in " ".join(rest))
        self.pactl("unload-module", number)

    def plug_in(self) -> None:
        """Bring it back."""
        self.pactl("load-module", *self.MICROPHONE.split())

    def play(self, samples: np.ndarray, sink: str = "room", rate_hz: int = 16_000) -> subprocess.Popen[bytes]:
        """Play 16-bit samples, mono, in the background."""
        file = self.root / f"play-{time.monotonic_ns()}.raw"
        samples.astype("<i2").tofile(file)
        return subprocess.Popen(
            ["paplay", "--raw", "--format=s16le", f"--rate={rate_hz}", "--channels=1", "--latency-msec=50",
             "-d", sink, str(file)],
            env=self.env,
        )  # fmt: skip

    def record(self, source: str, seconds: float, rate_hz: int = 16_000) -> np.ndarray:
        """What another program hears, mono, 16 bits."""
        process = subprocess.Popen(
            ["parec", "--raw", "--format=s16le", f"--rate={rate_hz}", "--channels=1", "--latency-msec=50",
             "-d", source],
            env=self.env,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            return np.frombuffer(process.stdout.read(2 * round(seconds * rate_hz)), np.int16)
        finally:
            process.terminate()
            process.wait()


def need_pulseaudio() -> None:
    """Skips, with what to install, where there is no PulseAudio."""
    for program in ("pulseaudio", "pactl", "parec"):
        if shutil.which(program) is None:
            pytest.skip("a private sound server needs: apt-get install pulseaudio pulseaudio-utils")


def share_found(reference: np.ndarray, output: np.ndarray, block: int = 160) -> float:
    """Which share of the blocks of ``reference`` that hold sound is in ``output``, see ``places_found``."""
    places = places_found(reference, output, block)
    return float(np.mean(places[:, 1] >= 0))


def places_found(reference: np.ndarray, output: np.ndarray, block: int = 160) -> np.ndarray:
    """Where in ``output`` the blocks of ``reference`` that hold sound are, bit by bit and in order.

    Both are 16-bit samples. After the first block each must come within two seconds of the one before, so
    that a repetition is not taken for it. Returns (blocks, 2): where in the reference, where in the output or -1.
    """
    haystack = output.astype("<i2").tobytes()
    within = 2 * 2 * 16_000
    places = []
    found = position = 0
    for start in range(0, reference.size - block + 1, block):
        piece = reference[start : start + block].astype("<i2")
        if np.abs(piece).max() < 30:
            continue
        place = haystack.find(piece.tobytes(), position, position + within if found else len(haystack))
        places.append((start, place // 2 if place >= 0 else -1))
        if place >= 0:
            found += 1
            position = place + 2 * block
    return np.array(places)


def aligned(piece: np.ndarray, output: np.ndarray) -> np.ndarray:
    """The part of ``output`` that is most like ``piece``."""
    size = 2 ** int(np.ceil(np.log2(output.size + piece.size)))
    products = np.fft.irfft(np.fft.rfft(output, size) * np.conj(np.fft.rfft(piece, size)))
    place = int(np.argmax(products[: output.size - piece.size]))
    return output[place : place + piece.size]
